// The dialogue of one attempt as a person wants to read it, without secrets or bodies and of bounded size.

import NIOCore
import SMTP

/// Lines `C: …` (we said), `S: …` (the peer said) and `* …` (what happened). When there are too many, the middle ones
/// go: how it began and how it ended say most.
package struct SMTPTranscript: Hashable, Sendable, CustomStringConvertible {
    private let limit: Int
    private var head: [String] = []
    private var headSize = 0
    private var tail: CircularBuffer<String> = []
    private var tailSize = 0
    private var leftOut = 0

    /// - Parameter limit: octets in all, line ends included.
    package init(limit: Int = 8 * 1024) {
        self.limit = limit
    }

    package var lines: [String] {
        leftOut == 0 ? head + tail : head + ["* \(leftOut) lines left out"] + tail
    }

    package var description: String { lines.joined(separator: "\n") }

    mutating func client(_ command: SMTPClientCommand) { append("C: \(command.redacted)") }

    /// The message itself, which no transcript shows.
    mutating func clientContent(octets: Int) { append("C: <\(octets) bytes>") }

    mutating func server(_ reply: SMTPReply) {
        let enhanced = reply.enhanced.map { "\($0) " } ?? ""
        for (index, line) in reply.lines.enumerated() {
            let separator = index == reply.lines.count - 1 ? " " : "-"
            append("S: \(reply.code)\(separator)\(enhanced)\(line)")
        }
    }

    mutating func note(_ text: String) { append("* \(text)") }

    mutating func append(_ other: SMTPTranscript) {
        for line in other.lines { append(line) }
    }

    private mutating func append(_ line: String) {
        let size = line.utf8.count + 1
        if tail.isEmpty, leftOut == 0, headSize + size <= limit / 2 {
            head.append(line)
            headSize += size
            return
        }
        tail.append(line)
        tailSize += size
        while tailSize > limit / 2, let dropped = tail.popFirst() {
            tailSize -= dropped.utf8.count + 1
            leftOut += 1
        }
    }

    package static func == (left: Self, right: Self) -> Bool { left.lines == right.lines }
    package func hash(into hasher: inout Hasher) { hasher.combine(lines) }
}
