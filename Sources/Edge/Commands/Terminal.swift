// Where a command reads and writes: the process' own streams and environment, or a test's.

import Glibc

struct Terminal: Sendable {
    /// Writes results. Throws `CommandFailure.outputClosed` when nobody reads any more (`… | head`).
    var output: @Sendable ([UInt8]) throws(CommandFailure) -> Void
    /// Writes notes and refusals.
    var note: @Sendable (String) -> Void
    /// Reads standard input to its end.
    var input: @Sendable () throws(FileFailure) -> [UInt8]
    var environment: @Sendable (String) -> String?
    /// Asks the person at the terminal; `nil` where there is none.
    var ask: @Sendable (Question) throws(CommandFailure) -> String? = { _ throws(CommandFailure) in nil }
    /// Seconds since 1970.
    var now: @Sendable () -> Int64 = { Int64(time(nil)) }
    /// Whether a person reads the output: then bytes that a stranger chose must not reach it raw.
    var isInteractive: Bool

    @TaskLocal static var current = Terminal.process

    static let process = Terminal(
        output: { bytes throws(CommandFailure) in
            guard FileBytes.writeAll(bytes, to: STDOUT_FILENO) else { throw .outputClosed }
        },
        note: { text in _ = FileBytes.writeAll(Array("\(text)\n".utf8), to: STDERR_FILENO) },
        input: { () throws(FileFailure) in try FileBytes.read(descriptor: STDIN_FILENO, name: "standard input") },
        environment: { name in getenv(name).map { String(cString: $0) } },
        ask: { question throws(CommandFailure) in try TerminalPrompt.ask(question) },
        isInteractive: isatty(STDOUT_FILENO) == 1
    )

    func line(_ text: String) throws(CommandFailure) { try output(Array("\(text)\n".utf8)) }

    /// The person's answer.
    /// - Parameter given: what was typed on the command line already; then nobody is asked.
    func answer(_ question: Question, given: String? = nil) throws(CommandFailure) -> String {
        if let given { return given }
        guard let text = try ask(question) else {
            throw .failed("there is no terminal to ask for \(question.prompt) at; \(question.otherwise)")
        }
        return question.isSecret ? text : text.trimmed
    }
}
