// `postern user`: the people of the instance. For its admins.

package import ArgumentParser
import JSON
import Model

package struct UserCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "user",
        abstract: "Manage people: list, show, create, change, disable and delete them.",
        discussion: """
            A person is named by id or by e-mail address.

            Example:
              postern user list
            """,
        subcommands: [
            List.self, Show.self, Create.self, Role.self, Rename.self, Disable.self, Enable.self, Delete.self,
            ResetLink.self, Unlock.self, Sessions.self, EndSessions.self,
        ])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List people.",
            discussion: """
                Example:
                  postern user list
                  postern user list --role owner --state active --json
                """)

        static let action = Action.userRead

        @Option(
            name: .customLong("q"), help: ArgumentHelp("Part of an address or a name.", valueName: "text"))
        var search: String?
        @Option(help: "viewer, member, admin or owner.") var role: String?
        @Option(help: "active or disabled.") var state: String?
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var request = APIRequest(.get, in: .api, "users")
            request.ask("q", search)
            request.ask("role", role)
            request.ask("state", state)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("E-MAIL", "email"), TableColumn("NAME", "name"),
                TableColumn("ROLE", "role"), TableColumn("STATE", "state"),
                TableColumn("2ND FACTOR") { $0["second_factor"]?.boolValue == true ? "yes" : "no" },
                TableColumn("VAULTS", limit: 60, text: UserCommand.memberships),
                TableColumn("LAST SIGN-IN", "last_sign_in_at"),
            ]
            try await Listing(columns: columns, nothing: "No people.").print(request, api, page: page, output: output)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a person, and the vaults that they are a member of.",
            discussion: """
                Example:
                  postern user show ada@example.com
                """)

        static let action = Action.userRead

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await user.read(api))
        }
    }

    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an account, with a link by which its owner sets a password.",
            discussion: """
                `postern invitation create` asks somebody to make their account themselves.

                Example:
                  postern user create ada@example.com --name 'Ada Lovelace' --role member
                """)

        static let action = Action.userWrite

        @Argument(help: "The e-mail address.") var email: String
        @Option(help: "What the person is called.") var name: String
        @Option(help: "viewer, member, admin or owner; the server's default is member.") var role: String?
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var body = JSONObject()
            body.give("email", email)
            body.give("name", name)
            body.give("role", role)
            return APIRequest(.post, in: .api, "users", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try LinkAnswer.show(try await api.object(request), output)
        }
    }

    struct Role: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a person another role at the instance: nobody gives one above their own.",
            discussion: """
                Example:
                  postern user role ada@example.com admin
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @Argument(help: "viewer, member, admin or owner.") var role: String
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await user.change(JSONObject(["role": .string(role)]), api))
        }
    }

    struct Rename: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change what a person is called.",
            discussion: """
                Example:
                  postern user rename ada@example.com 'Ada Lovelace'
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @Argument(help: "The new name.") var name: String
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await user.change(JSONObject(["name": .string(name)]), api))
        }
    }

    struct Disable: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Keep a person out: all their sessions end at once.",
            discussion: """
                Example:
                  postern user disable ada@example.com
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await user.change(JSONObject(["state": .string("disabled")]), api))
        }
    }

    struct Enable: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a disabled person in again.",
            discussion: """
                Example:
                  postern user enable ada@example.com
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try output.show(try await user.change(JSONObject(["state": .string("active")]), api))
        }
    }

    /// `default: owner, shop: viewer`
    private static func memberships(_ user: JSONObject) -> String {
        let texts = (user["memberships"]?.arrayValue ?? []).compactMap(\.objectValue).map { membership in
            "\(ValueText.cell(membership["slug"])): \(ValueText.cell(membership["role"]))"
        }
        return texts.isEmpty ? "-" : texts.joined(separator: ", ")
    }
}
