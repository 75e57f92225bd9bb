// One SMTP reply (RFC 5321 §4.2), as our server writes it and as our client reads it.

package struct SMTPReply: Hashable, Sendable {
    /// 200–599.
    package let code: UInt16
    /// Absent on greetings, EHLO and 3yz replies (RFC 2034 §4), and from peers that do not speak it.
    package let enhanced: EnhancedCode?
    /// The text lines without code, enhanced code or line end; never empty (one empty line stands for no text).
    package let lines: [String]

    package init(_ code: UInt16, _ enhanced: EnhancedCode? = nil, _ lines: [String]) {
        precondition((200...599).contains(code), "an SMTP reply code has three digits from 200 to 599")
        self.code = code
        self.enhanced = enhanced
        self.lines = lines.isEmpty ? [""] : lines
    }

    package init(_ code: UInt16, _ enhanced: EnhancedCode? = nil, _ line: String) {
        self.init(code, enhanced, [line])
    }

    package var isPositive: Bool { code < 400 }
    package var isTransientFailure: Bool { (400..<500).contains(code) }
    package var isPermanentFailure: Bool { code >= 500 }

    /// The reply in one line, as a person reads it: `550 5.1.1 No such user`.
    package var text: String {
        var parts = [String(code)]
        if let enhanced { parts.append(enhanced.description) }
        parts.append(lines.joined(separator: " "))
        return parts.joined(separator: " ")
    }
}
