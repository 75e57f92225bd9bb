// `postern key`: the API keys of the vault.

package import ArgumentParser
import JSON

package struct KeyCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Make, list, rotate and revoke API keys.",
        discussion: """
            Example:
              postern key create --label billing --scope send
            """,
        subcommands: [List.self, Create.self, Show.self, Rotate.self, Revoke.self])

    package init() {}

    private static let columns = [
        TableColumn("ID", "id"), TableColumn("PREFIX", "prefix"), TableColumn("LABEL", "label"),
        TableColumn("KIND", "kind"), TableColumn("SCOPES", "scopes"), TableColumn("LAST USED", "last_used_at"),
        TableColumn("EXPIRES", "expires_at"), TableColumn("REVOKED", "revoked_at"),
    ]

    /// Creating and rotating show the key; nothing else ever does.
    private static let shownOnce = "This is the only time that the key is shown."

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the keys.",
            discussion: """
                Example:
                  postern key list --all
                """)

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try await Listing(columns: KeyCommand.columns, nothing: "No keys.")
                .print(APIRequest(.get, "keys"), api, page: page, output: output)
        }
    }

    struct Create: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make a key. It is shown once.",
            discussion: """
                Example:
                  postern key create --label billing --scope send read \\
                    --sender-domain example.com '*.example.com'
                  postern key create --label helper --kind agent --scope send \\
                    --expires-at 2027-01-01T00:00:00Z
                """)

        @Option(help: "What the key is for, in your words.")
        var label: String

        @Option(help: "tool or agent; the server's default is tool.")
        var kind: String?

        @Option(
            parsing: .upToNextOption,
            help: "What the key may do: send, read, mailerq, amqp, admin. Several, or with commas.")
        var scope: [String]

        @Flag(help: "The key may read and change nothing, whatever its scopes.")
        var readOnly = false

        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp("The key may send from these domains only.", valueName: "domain"))
        var senderDomain: [String] = []

        @Option(help: ArgumentHelp("When the key ends, such as 2027-01-01T00:00:00Z.", valueName: "time"))
        var expiresAt: String?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var body = JSONObject()
            body.give("label", label)
            body.give("kind", kind)
            body.give("scopes", scope.splitAtCommas)
            if readOnly { body["read_only"] = .bool(true) }
            body.give("sender_domains", senderDomain.splitAtCommas)
            body.give("expires_at", expiresAt)
            return APIRequest(.post, "keys", json: body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
            Terminal.current.note(KeyCommand.shownOnce)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a key, but never its secret.",
            discussion: """
                Example:
                  postern key show key_01jd3k8x5v9q2m7f
                """)

        @Argument(help: "The key's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.get, "keys", id)))
        }
    }

    struct Rotate: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a key a new secret. It is shown once, and the old one stops working.",
            discussion: """
                Example:
                  postern key rotate key_01jd3k8x5v9q2m7f
                """)

        @Argument(help: "The key's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.post, "keys", id, "rotate")))
            Terminal.current.note(KeyCommand.shownOnce)
        }
    }

    struct Revoke: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "End a key at once and for good.",
            discussion: """
                Example:
                  postern key revoke key_01jd3k8x5v9q2m7f
                """)

        @Argument(help: "The key's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            _ = try await api.send(APIRequest(.delete, "keys", id))
            try output.done("revoked", id)
        }
    }
}
