// `postern plan`: what vaults may have, in numbers and in features.

package import ArgumentParser
import JSON
import Model

package struct PlanCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "List, show and edit the plans that vaults are on.",
        discussion: """
            Example:
              postern plan list
            """,
        subcommands: [List.self, Show.self, Set.self, Delete.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the plans.",
            discussion: """
                Example:
                  postern plan list
                """)

        static let action = Action.planRead

        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("PLAN", "name"), PlanCommand.limit("AGENTS", "agents"), PlanCommand.limit("USERS", "users"),
                PlanCommand.limit("STORAGE", "storage_bytes"), PlanCommand.limit("CALLS/MIN", "api_calls_per_minute"),
                PlanCommand.limit("AUDIT DAYS", "audit_retention_days"), TableColumn("FEATURES", "features", limit: 80),
                TableColumn("EDITED", "updated_at"),
            ]
            try await Listing(columns: columns, nothing: "No plans.")
                .print(APIRequest(.get, in: .api, "plans"), api, output: output)
        }
    }

    struct Show: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a plan with all its limits.",
            discussion: """
                Example:
                  postern plan show business
                """)

        static let action = Action.planRead

        @Argument(help: "The plan's name.") var name: String
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(name) }

        func perform(_ api: APIClient) async throws {
            try output.show(try await PlanCommand.read(name, api))
        }
    }

    struct Set: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Edit a plan, or make one; it holds for all vaults on it at once.",
            discussion: """
                What is not given stays as it is. A limit is a number, or none.

                Example:
                  postern plan set business --limit users=50 agents=none
                  postern plan set business --feature audit_export sso
                """)

        static let action = Action.planWrite

        @Argument(help: "The plan's name.") var name: String
        @OptionGroup var limits: LimitOptions
        @Option(parsing: .upToNextOption, help: "All features of the plan anew. Several, or with commas.")
        var feature: [String] = []
        @Flag(help: "The plan has no features.") var noFeatures = false
        @Option(
            parsing: .upToNextOption,
            help: ArgumentHelp(
                "All places where agents may be deployed to, anew; none for anywhere.", valueName: "place"))
        var deployTarget: [String] = []
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            try IDArgument.check(name)
            guard !limits.limit.isEmpty || !feature.isEmpty || noFeatures || !deployTarget.isEmpty else {
                throw ValidationError("Give what changes: --limit, --feature, --no-features or --deploy-target.")
            }
            if noFeatures, !feature.isEmpty { throw ValidationError("--no-features takes no --feature.") }
        }

        /// - Parameter plan: as it is; `nil`: a new one.
        func changed(_ plan: JSONObject?) -> JSONObject {
            var all = plan?["limits"]?.objectValue ?? JSONObject()
            for member in limits.document.members { all[member.name] = member.value }
            var body = JSONObject(["limits": .object(all)])
            let features = feature.splitAtCommas
            body["features"] =
                features.isEmpty && !noFeatures
                ? plan?["features"] ?? .array([]) : .array(features.map { .string($0) })
            switch deployTarget.splitAtCommas {
            case []: body["deploy_targets"] = plan?["deploy_targets"]
            case ["none"]: body["deploy_targets"] = .null
            case let targets: body.give("deploy_targets", targets)
            }
            return body
        }

        func perform(_ api: APIClient) async throws {
            let plan = try await PlanCommand.find(name, api)
            let request = APIRequest(.put, in: .api, "plans", name, json: changed(plan))
            try output.show(try await api.object(request))
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Delete a plan of your own; a shipped one is as it was shipped again.",
            discussion: """
                Example:
                  postern plan delete gold
                """)

        static let action = Action.planWrite

        @Argument(help: "The plan's name.") var name: String
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(name) }

        func perform(_ api: APIClient) async throws {
            _ = try await api.send(APIRequest(.delete, in: .api, "plans", name))
            try output.done("deleted", name)
        }
    }

    private static func limit(_ title: String, _ name: String) -> TableColumn {
        TableColumn(title) { plan in
            let value = plan["limits"]?.objectValue?[name]
            return value == nil || value == .null ? "unlimited" : ValueText.cell(value)
        }
    }

    private static func read(_ name: String, _ api: APIClient) async throws(CommandFailure) -> JSONObject {
        guard let plan = try await find(name, api) else { throw .failed("there is no plan \(name)") }
        return plan
    }

    private static func find(_ name: String, _ api: APIClient) async throws(CommandFailure) -> JSONObject? {
        guard let plans = try await api.object(APIRequest(.get, in: .api, "plans"))["data"]?.arrayValue else {
            throw .notPostern
        }
        return plans.compactMap(\.objectValue).first { $0["name"]?.stringValue == name }
    }
}
