// Secrets that a person types: asked for at the terminal, or read from a file. Never as an option, which other users see.

import ArgumentParser
package import Sealing

package enum SecretInput {
    /// - Parameter path: of a file whose first line it is, `-` for standard input; `nil` asks.
    static func read(_ path: String?, asking prompt: String, flag: String) throws(CommandFailure) -> Secret<String> {
        guard let path else {
            return Secret(
                try Terminal.current.answer(Question(prompt: prompt, isSecret: true, otherwise: "give it with \(flag)"))
            )
        }
        let bytes: [UInt8]
        do throws(FileFailure) {
            bytes = try path == "-" ? Terminal.current.input() : FileBytes.read(path)
        } catch {
            throw .failed(error.description)
        }
        let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
        guard line.count <= TerminalPrompt.limit, let text = String(validating: line, as: UTF8.self), !text.isEmpty
        else {
            throw .failed(
                "the first line of \(path == "-" ? "standard input" : Visible.text(path)) is to be \(prompt), in UTF-8 and "
                    + "of at most \(TerminalPrompt.limit) bytes")
        }
        return Secret(text)
    }

    /// A new password, for commands on the server's own machine.
    /// - Throws: `ExitCode`, after the failure was said.
    package static func newPassword(_ path: String?, asking prompt: String, flag: String) throws -> Secret<String> {
        do throws(CommandFailure) {
            return try new(path, asking: prompt, flag: flag)
        } catch {
            for line in error.lines { Terminal.current.note(line) }
            throw ExitCode(error.exitCode)
        }
    }

    /// A new password is typed twice.
    static func new(_ path: String?, asking prompt: String, flag: String) throws(CommandFailure) -> Secret<String> {
        let first = try read(path, asking: prompt, flag: flag)
        guard path == nil else { return first }
        let second = try read(nil, asking: "\(prompt), once more", flag: flag)
        guard first.reveal() == second.reveal() else { throw .failed("the two differ; nothing was done") }
        return first
    }
}
