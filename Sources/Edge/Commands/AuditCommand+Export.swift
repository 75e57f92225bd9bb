// `postern audit export` and `postern audit check`: the log as a file, and whether it is as it was written.

import ArgumentParser
import JSON
import Model

extension AuditCommand {
    struct Export: APICommand {
        static let action = Action.auditExport
        static let configuration = CommandConfiguration(
            abstract: "Write the log to a file: as JSON Lines that `postern audit verify --file` checks, or as CSV.",
            discussion: """
                The newest record comes first. Without filters the file is a whole piece of the chain, and its gaps are seen; \
                that it was exported stands in the log.

                Example:
                  postern audit export --output audit.jsonl
                  postern audit export --format csv --since 2026-01-01T00:00:00Z
                """)

        @Option(help: "jsonl or csv.") var format = "jsonl"
        @Option(help: ArgumentHelp("Where to write it; else to standard output.", valueName: "path")) var output:
            String?
        @OptionGroup var filters: Filters
        @OptionGroup var scope: Scope
        @OptionGroup var connection: ConnectionOptions

        var audience: Audience { scope.audience(Self.action) }

        func validate() throws {
            guard ["jsonl", "csv"].contains(format) else { throw ValidationError("--format is jsonl or csv.") }
        }

        var request: APIRequest {
            var request = APIRequest(.get, in: scope.root, "audit", "export")
            request.ask("format", format)
            filters.ask(&request)
            return request
        }

        func perform(_ api: APIClient) async throws {
            guard let output else {
                return try await api.download(request) { bytes in try Terminal.current.output(bytes) }
            }
            let file = try AuditFile(path: output)
            do {
                try await api.download(request) { bytes in try file.write(bytes) }
            } catch {
                file.abandon()
                throw error
            }
            try file.keep()
        }
    }

    struct Check: APICommand {
        static let action = Action.auditRead
        static let configuration = CommandConfiguration(
            abstract: "Have the server check that the log is as it was written.",
            discussion: """
                Ends with 1 where it is not. With --instance every chain is checked: the instance's and each vault's. \
                `postern audit verify` does the same on the server's own machine, without believing the server.

                Example:
                  postern audit check
                  postern audit check --anchor SEQUENCE:DIGEST
                """)

        @Option(
            help: ArgumentHelp(
                "A place that the chain has to have, as it was noted earlier; several may be given.",
                valueName: "sequence:digest"))
        var anchor: [String] = []
        @OptionGroup var scope: Scope
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var audience: Audience { scope.audience(Self.action) }

        var request: APIRequest {
            var request = APIRequest(.get, in: scope.root, "audit", "verify")
            for anchor in anchor { request.ask("anchor", anchor) }
            return request
        }

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(request)
            guard let isIntact = answer["intact"]?.boolValue, let chains = answer["chains"]?.arrayValue else {
                throw CommandFailure.notPostern
            }
            try output.show(.object(answer), Self.lines(chains.compactMap(\.objectValue)))
            guard isIntact else { throw CommandFailure.failed("the audit log is not as it was written") }
        }

        static func lines(_ chains: [JSONObject]) -> [String] {
            var lines: [String] = []
            for chain in chains {
                func text(_ name: String) -> String { ValueText.cell(chain[name]) }
                lines.append(
                    "\(text("chain")): \(text("state")), \(text("records")) records, anchor \(text("last")):\(text("digest"))"
                )
                for finding in chain["findings"]?.arrayValue ?? [] {
                    let detail = finding.objectValue?["detail"]?.stringValue ?? ""
                    lines.append("  \(Visible.text(detail))")
                }
            }
            return lines
        }
    }
}
