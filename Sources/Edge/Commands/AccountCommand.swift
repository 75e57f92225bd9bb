// `postern account`: one's own account.

package import ArgumentParser
import JSON
import Model

package struct AccountCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "account",
        abstract: "See and change your own account: name, password, second factor, sessions.",
        discussion: """
            Example:
              postern account show
            """,
        subcommands: [
            Show.self, Rename.self, Password.self, Forgot.self, Reset.self, TOTP.self, RecoveryCodes.self,
            Sessions.self,
            EndSession.self,
        ])

    package init() {}

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show who you are here, and the vaults that you are a member of.",
            discussion: """
                Example:
                  postern account show
                """)

        static let action = Action.accountRead

        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.get, in: .auth, "me"))
            try output.show(.object(answer), Self.lines(answer))
        }

        static func lines(_ answer: JSONObject) -> [String] {
            var lines = ValueText.details(answer["user"]?.objectValue ?? JSONObject())
            let session = answer["session"]?.objectValue ?? JSONObject()
            lines += [
                "",
                "signed in by \(ValueText.cell(session["method"])), last at \(ValueText.cell(session["authenticated_at"]))",
                "",
            ]
            let memberships = (answer["memberships"]?.arrayValue ?? []).compactMap(\.objectValue)
            guard !memberships.isEmpty else { return lines + ["A member of no vault."] }
            var table = Table([
                TableColumn("VAULT", "slug"), TableColumn("NAME", "name"), TableColumn("ROLE", "role"),
                TableColumn("ID", "vault"),
            ])
            return lines + table.lines(memberships)
        }
    }

    struct Rename: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change what you are called.",
            discussion: """
                Example:
                  postern account rename 'Ada Lovelace'
                """)

        static let action = Action.accountWrite

        @Argument(help: "The new name.") var name: String
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let body = JSONObject(["name": .string(name)])
            try output.show(try await api.object(APIRequest(.patch, in: .auth, "me", json: body)))
        }
    }

    struct Sessions: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List your sessions: where you are signed in.",
            discussion: """
                Example:
                  postern account sessions
                """)

        static let action = Action.accountRead

        static let columns = [
            TableColumn("ID", "id"), TableColumn("", text: { $0["current"]?.boolValue == true ? "this one" : "" }),
            TableColumn("BY", "method"), TableColumn("SINCE", "created_at"), TableColumn("LAST USED", "last_used_at"),
            TableColumn("EXPIRES", "expires_at"), TableColumn("ENDED", "ended_at"), TableColumn("ADDRESS", "address"),
            TableColumn("PROGRAM", "user_agent", limit: 40),
        ]

        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try await Listing(columns: Self.columns, nothing: "No sessions.")
                .print(APIRequest(.get, in: .auth, "sessions"), api, output: output)
        }
    }

    struct EndSession: APICommand {
        static let configuration = CommandConfiguration(
            commandName: "end-session",
            abstract: "End a session of yours at once, or all but this one.",
            discussion: """
                Example:
                  postern account end-session ses_01jd3k8x5v9q2m7f
                  postern account end-session --others
                """)

        static let action = Action.sessionEnd

        @Argument(help: "The session's id.") var id: String?
        @Flag(help: "All sessions but the one that asks.") var others = false
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (id == nil) == others else { throw ValidationError("Give the id of a session, or --others.") }
            if let id { try IDArgument.check(id) }
        }

        func perform(_ api: APIClient) async throws {
            guard let id else {
                let answer = try await api.object(APIRequest(.delete, in: .auth, "sessions"))
                return try output.show(.object(answer), ["ended \(ValueText.cell(answer["ended"])) sessions"])
            }
            _ = try await api.send(APIRequest(.delete, in: .auth, "sessions", id))
            try output.done("ended", id)
        }
    }
}
