// `postern user delete`, `reset-link`, `unlock`, `sessions`, `end-sessions`: a person's way in.

import ArgumentParser
import JSON
import Model

extension UserCommand {
    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a person for good. What they did stays in the audit log.",
            discussion: """
                Asks for the e-mail address once more; --confirm gives it where nobody can be asked.

                Example:
                  postern user delete ada@example.com --confirm ada@example.com
                """)

        static let action = Action.userDelete

        @OptionGroup var user: UserArgument
        @OptionGroup var confirmation: Confirmation
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let found = try await user.read(api)
            guard let id = found["id"]?.stringValue, let email = found["email"]?.stringValue else {
                throw CommandFailure.notPostern
            }
            try confirmation.check(email, "delete \(email)")
            _ = try await api.send(APIRequest(.delete, in: .api, "users", id))
            try output.done("deleted", id)
        }
    }

    struct ResetLink: APICommand {
        static let configuration = CommandConfiguration(
            commandName: "reset-link",
            abstract: "Make a link by which a person sets a new password. It works once.",
            discussion: """
                Where the server sends mail the link goes there; else it is printed, for you to hand over.

                Example:
                  postern user reset-link ada@example.com
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let id = try await user.id(api)
            try LinkAnswer.show(
                try await api.object(APIRequest(.post, in: .api, "users", id, "reset-password")), output)
        }
    }

    struct Unlock: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "End a person's wait after too many failed sign-ins.",
            discussion: """
                Example:
                  postern user unlock ada@example.com
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let id = try await user.id(api)
            _ = try await api.send(APIRequest(.post, in: .api, "users", id, "unlock"))
            try output.done("unlocked", id)
        }
    }

    struct Sessions: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List where a person is signed in.",
            discussion: """
                Example:
                  postern user sessions ada@example.com
                """)

        static let action = Action.userRead

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let id = try await user.id(api)
            try await Listing(columns: AccountCommand.Sessions.columns, nothing: "No sessions.")
                .print(APIRequest(.get, in: .api, "users", id, "sessions"), api, output: output)
        }
    }

    struct EndSessions: APICommand {
        static let configuration = CommandConfiguration(
            commandName: "end-sessions",
            abstract: "Sign a person out everywhere, at once.",
            discussion: """
                Example:
                  postern user end-sessions ada@example.com
                """)

        static let action = Action.userWrite

        @OptionGroup var user: UserArgument
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let id = try await user.id(api)
            let answer = try await api.object(APIRequest(.delete, in: .api, "users", id, "sessions"))
            try output.show(.object(answer), ["ended \(ValueText.cell(answer["ended"])) sessions"])
        }
    }
}
