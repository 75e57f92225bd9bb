// `postern alert rule`: from which point on somebody is told, how often, and who.

import ArgumentParser
import JSON
import Model

extension AlertCommand {
    struct Rule: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rule",
            abstract: "List, set and delete alert rules.",
            discussion: """
                Example:
                  postern alert rule list
                  postern alert rule set bounce_rate --threshold 5 \\
                    --from alerts@example.com --to ops@example.com
                """,
            subcommands: [List.self, Set.self, Delete.self])

        struct List: APICommand {
            static let action = Action.alertRuleRead
            static let configuration = CommandConfiguration(
                abstract: "List the rules, and what holds where none is written.",
                discussion: """
                    Example:
                      postern alert rule list
                      postern alert rule list --instance --json
                    """)

            @OptionGroup var scope: Scope
            @OptionGroup var connection: ConnectionOptions
            @OptionGroup var output: OutputOptions

            var isForPeople: Bool { scope.instance }

            func perform(_ api: APIClient) async throws {
                let answer = try await api.object(APIRequest(.get, in: scope.root, "alert-rules"))
                guard let own = answer["data"]?.arrayValue, let inherited = answer["inherited"]?.arrayValue else {
                    throw CommandFailure.notPostern
                }
                let held = inherited.compactMap(\.objectValue).filter { $0["is_in_force"]?.boolValue == true }
                let columns = [
                    TableColumn("ID", "id"), TableColumn("CONDITION", "condition"), TableColumn("ON", "is_enabled"),
                    TableColumn("THRESHOLD", "threshold"), TableColumn("MINIMUM", "minimum"),
                    TableColumn("WINDOW", "window_seconds"), TableColumn("COOL-DOWN", "cooldown_seconds"),
                    TableColumn("SEVERITY", "severity"), TableColumn("CHANNELS", "channels"),
                    TableColumn("TO", "recipients", limit: 80),
                ]
                let rows = own.compactMap(\.objectValue) + held.map(Self.shipped)
                var table = Table(columns)
                try output.show(.object(answer), table.lines(rows))
            }

            /// In the table of the rules, where it has no id.
            private static func shipped(_ rule: JSONObject) -> JSONObject {
                var rule = rule
                rule["id"] = .string("-")
                rule["is_enabled"] = .bool(true)
                return rule
            }
        }

        struct Set: APICommand {
            static let action = Action.alertRuleWrite
            static let configuration = CommandConfiguration(
                abstract: "Write a rule for a condition, or change a rule; what is not given stays.",
                discussion: """
                    With a condition the one rule that there is for it is changed, and where there is
                    none it is made.

                    Example:
                      postern alert rule set failure_backlog --threshold 20 \\
                        --from alerts@example.com --to ops@example.com
                      postern alert rule set broker_unreachable --instance \\
                        --cooldown 3600 --channel webhook
                      postern alert rule set refusals --off
                      postern alert rule set RULE_ID --reset threshold
                    """)

            @Argument(help: "A condition, such as bounce_rate, or a rule's id.") var rule: String
            @Option(help: "From how much on: failures, seconds, percent, or how often.") var threshold: Int?
            @Option(help: "Of what bounce_rate takes the share, so many messages at least.") var minimum: Int?
            @Option(help: "Seconds that it has to hold, or that are counted over.") var window: Int?
            @Option(help: "Seconds in which the same is not told again.") var cooldown: Int?
            @Option(help: "info, warning or critical.") var severity: String?
            @Option(
                parsing: .upToNextOption,
                help:
                    "webhook and email for the instance, email for a vault; none: nobody is told. With commas or several."
            )
            var channel: [String] = []
            @Option(help: "For a vault's letters: an address that it may send from.") var from: String?
            @Option(
                parsing: .upToNextOption, help: "For a vault's letters: who gets them, up to 5. With commas or several."
            )
            var to: [String] = []
            @Option(
                parsing: .upToNextOption,
                help: ArgumentHelp(
                    "Fields that are to be as shipped again, by their names in the API.", valueName: "field"))
            var reset: [String] = []
            @Flag(help: "Switch it off: the condition is silent.") var off = false
            @Flag(help: "Switch it on again.") var on = false
            @Flag(help: "Make another rule beside those that there are.") var add = false
            @OptionGroup var scope: Scope
            @OptionGroup var connection: ConnectionOptions
            @OptionGroup var output: OutputOptions

            var isForPeople: Bool { scope.instance }

            private var isID: Bool { rule.hasPrefix(AlertRuleKind.prefix) }

            func validate() throws {
                if isID { try IDArgument.check(rule) }
                guard !on || !off else { throw ValidationError("Give --on or --off, not both.") }
                guard !isID || !add else { throw ValidationError("--add goes with a condition.") }
                guard !isID || !body.members.isEmpty else { throw ValidationError("Give what changes.") }
            }

            var body: JSONObject {
                var body = JSONObject()
                for (name, value) in [
                    ("threshold", threshold), ("minimum", minimum), ("window_seconds", window),
                    ("cooldown_seconds", cooldown),
                ] {
                    if let value { body[name] = .integer(Int64(value)) }
                }
                body.give("severity", severity)
                let channels = channel.splitAtCommas
                if channels == ["none"] {
                    body["channels"] = .array([])
                } else {
                    body.give("channels", channels)
                }
                body.give("from", from)
                body.give("recipients", to.splitAtCommas)
                for name in reset.splitAtCommas { body[name] = .null }
                if on || off { body["is_enabled"] = .bool(on) }
                return body
            }

            var creation: APIRequest {
                var body = JSONObject(["condition": .string(rule)])
                // What is reset is not said at all.
                for member in self.body.members where member.value != .null { body[member.name] = member.value }
                return APIRequest(.post, in: scope.root, "alert-rules", json: body)
            }

            func change(_ id: String) -> APIRequest {
                APIRequest(.patch, in: scope.root, "alert-rules", id, json: body)
            }

            func perform(_ api: APIClient) async throws {
                try output.show(try await api.object(try await request(api)))
            }

            private func request(_ api: APIClient) async throws -> APIRequest {
                if isID { return change(rule) }
                if add { return creation }
                let answer = try await api.object(APIRequest(.get, in: scope.root, "alert-rules"))
                let known = answer["data"]?.arrayValue?.compactMap(\.objectValue) ?? []
                let ids = known.filter { $0["condition"]?.stringValue == rule }.compactMap { $0["id"]?.stringValue }
                switch ids.count {
                case 0: return creation
                case 1:
                    guard !body.members.isEmpty else { throw CommandFailure.failed("give what changes") }
                    return change(ids[0])
                default:
                    let list = ids.map(Visible.text).joined(separator: ", ")
                    throw CommandFailure.failed("there are several rules for this: name one of \(list), or give --add")
                }
            }
        }

        struct Delete: APICommand {
            static let action = Action.alertRuleWrite
            static let configuration = CommandConfiguration(
                abstract: "Delete a rule: what holds without it holds again.",
                discussion: """
                    Example:
                      postern alert rule delete RULE_ID
                    """)

            @Argument(help: "The rule's id.") var id: String
            @OptionGroup var scope: Scope
            @OptionGroup var connection: ConnectionOptions
            @OptionGroup var output: OutputOptions

            var isForPeople: Bool { scope.instance }

            func validate() throws { try IDArgument.check(id) }

            func perform(_ api: APIClient) async throws {
                _ = try await api.send(APIRequest(.delete, in: scope.root, "alert-rules", id))
                try output.done("deleted", id)
            }
        }
    }
}
