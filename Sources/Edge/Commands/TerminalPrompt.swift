// Asks a person at the terminal, with what they type hidden where it is a secret.

import Glibc

struct Question: Sendable {
    let prompt: String
    var isSecret = false
    /// How to give the answer where there is nobody to ask.
    let otherwise: String
}

enum TerminalPrompt {
    /// Bytes of an answer at most.
    static let limit = 1024

    private static let interrupt: UInt8 = 3
    private static let endOfInput: UInt8 = 4

    /// - Returns: `nil` where there is no terminal.
    static func ask(_ question: Question) throws(CommandFailure) -> String? {
        // The terminal itself: neither redirected output hides the question, nor is a pipe taken for a person.
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)
        guard terminal >= 0 else { return nil }
        defer { close(terminal) }
        guard question.isSecret else { return try answer(question, terminal) }
        var before = termios()
        guard tcgetattr(terminal, &before) == 0 else {
            throw .failed("the terminal cannot be kept from showing what is typed")
        }
        var hidden = before
        // Without signals Ctrl-C is read as a character, and ends the line, so that the terminal is left as it was.
        hidden.c_lflag &= ~tcflag_t(ECHO | ISIG)
        withUnsafeMutableBytes(of: &hidden.c_cc) { $0[Int(VEOL)] = interrupt }
        // Before the question: whoever answers at once is not shown either.
        guard tcsetattr(terminal, TCSAFLUSH, &hidden) == 0 else {
            throw .failed("the terminal cannot be kept from showing what is typed")
        }
        defer {
            tcsetattr(terminal, TCSAFLUSH, &before)
            _ = FileBytes.writeAll([UInt8(ascii: "\n")], to: terminal)
        }
        return try answer(question, terminal)
    }

    private static func answer(_ question: Question, _ terminal: Int32) throws(CommandFailure) -> String {
        _ = FileBytes.writeAll(Array("\(Visible.text(question.prompt)): ".utf8), to: terminal)
        var bytes: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            let count = read(terminal, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count > 0, byte != UInt8(ascii: "\n"), byte != endOfInput else { break }
            guard byte != interrupt else { throw .failed("given up; nothing was done") }
            guard bytes.count < limit else { throw .failed("an answer has at most \(limit) bytes") }
            bytes.append(byte)
        }
        guard let text = String(validating: bytes, as: UTF8.self), !text.isEmpty else {
            throw .failed("no \(question.prompt) was given; nothing was done")
        }
        return text
    }
}
