// `postern alert`: what is wrong with the vault or with the instance, what people say about it, and what is told.

package import ArgumentParser
import JSON
import Model

package struct AlertCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "alert",
        abstract: "List alerts, acknowledge and resolve them, and say what is told.",
        discussion: """
            Example:
              postern alert list
              postern alert acknowledge ALERT_ID --note "on it"
            """,
        subcommands: [List.self, Show.self, Acknowledge.self, Resolve.self, Rule.self])

    package init() {}

    /// Whose alerts: the vault's, unless it is said otherwise.
    struct Scope: ParsableArguments {
        @Flag(help: "Those of the whole instance, for its people with the role admin.")
        var instance = false

        var root: APIRequest.Root { instance ? .api : .v1 }
    }

    struct List: APICommand {
        static let action = Action.alertRead
        static let configuration = CommandConfiguration(
            abstract: "List alerts, the newest first.",
            discussion: """
                Example:
                  postern alert list
                  postern alert list --state all --limit 20
                  postern alert list --instance --severity critical
                """)

        @Option(help: "unresolved, open, acknowledged, resolved or all; the server's default is unresolved.")
        var state: String?
        @Option(help: "Of this kind, such as failure_backlog.") var kind: String?
        @Option(help: "info, warning or critical.") var severity: String?
        @OptionGroup var scope: Scope
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var isForPeople: Bool { scope.instance }

        var request: APIRequest {
            var request = APIRequest(.get, in: scope.root, "alerts")
            request.ask("state", state)
            request.ask("kind", kind)
            request.ask("severity", severity)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("STATE", "state"), TableColumn("SEVERITY", "severity"),
                TableColumn("KIND", "kind"), TableColumn("TIMES", "times"), TableColumn("SINCE", "began_at"),
                TableColumn("CLOSED", "closed_at"), TableColumn("DETAIL", "detail", limit: 120),
                TableColumn("WHAT TO DO", "fix", limit: 300),
            ]
            try await Listing(columns: columns, nothing: "No alerts.").print(request, api, page: page, output: output)
        }
    }

    struct Show: APICommand {
        static let action = Action.alertRead
        static let configuration = CommandConfiguration(
            abstract: "Show an alert.",
            discussion: """
                Example:
                  postern alert show ALERT_ID
                """)

        @Argument(help: "The alert's id.") var id: String
        @OptionGroup var scope: Scope
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var isForPeople: Bool { scope.instance }

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await api.object(APIRequest(.get, in: scope.root, "alerts", id)))
        }
    }

    struct Acknowledge: APICommand {
        static let action = Action.alertAcknowledge
        static let configuration = CommandConfiguration(
            abstract: "Say that you know of an alert: nobody is told again that it is open.",
            discussion: """
                Example:
                  postern alert acknowledge ALERT_ID --note "the disk is being changed"
                """)

        @Argument(help: "The alert's id.") var id: String
        @Option(help: "A word to the others.") var note: String?
        @OptionGroup var scope: Scope
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var isForPeople: Bool { scope.instance }

        func validate() throws { try IDArgument.check(id) }

        var request: APIRequest {
            var body = JSONObject()
            body.give("note", note)
            return APIRequest(.post, in: scope.root, "alerts", id, "acknowledge", json: body)
        }

        func perform(_ api: APIClient) async throws { try output.show(try await api.object(request)) }
    }

    struct Resolve: APICommand {
        static let action = Action.alertAcknowledge
        static let configuration = CommandConfiguration(
            abstract: "Say that an alert is over, where it does not end by itself at once.",
            discussion: """
                Example:
                  postern alert resolve ALERT_ID --note "the key was revoked"
                """)

        @Argument(help: "The alert's id.") var id: String
        @Option(help: "A word to the others.") var note: String?
        @OptionGroup var scope: Scope
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var isForPeople: Bool { scope.instance }

        func validate() throws { try IDArgument.check(id) }

        var request: APIRequest {
            var body = JSONObject()
            body.give("note", note)
            return APIRequest(.post, in: scope.root, "alerts", id, "resolve", json: body)
        }

        func perform(_ api: APIClient) async throws { try output.show(try await api.object(request)) }
    }
}
