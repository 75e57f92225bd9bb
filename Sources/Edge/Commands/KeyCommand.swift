// `postern key`: the API keys of the vault.

package import ArgumentParser
import JSON
import Model

package struct KeyCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "key",
        abstract: "Make, list, relabel, rotate and revoke API keys.",
        discussion: """
            Example:
              postern key create --label billing --scope send
            """,
        subcommands: [List.self, Create.self, Show.self, Relabel.self, Rotate.self, Revoke.self])

    package init() {}

    private static let columns = [
        TableColumn("ID", "id"), TableColumn("PREFIX", "prefix"), TableColumn("LABEL", "label"),
        TableColumn("KIND", "kind"), TableColumn("SCOPES", "scopes"), TableColumn("PARENT", "parent"),
        TableColumn("LAST USED", "last_used_at"), TableColumn("EXPIRES", "expires_at"),
        TableColumn("REVOKED", "revoked_at"),
    ]

    /// Creating and rotating show the key; nothing else ever does.
    static let shownOnce = "This is the only time that the key is shown."

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the keys.",
            discussion: """
                Example:
                  postern key list --all
                """)

        static let action = Action.keyRead

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            try await Listing(columns: KeyCommand.columns, nothing: "No keys.")
                .print(APIRequest(.get, "keys"), api, page: page, output: output)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a key, but never its secret.",
            discussion: """
                Example:
                  postern key show key_01jd3k8x5v9q2m7f
                """)

        static let action = Action.keyRead

        @Argument(help: "The key's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.get, "keys", id)))
        }
    }

    struct Relabel: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a key another label. What it may do never changes.",
            discussion: """
                Example:
                  postern key relabel key_01jd3k8x5v9q2m7f --label 'billing, old'
                """)

        static let action = Action.keyWrite

        @Argument(help: "The key's id.") var id: String
        @Option(help: "What the key is for, in your words.") var label: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            let body = JSONObject(["label": .string(label)])
            try output.show(try await api.object(APIRequest(.patch, "keys", id, json: body)))
        }
    }

    struct Rotate: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a key a new secret. It is shown once.",
            discussion: """
                The old secret stops working at once, or goes on for --overlap seconds, which is the time to bring the new \
                one to all who use the key.

                Example:
                  postern key rotate key_01jd3k8x5v9q2m7f --overlap 86400
                """)

        static let action = Action.keyWrite

        @Argument(help: "The key's id.") var id: String
        @Option(help: ArgumentHelp("Seconds for which the old secret goes on, up to 604800.", valueName: "seconds"))
        var overlap: Int?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        var request: APIRequest {
            var body = JSONObject()
            body.give("overlap_seconds", overlap)
            return APIRequest(.post, "keys", id, "rotate", json: overlap == nil ? nil : body)
        }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(request))
            Terminal.current.note(KeyCommand.shownOnce)
        }
    }

    struct Revoke: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "End a key at once and for good, with all keys that came from it.",
            discussion: """
                Example:
                  postern key revoke key_01jd3k8x5v9q2m7f
                """)

        static let action = Action.keyWrite

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
