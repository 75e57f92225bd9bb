// `postern queue`: how the broker's queues are, and what to do about mail that did not arrive.

package import ArgumentParser
import JSON
import Model

package struct QueueCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "queue",
        abstract: "Look at the broker's queues; drain and requeue what did not arrive.",
        discussion: """
            Example:
              postern queue list
            """,
        subcommands: [List.self, Failures.self, Drain.self, Requeue.self, Orphans.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show each queue's depth, rates and health.",
            discussion: """
                Example:
                  postern queue list
                """)

        static let action = Action.queueRead

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.get, "queues"))
            try output.show(.object(answer), Self.lines(answer))
        }

        /// A table of the queues, what is to be said about those that are not well, and the connections.
        static func lines(_ answer: JSONObject) -> [String] {
            var lines = ["broker: \(sentence(answer["status"], answer["detail"]))"]
            let queues = (answer["queues"]?.arrayValue ?? []).compactMap(\.objectValue)
            if !queues.isEmpty {
                var table = Table([
                    TableColumn("QUEUE", "role"), TableColumn("NAME", "name"), TableColumn("HEALTH", "health"),
                    TableColumn("READY", "ready"), TableColumn("UNACKED", "unacknowledged"),
                    TableColumn("IN/S", "publish_rate"), TableColumn("OUT/S", "consume_rate"),
                    TableColumn("CONSUMERS", "consumers"), TableColumn("TYPE", "type"),
                ])
                lines += table.lines(queues)
            }
            for queue in queues where queue["health"]?.stringValue != "healthy" {
                lines.append("\(ValueText.cell(queue["role"])): \(ValueText.cell(queue["detail"]))")
            }
            for connection in (answer["connections"]?.arrayValue ?? []).compactMap(\.objectValue) {
                let name = ValueText.cell(connection["name"])
                lines.append("connection \(name): \(sentence(connection["state"], connection["detail"]))")
            }
            if let waiting = answer["failures_waiting"]?.integerValue {
                lines.append("failures waiting: \(waiting)")
            }
            return lines
        }

        private static func sentence(_ word: JSONValue?, _ detail: JSONValue?) -> String {
            let word = ValueText.cell(word)
            return detail?.stringValue == nil ? word : "\(word), \(ValueText.cell(detail))"
        }
    }

    struct Failures: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List what did not arrive and waits for a decision, the oldest first.",
            discussion: """
                Example:
                  postern queue failures --code 5xx --domain example.org
                """)

        static let action = Action.queueRead

        @OptionGroup var filter: FailureOptions
        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        var request: APIRequest {
            var request = APIRequest(.get, "queues", "failure")
            request.ask("code", filter.code)
            request.ask("domain", filter.domain)
            request.ask("older_than", filter.olderThan)
            return request
        }

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("MESSAGE", "message"), TableColumn("FAILED", "failed_at"), TableColumn("CODE", "code"),
                TableColumn("STATUS", "enhanced_code"), TableColumn("DOMAIN", "domain"), TableColumn("ROUTE", "route"),
                TableColumn("REASON", "reason", limit: 60),
            ]
            try await Listing(columns: columns, nothing: "No failures wait.")
                .print(request, api, page: page, output: output)
        }
    }

    struct Drain: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Take failures out of the backlog: noted, and not sent again.",
            discussion: """
                Without a filter it takes all, oldest first, up to the limit.

                Example:
                  postern queue drain --code 550 --older-than 7d --dry-run
                """)

        static let action = Action.queueRepair

        @OptionGroup var repair: RepairOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try repair.check() }

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(repair.request("drain"))
            try output.show(.object(answer), RepairOptions.lines(answer))
        }
    }

    struct Requeue: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Send failures again.",
            discussion: """
                Without a filter it takes all, oldest first, up to the limit.

                Example:
                  postern queue requeue --code 4xx --domain example.org --limit 500
                """)

        static let action = Action.queueRepair

        @OptionGroup var repair: RepairOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try repair.check() }

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(repair.request("requeue"))
            try output.show(.object(answer), RepairOptions.lines(answer))
        }
    }

    struct Orphans: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List results that belong to no message, the newest first. For admins of the instance.",
            discussion: """
                Example:
                  postern queue orphans --limit 20
                """)

        static let action = Action.orphanRead

        @OptionGroup var page: PageOptions
        @OptionGroup var connection: ServerOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let columns = [
                TableColumn("ID", "id"), TableColumn("RECEIVED", "received_at"), TableColumn("QUEUE", "queue"),
                TableColumn("REFERENCE", "reference"), TableColumn("DOMAIN", "recipient_domain"),
                TableColumn("CODE", "code"), TableColumn("REASON", "reason", limit: 60),
            ]
            try await Listing(columns: columns, nothing: "No orphans.")
                .print(APIRequest(.get, in: .api, "queues", "orphans"), api, page: page, output: output)
        }
    }
}
