// `postern send`: a message from the command line, in fields or finished.

package import ArgumentParser
import JSON
package import Model

package struct SendCommand: APICommand {
    package static let configuration = CommandConfiguration(
        commandName: "send",
        abstract: "Send a message.",
        discussion: """
            The message is durable when this returns: its ids are printed, and `postern message wait ID` follows it.

            Example:
              postern send --from app@example.com --to ann@example.org \\
                --subject Hello --text 'It works.'
              postern send --from app@example.com --to ann@example.org \\
                --subject Report --html - --attach *.pdf < report.html
              postern send --raw message.eml

            With --raw the message is passed on as it is; --from and --to, where given, are its envelope, and not \
            header fields. A file whose lines all end in LF, as Unix keeps them, is sent with CRLF.
            """)

    package static let action = Action.messageSend

    @Option(help: ArgumentHelp("The author: a@example.com or 'Ann <a@example.com>'.", valueName: "address"))
    package var from: String?

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Recipients. This and the next three may be given several times.", valueName: "address"))
    package var to: [String] = []

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Recipients of a copy.", valueName: "address"))
    package var cc: [String] = []

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Recipients that nobody else sees.", valueName: "address"))
    package var bcc: [String] = []

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Where answers go.", valueName: "address"))
    package var replyTo: [String] = []

    @Option(parsing: .unconditional, help: "The subject.")
    package var subject: String?

    @Option(parsing: .unconditional, help: "The plain text; - reads standard input.")
    package var text: String?

    @Option(parsing: .unconditional, help: "The HTML; - reads standard input.")
    package var html: String?

    @Option(parsing: .upToNextOption, help: ArgumentHelp("Files to attach.", valueName: "file"))
    package var attach: [String] = []

    @Option(help: ArgumentHelp("A further header field; may be given several times.", valueName: "name: value"))
    package var header: [String] = []

    @Option(parsing: .upToNextOption, help: "Tags for the log.")
    package var tag: [String] = []

    @Option(help: ArgumentHelp("Not before this time, such as 2026-11-20T18:00:00Z.", valueName: "time"))
    package var sendAt: String?

    @Option(
        help: ArgumentHelp(
            "The same key and message again, within a day, is answered like the first and sent once.", valueName: "key")
    )
    package var idempotencyKey: String?

    @Option(help: ArgumentHelp("A finished message (RFC 5322); - reads standard input.", valueName: "file"))
    package var raw: String?

    @OptionGroup package var connection: ConnectionOptions
    @OptionGroup package var output: OutputOptions

    package init() {}

    package func validate() throws {
        if let key = idempotencyKey,
            !(1...256).contains(key.utf8.count) || !key.utf8.allSatisfy({ (0x20...0x7E).contains($0) })
        {
            throw ValidationError("--idempotency-key has 1 to 256 printable ASCII characters.")
        }
        try raw == nil ? validateFields() : validateRaw()
    }

    func perform(_ api: APIClient) async throws {
        let response = try await api.send(try request(Terminal.current))
        let answer = try APIClient.json(response)
        guard let object = answer.objectValue else { throw CommandFailure.notPostern }
        if response.isReplay {
            Terminal.current.note("replayed: this key was used before, and this is the first answer again")
        }
        try output.show(answer, Self.lines(object))
    }

    /// - Throws: `ValidationError` for a file or an input that cannot be read.
    func request(_ terminal: Terminal) throws -> APIRequest {
        var request = try raw.map { try rawRequest($0, terminal) } ?? fieldsRequest(terminal)
        if let idempotencyKey { request.headers.append(("Idempotency-Key", idempotencyKey)) }
        return request
    }

    private static let columns = [
        TableColumn("ID", "id"), TableColumn("STATUS", "status"), TableColumn("RECIPIENT", "recipient", limit: 80),
    ]

    static func lines(_ answer: JSONObject) -> [String] {
        var table = Table(columns)
        return table.lines((answer["messages"]?.arrayValue ?? []).compactMap(\.objectValue))
    }
}
