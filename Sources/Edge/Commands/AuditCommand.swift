// `postern audit`: who changed what, and who was refused, in the vault or in the instance.

package import ArgumentParser
import JSON
import Model

package struct AuditCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Read the audit log: who changed what, and who was refused.",
        discussion: """
            Example:
              postern audit list --action settings.write
              postern audit export --output audit.jsonl
            """,
        subcommands: [List.self, Export.self, Check.self])

    package init() {}

    /// Whose log: the vault's, unless it is said otherwise.
    struct Scope: ParsableArguments {
        @Flag(help: "That of the instance, for its people: sign-ins, users, vaults.")
        var instance = false

        var root: APIRequest.Root { instance ? .api : .v1 }

        func audience(_ action: Action) -> Audience { instance ? .people : Audience(action.rule) }
    }

    struct Filters: ParsableArguments {
        @Option(help: "The id or the label of who did it.") var actor: String?
        @Option(help: "An action such as key.write, or the beginning of several, such as key.") var action: String?
        @Option(help: "What it was about: an id, or settings.") var resource: String?
        @Option(help: "done, refused or failed.") var outcome: String?
        @Option(help: ArgumentHelp("At this time or later.", valueName: "time")) var since: String?
        @Option(help: ArgumentHelp("Before this time.", valueName: "time")) var until: String?

        func ask(_ request: inout APIRequest) {
            request.ask("actor", actor)
            request.ask("action", action)
            request.ask("resource", resource)
            request.ask("outcome", outcome)
            request.ask("since", since)
            request.ask("until", until)
        }
    }

    struct List: APICommand {
        static let action = Action.auditRead
        static let configuration = CommandConfiguration(
            abstract: "List records, the newest first, with before and after.",
            discussion: """
                Example:
                  postern audit list --since 2026-11-20T00:00:00Z --all
                  postern audit list --actor key_01jd3k8x5v9q2m7f --json
                  postern audit list --action key. --outcome refused
                  postern audit list --instance --action session.begin --outcome failed
                """)

        @OptionGroup var filters: Filters
        @OptionGroup var scope: Scope
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var audience: Audience { scope.audience(Self.action) }

        var request: APIRequest {
            var request = APIRequest(.get, in: scope.root, "audit")
            filters.ask(&request)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("AT", "at"), TableColumn("WHO", "actor_label"), TableColumn("ACTOR", "actor"),
                TableColumn("ACTION", "action"), TableColumn("RESOURCE", "resource"), TableColumn("OUTCOME", "outcome"),
                TableColumn("REASON", "reason", limit: 120), TableColumn("BEFORE", "before", limit: 120),
                TableColumn("AFTER", "after", limit: 120),
            ]
            try await Listing(columns: columns, nothing: "No records.").print(request, api, page: page, output: output)
        }
    }
}
