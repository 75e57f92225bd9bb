// `postern vault usage`: what a vault uses of what its plan allows.

import ArgumentParser
import JSON
import Model

extension VaultCommand {
    struct Usage: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a vault uses of what its plan allows.",
            discussion: """
                Without an argument it is the vault of the key, or the one of --vault.

                Example:
                  postern vault usage shop
                  postern vault usage --json
                """)

        static let action = Action.usageRead

        @Argument(help: "The vault's id or slug.") var vault: String?
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        /// A vault that is named by its path is asked about by a person.
        var audience: Audience { vault == nil ? .peopleAndKeys : .people }

        func validate() throws {
            if let vault { try IDArgument.check(vault) }
        }

        var request: APIRequest {
            vault.map { APIRequest(.get, in: .api, "vaults", $0, "usage") } ?? APIRequest(.get, "usage")
        }

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(request)
            try output.show(.object(answer), Self.lines(answer))
        }

        /// A table of what is used and allowed, and one of the months.
        static func lines(_ answer: JSONObject) -> [String] {
            let used = answer["used"]?.objectValue ?? JSONObject()
            var limits = Table([
                TableColumn("OF", "name"), TableColumn("USED", "used"),
                TableColumn("ALLOWED") { $0["allowed"] == .null ? "unlimited" : ValueText.cell($0["allowed"]) },
            ])
            let rows = (answer["limits"]?.objectValue ?? JSONObject()).members.map { limit in
                JSONObject([
                    "name": .string(limit.name), "used": used[limit.name] ?? .null, "allowed": limit.value,
                ])
            }
            let months = (answer["months"]?.arrayValue ?? []).compactMap(\.objectValue)
            var table = Table([
                TableColumn("MONTH", "month"), TableColumn("MESSAGES", "messages"),
                TableColumn("API CALLS", "api_calls"),
            ])
            return ["plan: \(ValueText.cell(answer["plan"]))", ""] + limits.lines(rows)
                + (months.isEmpty ? [] : [""] + table.lines(months))
        }
    }
}
