// One message on its way out: the envelope and the bytes, exactly as they are to arrive.

package import NIOCore
package import SMTP

package struct SMTPOutgoing: Sendable {
    /// The reverse path without angle brackets; `""` is the null sender of bounces.
    package var sender: String
    /// Forward paths without angle brackets. One transaction each `SMTPClientLimits.recipientsPerTransaction`.
    package var recipients: [String]
    /// The message (RFC 5322): CRLF line ends, no dot-stuffing. A bare CR, bare LF or NUL makes the message
    /// undeliverable, for passing it on is how mail is smuggled.
    package var data: ByteBuffer
    /// Set when the message has header fields in UTF-8 (RFC 6531 §3.1); addresses are looked at anyway.
    package var needsSMTPUTF8: Bool
    /// ENVID of RFC 3461 §4.4, unencoded. It and the next three are passed on only to peers that offer DSN.
    package var envid: String?
    /// RET of RFC 3461 §4.3: what a failure report is to return.
    package var ret: SMTPReturnContent?
    /// NOTIFY of RFC 3461 §4.1, for all recipients.
    package var notify: SMTPNotify?
    /// ORCPT of RFC 3461 §4.2, unencoded (`rfc822;user@example.com`), one a recipient, or empty for none at all.
    package var originalRecipients: [String?]

    package init(
        sender: String,
        recipients: [String],
        data: ByteBuffer,
        needsSMTPUTF8: Bool = false,
        envid: String? = nil,
        ret: SMTPReturnContent? = nil,
        notify: SMTPNotify? = nil,
        originalRecipients: [String?] = []
    ) {
        precondition(
            originalRecipients.isEmpty || originalRecipients.count == recipients.count,
            "original recipients are given for all recipients or for none"
        )
        self.sender = sender
        self.recipients = recipients
        self.data = data
        self.needsSMTPUTF8 = needsSMTPUTF8
        self.envid = envid
        self.ret = ret
        self.notify = notify
        self.originalRecipients = originalRecipients
    }
}

extension SMTPNotify {
    /// As it stands behind `NOTIFY=`; the empty set asks for nothing, which is `NEVER` too.
    var parameter: String {
        var words: [String] = []
        if contains(.success) { words.append("SUCCESS") }
        if contains(.failure) { words.append("FAILURE") }
        if contains(.delay) { words.append("DELAY") }
        return words.isEmpty ? "NEVER" : words.joined(separator: ",")
    }
}
