// The timeline and the bytes of a message.

import ArgumentParser
import JSON
import Model

extension MessageCommand {
    struct Events: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what happened to a message, in order.",
            discussion: """
                Example:
                  postern message events msg_01jd3k8x5v9q2m7f
                """)

        static let action = Action.messageRead

        @Argument(help: "The message's id.") var id: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.get, "messages", id, "events"))
            try output.show(.object(answer), Self.lines(answer))
        }

        /// One line an event, and its details below it.
        static func lines(_ answer: JSONObject) -> [String] {
            let events = (answer["data"]?.arrayValue ?? []).compactMap(\.objectValue)
            guard !events.isEmpty else { return ["No events."] }
            var table = Table([
                TableColumn("AT", "at"), TableColumn("EVENT", "type"), TableColumn("ATTEMPT", "attempt"),
                TableColumn("ROUTE", "route"),
            ])
            let rows = table.lines(events)
            return [rows[0]]
                + zip(rows.dropFirst(), events).flatMap { row, event in
                    [row] + (event["detail"]?.objectValue.map { ValueText.details($0, indent: "    ") } ?? [])
                }
        }
    }

    struct Raw: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the message as it is sent (RFC 5322).",
            discussion: """
                Into a file or a pipe the bytes go unchanged. On a terminal controls are made visible, because a \
                message is a stranger's text.

                Example:
                  postern message raw msg_01jd3k8x5v9q2m7f > message.eml
                """)

        static let action = Action.messageRead

        @Argument(help: "The message's id.") var id: String
        @OptionGroup var connection: ConnectionOptions

        func validate() throws { try IDArgument.check(id) }

        func perform(_ api: APIClient) async throws {
            let message = try await api.send(APIRequest(.get, "messages", id, "raw")).body
            let terminal = Terminal.current
            guard terminal.isInteractive else { return try terminal.output(message) }
            try terminal.line(Visible.lines(String(decoding: message, as: UTF8.self)))
        }
    }
}
