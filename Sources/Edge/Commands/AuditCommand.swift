// `postern audit`: who changed what in the vault.

package import ArgumentParser
import JSON

package struct AuditCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Read the audit log: who changed what.",
        discussion: """
            Example:
              postern audit list --action settings.write
            """,
        subcommands: [List.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List changes, the newest first, with before and after. Needs a key with the scope admin.",
            discussion: """
                Example:
                  postern audit list --since 2026-11-20T00:00:00Z --all
                  postern audit list --actor key_01jd3k8x5v9q2m7f --json
                """)

        @Option(help: "The id or the label of who did it.") var actor: String?
        @Option(help: "settings.write, pool.write, key.write, smtp_user.write or secret.write.") var action: String?
        @Option(help: "What was changed: an id, or settings.") var resource: String?
        @Option(help: ArgumentHelp("At this time or later.", valueName: "time")) var since: String?
        @Option(help: ArgumentHelp("Before this time.", valueName: "time")) var until: String?
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var request = APIRequest(.get, "audit")
            request.ask("actor", actor)
            request.ask("action", action)
            request.ask("resource", resource)
            request.ask("since", since)
            request.ask("until", until)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("AT", "at"), TableColumn("WHO", "actor_label"), TableColumn("ACTOR", "actor"),
                TableColumn("ACTION", "action"), TableColumn("RESOURCE", "resource"),
                TableColumn("BEFORE", "before", limit: 120), TableColumn("AFTER", "after", limit: 120),
            ]
            try await Listing(columns: columns, nothing: "No changes.").print(request, api, page: page, output: output)
        }
    }
}
