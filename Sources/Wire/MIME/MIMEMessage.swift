// A whole message: its bytes, its header, its parts, and the questions that are asked of every message.

package struct MIMEMessage: Sendable {
    /// The message, byte for byte as it came.
    package let bytes: [UInt8]
    package let root: MIMEPart

    package var headers: HeaderBlock { root.headers }

    /// Parses a message. Time is linear in its size; lines may end in CRLF or LF.
    /// - Throws: ``MIMEError`` only for limits (`header_too_large`, `header_line_too_long`, `too_many_headers`,
    ///   `too_many_parts`, `nesting_too_deep`, `message_too_large`): no other bytes are an error.
    package static func parse(_ bytes: [UInt8], limits: MIMELimits = .default) throws(MIMEError) -> MIMEMessage {
        MIMEMessage(bytes: bytes, root: try MIMEParser.parse(bytes, limits: limits))
    }

    private init(bytes: [UInt8], root: MIMEPart) {
        self.bytes = bytes
        self.root = root
    }

    // MARK: Header

    /// The authors. Empty when the field is missing or cannot be read; `headers.addresses("from")` says why.
    package var from: [Mailbox] { mailboxes("from") }
    package var sender: Mailbox? { mailboxes("sender").first }
    package var replyTo: [Mailbox] { mailboxes("reply-to") }
    package var to: [Mailbox] { mailboxes("to") }
    package var cc: [Mailbox] { mailboxes("cc") }
    package var bcc: [Mailbox] { mailboxes("bcc") }
    package var subject: String? { headers.decodedText("subject") }
    package var date: MailDate? { headers.unfoldedValue("date").flatMap { MailDate(parsing: $0) } }
    /// Without angle brackets.
    package var messageID: String? { headers.unfoldedValue("message-id").flatMap(MessageID.strip) }
    package var inReplyTo: [String] { headers.unfoldedValue("in-reply-to").map(MessageID.all) ?? [] }
    package var references: [String] { headers.unfoldedValue("references").map(MessageID.all) ?? [] }

    private func mailboxes(_ name: String) -> [Mailbox] {
        // A field that cannot be read is no address: the strict answer is `headers.addresses(_:)`.
        (try? headers.addresses(name))?.mailboxes ?? []
    }

    // MARK: Content

    /// The first `text/plain` part that is not an attachment; enclosed messages are not looked into.
    package var textPart: MIMEPart? { firstBody("plain") }
    /// The first `text/html` part that is not an attachment.
    package var htmlPart: MIMEPart? { firstBody("html") }
    package var text: String? { textPart.map { $0.text(in: bytes) } }
    package var html: String? { htmlPart.map { $0.text(in: bytes) } }

    /// Everything that is not the text: files, inline images, enclosed messages (each as one).
    package var attachments: [MIMEPart] { root.ownParts.filter(\.isAttachment) }

    package func decodedBody(of part: MIMEPart) -> [UInt8] { part.decodedBody(in: bytes) }

    private func firstBody(_ subtype: String) -> MIMEPart? {
        root.ownParts.first { $0.isText && $0.contentType.subtype == subtype && !$0.isAttachment }
    }
}
