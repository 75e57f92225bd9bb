// `postern vault`: the vaults that one is a member of; for admins of the instance, all of them.

package import ArgumentParser
import JSON
import Model

package struct VaultCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "vault",
        abstract: "List, make, rename, suspend, archive and delete vaults; their plans and usage.",
        discussion: """
            A vault is named by id or by slug.

            Example:
              postern vault list
            """,
        subcommands: [
            List.self, Show.self, Create.self, Rename.self, Suspend.self, Resume.self, Archive.self, Restore.self,
            Delete.self, Plan.self, Usage.self,
        ])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List your vaults; for admins of the instance, all of them.",
            discussion: """
                Example:
                  postern vault list
                """)

        static let action = Action.vaultRead

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("SLUG", "slug"), TableColumn("NAME", "name"),
                TableColumn("STATE", "state"), TableColumn("PLAN", "plan"), TableColumn("ROLE", "role"),
                TableColumn("CREATED", "created_at"),
            ]
            try await Listing(columns: columns, nothing: "No vaults.")
                .print(APIRequest(.get, in: .api, "vaults"), api, page: page, output: output)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a vault.",
            discussion: """
                Example:
                  postern vault show shop
                """)

        static let action = Action.vaultRead

        @OptionGroup var vault: VaultArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(vault.request(.get)))
        }
    }

    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a vault.",
            discussion: """
                Whoever makes it becomes its owner, unless --owner names somebody else.

                Example:
                  postern vault create shop --name 'The shop' --plan business
                  postern vault create lab --owner ada@example.com
                """)

        static let action = Action.vaultCreate

        @Argument(help: "What paths and headers call it: lower-case letters, digits and dashes.") var slug: String
        @Option(help: "What people call it. Default: the slug.") var name: String?
        @Option(help: "The plan's name; `postern plan list` shows them. The server's default is self_hosted.")
        var plan: String?
        @Option(help: ArgumentHelp("Its owner's id or e-mail address.", valueName: "user")) var owner: String?
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            if let owner { try IDArgument.check(owner) }
        }

        func perform(_ api: APIClient) async throws {
            var body = JSONObject()
            body.give("slug", slug)
            body.give("name", name)
            body.give("plan", plan)
            if let owner { body.give("owner", try await UserArgument.id(owner, api)) }
            try output.show(try await api.object(APIRequest(.post, in: .api, "vaults", json: body)))
        }
    }

    struct Rename: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a vault's name or slug.",
            discussion: """
                Example:
                  postern vault rename shop --name 'The old shop'
                """)

        static let action = Action.vaultRename

        @OptionGroup var vault: VaultArgument
        @Option(help: "What people call it.") var name: String?
        @Option(help: "What paths and headers call it.") var slug: String?
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard name != nil || slug != nil else { throw ValidationError("Give what changes: --name or --slug.") }
        }

        var request: APIRequest {
            var body = JSONObject()
            body.give("name", name)
            body.give("slug", slug)
            return vault.request(.patch, json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
        }
    }
}

/// A vault by id or slug.
struct VaultArgument: ParsableArguments {
    @Argument(help: "The vault's id or slug.") var vault: String

    func validate() throws { try IDArgument.check(vault) }

    func request(_ method: APIRequest.Method, _ path: String..., json: JSONObject? = nil) -> APIRequest {
        var request = APIRequest(method, in: .api, "vaults", vault, json: json)
        request.path += path
        return request
    }
}
