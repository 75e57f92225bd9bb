// `postern mailerq`: MailerQ's own operations, as far as they are open.

package import ArgumentParser
import JSON
import Model

package struct MailerQCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "mailerq",
        abstract: "See which of MailerQ's operations are open, and use them.",
        discussion: """
            Example:
              postern mailerq get v1/pauses
            """,
        subcommands: [Operations.self, Get.self, Post.self, Delete.self])

    package init() {}

    struct Operations: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List the operations, and how the last hour went.",
            discussion: """
                Example:
                  postern mailerq operations
                """)

        static let action = Action.mailerqRead

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.get, "mailerq"))
            try output.show(.object(answer), Self.lines(answer))
        }

        static func lines(_ answer: JSONObject) -> [String] {
            var table = Table([
                TableColumn("METHOD", "method"), TableColumn("PATH", "path"),
                TableColumn("") { $0["open"]?.boolValue == true ? "open" : "closed" },
            ])
            let rows = table.lines((answer["operations"]?.arrayValue ?? []).compactMap(\.objectValue))
            guard answer["configured"]?.boolValue == true else {
                return rows + ["MailerQ's REST API is not configured."]
            }
            let hour = answer["last_hour"]?.objectValue ?? JSONObject()
            let flight = ValueText.cell(answer["in_flight"])
            return rows + [
                "in flight: \(flight); last hour: \(ValueText.cell(hour["requests"])) requests, "
                    + "\(ValueText.cell(hour["errors"])) errors"
            ]
        }
    }

    struct Get: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Read something from MailerQ.",
            discussion: """
                Example:
                  postern mailerq get v1/poolips name=main
                """)

        static let action = Action.mailerqRead

        @Argument(help: "MailerQ's path.") var path: String
        @Argument(help: ArgumentHelp("Query parameters.", valueName: "name=value")) var parameters: [String] = []
        @OptionGroup var connection: ConnectionOptions

        func validate() throws { try Operation.check(path, parameters) }

        func perform(_ api: APIClient) async throws {
            var request = Operation.request(.get, path)
            for (name, value) in Operation.pairs(parameters) { request.ask(name, value) }
            try Operation.show(try await api.send(request))
        }
    }

    struct Post: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Make or change something in MailerQ.",
            discussion: """
                Example:
                  postern mailerq post v1/pauses domain=example.org
                """)

        static let action = Action.mailerqWrite

        @Argument(help: "MailerQ's path.") var path: String
        @Argument(help: ArgumentHelp("What to send.", valueName: "name=value")) var members: [String] = []
        @OptionGroup var connection: ConnectionOptions

        func validate() throws { try Operation.check(path, members) }

        func perform(_ api: APIClient) async throws {
            try Operation.show(try await api.send(Operation.request(.post, path, members)))
        }
    }

    struct Delete: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Take something out of MailerQ.",
            discussion: """
                Example:
                  postern mailerq delete v1/pauses domain=example.org
                """)

        static let action = Action.mailerqWrite

        @Argument(help: "MailerQ's path.") var path: String
        @Argument(help: ArgumentHelp("What it is.", valueName: "name=value")) var members: [String] = []
        @OptionGroup var connection: ConnectionOptions

        func validate() throws { try Operation.check(path, members) }

        func perform(_ api: APIClient) async throws {
            try Operation.show(try await api.send(Operation.request(.delete, path, members)))
        }
    }

    /// What the three have in common.
    enum Operation {
        static func check(_ path: String, _ pairs: [String]) throws {
            guard !segments(path).isEmpty else { throw ValidationError("The path is empty.") }
            for pair in pairs where (pair.firstIndex(of: "=") ?? pair.startIndex) == pair.startIndex {
                throw ValidationError("'\(Visible.text(pair))' is not name=value.")
            }
        }

        static func request(_ method: APIRequest.Method, _ path: String) -> APIRequest {
            var request = APIRequest(method, "mailerq")
            request.path += segments(path)
            return request
        }

        /// What MailerQ takes as a number or a truth value; everything else is text, whatever it looks like.
        private static let integers: Set<String> = ["code", "connect_port"]
        private static let truths: Set<String> = ["cluster"]

        static func request(_ method: APIRequest.Method, _ path: String, _ members: [String]) -> APIRequest {
            var body = JSONObject()
            for (name, value) in pairs(members) {
                if integers.contains(name), let number = Int64(value) {
                    body[name] = .integer(number)
                } else if truths.contains(name), value == "true" || value == "false" {
                    body[name] = .bool(value == "true")
                } else {
                    body[name] = .string(value)
                }
            }
            var request = request(method, path)
            request.body = .json(.object(body))
            return request
        }

        static func pairs(_ texts: [String]) -> [(name: String, value: String)] {
            texts.map { text in
                let name = text.prefix { $0 != "=" }
                return (String(name), String(text.dropFirst(name.count + 1)))
            }
        }

        /// MailerQ's answer as it is, except that controls cannot reach a terminal.
        static func show(_ response: APIResponse) throws(CommandFailure) {
            if let value = try? JSONParser.parse(response.body) {
                try Terminal.current.line(JSONText.pretty(value))
            } else if !response.body.isEmpty {
                try Terminal.current.line(Visible.lines(String(decoding: response.body, as: UTF8.self)))
            }
        }

        private static func segments(_ path: String) -> [String] {
            path.split(separator: "/").map(String.init)
        }
    }
}
