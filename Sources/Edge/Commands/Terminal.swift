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
    /// Whether a person reads the output: then bytes that a stranger chose must not reach it raw.
    var isInteractive: Bool

    @TaskLocal static var current = Terminal.process

    static let process = Terminal(
        output: { bytes throws(CommandFailure) in
            guard writeAll(bytes, to: STDOUT_FILENO) else { throw .outputClosed }
        },
        note: { text in _ = writeAll(Array("\(text)\n".utf8), to: STDERR_FILENO) },
        input: { () throws(FileFailure) in try FileBytes.read(descriptor: STDIN_FILENO, name: "standard input") },
        environment: { name in getenv(name).map { String(cString: $0) } },
        isInteractive: isatty(STDOUT_FILENO) == 1
    )

    func line(_ text: String) throws(CommandFailure) { try output(Array("\(text)\n".utf8)) }

    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return false }
            rest = rest.dropFirst(written)
        }
        return true
    }
}
