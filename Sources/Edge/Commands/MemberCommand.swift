// `postern member`: who may do what in one vault.

package import ArgumentParser
import JSON
import Model

package struct MemberCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "member",
        abstract: "List, add, change and remove the members of a vault.",
        discussion: """
            Example:
              postern member list --vault shop
            """,
        subcommands: [List.self, Set.self, Remove.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the members of a vault.",
            discussion: """
                Example:
                  postern member list --vault shop
                """)

        static let action = Action.memberRead

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("USER", "user"), TableColumn("E-MAIL", "email"), TableColumn("NAME", "name"),
                TableColumn("ROLE", "role"), TableColumn("FROM", "source"), TableColumn("STATE", "state"),
                TableColumn("SINCE", "created_at"),
            ]
            let vault = try await api.vault()
            try await Listing(columns: columns, nothing: "No members.")
                .print(APIRequest(.get, in: .api, "vaults", vault, "members"), api, page: page, output: output)
        }
    }

    struct Set: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a person a member of a vault, or give a member another role.",
            discussion: """
                Admins of the instance name anybody; others only who is a member already, and invite the rest.

                Example:
                  postern member set ada@example.com operator --vault shop
                """)

        static let action = Action.memberWrite

        @OptionGroup var user: UserArgument
        @Argument(help: "viewer, operator or owner.") var role: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let vault = try await api.vault()
            let body = JSONObject(["role": .string(role)])
            try output.show(
                try await api.object(APIRequest(.put, in: .api, "vaults", vault, "members", user.user, json: body)))
        }
    }

    struct Remove: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Take a person out of a vault, at once.",
            discussion: """
                Example:
                  postern member remove ada@example.com --vault shop
                """)

        static let action = Action.memberWrite

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let vault = try await api.vault()
            _ = try await api.send(APIRequest(.delete, in: .api, "vaults", vault, "members", user.user))
            try output.done("removed", user.user)
        }
    }
}
