// `postern alert`: what is wrong with the vault and, for an administrator, with the instance.

package import ArgumentParser
import JSON

package struct AlertCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "alert",
        abstract: "List alerts: what is wrong now, and what was.",
        discussion: """
            Example:
              postern alert list
            """,
        subcommands: [List.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List alerts, the newest first. Those of the instance need a key with the scope admin.",
            discussion: """
                Example:
                  postern alert list
                  postern alert list --state all --limit 20
                """)

        @Option(help: "open, closed or all; the server's default is open.") var state: String?
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var request = APIRequest(.get, "alerts")
            request.ask("state", state)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("STATE", "state"), TableColumn("KIND", "kind"),
                TableColumn("SINCE", "began_at"), TableColumn("CLOSED", "closed_at"),
                TableColumn("DETAIL", "detail", limit: 120), TableColumn("WHAT TO DO", "fix", limit: 300),
            ]
            try await Listing(columns: columns, nothing: "No alerts.").print(request, api, page: page, output: output)
        }
    }
}
