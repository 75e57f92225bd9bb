// Grammar: lines become replies (RFC 5321 §4.2), with their enhanced codes (RFC 2034) and with text that is safe to show.

import NIOCore
import SMTP

struct SMTPReplyParser {
    private var framer: SMTPReplyFramer
    private let maximumLines: Int
    private var lines: [Line] = []

    init(limits: SMTPClientLimits) {
        framer = SMTPReplyFramer(lineLength: limits.replyLineLength)
        maximumLines = limits.replyLines
    }

    /// Something was received that has not come out of `next()` yet.
    var hasUnreadBytes: Bool { framer.unreadBytes > 0 || !lines.isEmpty }

    mutating func append(_ bytes: inout ByteBuffer) {
        framer.append(&bytes)
    }

    /// The next complete reply; nil until there is one. After an error the parser is of no further use.
    mutating func next() throws(SMTPReplyError) -> SMTPReply? {
        while let bytes = try framer.next() {
            guard let line = Line(bytes.readableBytesView) else { throw .malformed }
            if let first = lines.first, first.code != line.code {
                throw .codeChanged(from: first.code, to: line.code)
            }
            guard lines.count < maximumLines else { throw .tooManyLines(limit: maximumLines) }
            lines.append(line)
            if line.isLast {
                defer { lines.removeAll(keepingCapacity: true) }
                return Self.reply(lines)
            }
        }
        return nil
    }

    /// The enhanced code is that of the first line; the same code before the text of the others is dropped with it.
    private static func reply(_ lines: [Line]) -> SMTPReply {
        let enhanced = lines[0].enhanced
        let texts = lines.map { line in
            line.enhanced != nil && line.enhanced == enhanced ? line.textAfterEnhanced : line.text
        }
        return SMTPReply(lines[0].code, enhanced, texts)
    }
}

extension SMTPReplyParser {
    private struct Line {
        let code: UInt16
        let isLast: Bool
        let text: String
        let enhanced: EnhancedCode?
        let textAfterEnhanced: String

        init?(_ bytes: ByteBufferView) {
            let digits = bytes.prefix(3)
            guard digits.count == 3, digits.allSatisfy(\.isASCIIDigit) else { return nil }
            code = digits.reduce(0) { $0 * 10 + UInt16($1 - UInt8(ascii: "0")) }
            guard (200...599).contains(code) else { return nil }
            var rest = bytes.dropFirst(3)
            switch rest.popFirst() {
            case nil, UInt8(ascii: " "): isLast = true
            case UInt8(ascii: "-"): isLast = false
            case _?: return nil
            }
            text = Self.readable(rest)
            if code >= 300 && code < 400 {
                enhanced = nil
                textAfterEnhanced = text
            } else if let (parsed, after) = Self.enhancedCode(rest) {
                enhanced = parsed
                textAfterEnhanced = Self.readable(after)
            } else {
                enhanced = nil
                textAfterEnhanced = text
            }
        }

        /// `class "." subject "." detail` followed by a space or nothing (RFC 2034 §4, RFC 3463 §2).
        private static func enhancedCode(_ bytes: ByteBufferView) -> (EnhancedCode, ByteBufferView)? {
            var rest = bytes
            guard let category = number(&rest, digits: 1), [2, 4, 5].contains(category),
                rest.popFirst() == UInt8(ascii: "."), let subject = number(&rest, digits: 3),
                rest.popFirst() == UInt8(ascii: "."), let detail = number(&rest, digits: 3)
            else { return nil }
            switch rest.popFirst() {
            case nil, UInt8(ascii: " "): return (EnhancedCode(category, subject, detail), rest)
            case _?: return nil
            }
        }

        private static func number(_ bytes: inout ByteBufferView, digits: Int) -> UInt16? {
            var value: UInt16 = 0
            var count = 0
            while count < digits, let digit = bytes.first, digit.isASCIIDigit {
                value = value * 10 + UInt16(digit - UInt8(ascii: "0"))
                count += 1
                bytes.removeFirst()
            }
            return count > 0 ? value : nil
        }

        /// A peer's words go to logs, pages and terminals: control characters are replaced, invalid UTF-8 repaired.
        private static func readable(_ bytes: ByteBufferView) -> String {
            var trimmed = bytes
            while let last = trimmed.last, last == UInt8(ascii: " ") || last == UInt8(ascii: "\t") {
                trimmed.removeLast()
            }
            return String(decoding: trimmed.lazy.map { $0 < 0x20 || $0 == 0x7F ? 0x20 : $0 }, as: UTF8.self)
        }
    }
}
