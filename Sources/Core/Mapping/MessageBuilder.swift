// Builds the RFC 5322 message of a submission that came as fields. The same fields give the same bytes every time.

package import MIME
package import Model

package enum MessageBuilder {
    package struct Attachment: Sendable {
        package let filename: String
        package let contentType: String
        package let bytes: [UInt8]
        /// Shown in the HTML as `cid:…`.
        package let isInline: Bool
        package let contentID: String?

        package init(filename: String, contentType: String, bytes: [UInt8], isInline: Bool, contentID: String?) {
            self.filename = filename
            self.contentType = contentType
            self.bytes = bytes
            self.isInline = isInline
            self.contentID = contentID
        }
    }

    package struct Parts: Sendable {
        package var from: Mailbox
        package var replyTo: [Mailbox]
        package var to: [Mailbox]
        package var cc: [Mailbox]
        package var subject: String?
        package var text: String?
        package var html: String?
        package var attachments: [Attachment]
        package var headers: [Envelope.Header]
    }

    /// The left side is the submission's id, so that a second copy of a message can be known as one.
    package static func messageID(_ correlation: CorrelationID, from: EmailAddress) -> String {
        "\(correlation.text.dropFirst(CorrelationKind.prefix.count))@\(from.asciiDomain)"
    }

    /// The message that an envelope of blocks stands for.
    package static func message(
        of envelope: Envelope,
        correlation: CorrelationID,
        date: Timestamp
    ) throws(PosternError) -> [UInt8] {
        let content = envelope.content
        switch content.body {
        case .raw(let message): return message.bytes
        case .blocks(let text, let html):
            let from = try mailbox(content.from)
            let replyTo = try mailbox(content.replyTo)
            return try build(
                Parts(
                    from: from, replyTo: replyTo == from ? [] : [replyTo], to: [Mailbox(envelope.recipient)], cc: [],
                    subject: content.subject, text: text, html: html.isEmpty ? nil : html.joined(separator: "\r\n"),
                    attachments: [], headers: content.headers),
                correlation: correlation, date: date)
        }
    }

    /// - Throws: `message_too_large` when the message that the envelope stands for is too large.
    static func checkSize(of envelope: Envelope, _ context: MappingContext) throws(PosternError) {
        guard case .blocks(let text, let html) = envelope.content.body else { return }
        let bytes = html.reduce(text?.utf8.count ?? 0) { $0 + $1.utf8.count }
        // No encoding makes more than three bytes of one, so that small bodies need not be built to be measured.
        guard bytes > context.limits.messageBytes / 4 else { return }
        try checkSize(try message(of: envelope, correlation: context.correlation, date: context.now).count, context)
    }

    static func checkSize(_ bytes: Int, _ context: MappingContext) throws(PosternError) {
        guard bytes <= context.limits.messageBytes else {
            throw PosternError(
                .messageTooLarge, "the message has \(bytes) bytes, and \(context.limits.messageBytes) are allowed")
        }
    }

    /// - Parameter id: a Message-ID that the caller gave.
    static func build(_ parts: Parts, id: String?, _ context: MappingContext) throws(PosternError) -> [UInt8] {
        try build(parts, id: id, correlation: context.correlation, date: context.now)
    }

    private static func build(
        _ parts: Parts,
        id: String? = nil,
        correlation: CorrelationID,
        date: Timestamp
    ) throws(PosternError) -> [UInt8] {
        do throws(MIMEError) {
            var builder = MIMEBuilder(
                from: parts.from, messageID: id ?? messageID(correlation, from: parts.from.address), date: date.seconds,
                boundarySeed: correlation.text)
            builder.replyTo = parts.replyTo
            builder.to = parts.to
            builder.cc = parts.cc
            builder.subject = parts.subject
            builder.text = parts.text
            builder.html = parts.html
            builder.attachments = parts.attachments.map(Self.attachment)
            for header in parts.headers {
                builder.headers.append(try HeaderField(name: header.name, value: header.value))
            }
            return try builder.build()
        } catch {
            throw PosternError(.validationFailed, "the message cannot be built: \(error.message)")
        }
    }

    /// What is wrong with an attachment, found before the message is built so that the answer can point at it.
    static func problem(with attachment: Attachment) -> String? {
        guard let address = try? EmailAddress(parsing: "probe@example.com") else { return nil }
        var builder = MIMEBuilder(from: Mailbox(address), messageID: "probe@example.com", date: 0, boundarySeed: "")
        var empty = Self.attachment(attachment)
        empty.bytes = []
        builder.attachments = [empty]
        do throws(MIMEError) {
            _ = try builder.build()
            return nil
        } catch {
            return error.message
        }
    }

    private static func attachment(_ attachment: Attachment) -> MIMEBuilder.Attachment {
        MIMEBuilder.Attachment(
            filename: attachment.filename, contentType: attachment.contentType, bytes: attachment.bytes,
            contentID: attachment.isInline ? attachment.contentID ?? "\(attachment.filename.utf8.count)@inline" : nil)
    }

    /// A name that is only the address says nothing twice, so the header shows the bare address.
    private static func mailbox(_ party: Envelope.Party) throws(PosternError) -> Mailbox {
        do throws(MIMEError) {
            return try Mailbox(name: party.name == party.address.description ? nil : party.name, address: party.address)
        } catch {
            throw PosternError(.validationFailed, "the name of \(party.address) cannot be written: \(error.message)")
        }
    }
}
