// `postern message`: the send log, and what can still be done about a message.

package import ArgumentParser
import JSON
import Model

package struct MessageCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "message",
        abstract: "Read the send log; cancel, retry and wait for messages.",
        discussion: """
            Example:
              postern message list --status bounced --since 2026-11-20T00:00:00Z
            """,
        subcommands: [List.self, Show.self, Events.self, Raw.self, Cancel.self, Retry.self, Wait.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List messages, the newest first.",
            discussion: """
                Example:
                  postern message list --recipient ann@example.org --limit 20
                  postern message list --status failed --all --json
                """)

        static let action = Action.messageRead

        @Option(help: "Handed in by the key or SMTP user with this label.") var caller: String?
        @Option(help: "Where it stands: queued, delivered, bounced, ….") var status: String?
        @Option(help: ArgumentHelp("Accepted at or after this time.", valueName: "time")) var since: String?
        @Option(help: ArgumentHelp("Accepted before this time.", valueName: "time")) var until: String?
        @Option(help: ArgumentHelp("To this address.", valueName: "address")) var recipient: String?
        @Option(
            name: .customLong("q"),
            help: ArgumentHelp("A message id, a submission's id, or the beginning of a recipient.", valueName: "text"))
        var search: String?
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var request = APIRequest(.get, "messages")
            request.ask("caller", caller)
            request.ask("status", status)
            request.ask("since", since)
            request.ask("until", until)
            request.ask("recipient", recipient)
            request.ask("q", search)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("STATUS", "status"), TableColumn("CREATED", "created_at"),
                TableColumn("FROM", "from"), TableColumn("RECIPIENT", "recipient"),
                TableColumn("SUBJECT", "subject", limit: 60),
            ]
            try await Listing(columns: columns, nothing: "No messages.").print(request, api, page: page, output: output)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a message and its envelope.",
            discussion: """
                Example:
                  postern message show msg_01jd3k8x5v9q2m7f
                """)

        static let action = Action.messageRead

        @Argument(help: "The message's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.get, "messages", id)))
        }
    }

    struct Cancel: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop a message that has not left yet.",
            discussion: """
                Example:
                  postern message cancel msg_01jd3k8x5v9q2m7f
                """)

        static let action = Action.messageCancel

        @Argument(help: "The message's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.post, "messages", id, "cancel")))
        }
    }

    struct Retry: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Send a message again that did not arrive.",
            discussion: """
                Example:
                  postern message retry msg_01jd3k8x5v9q2m7f
                """)

        static let action = Action.messageRetry

        @Argument(help: "The message's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.post, "messages", id, "retry")))
        }
    }
}
