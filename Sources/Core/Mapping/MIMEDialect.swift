// A finished RFC 5322 message, from SMTP or by HTTP: passed on byte for byte, but for what a submission server must add
// or take away (RFC 6409 §8).

package import MIME
package import Model
import Sealing

package struct RawSubmission: Sendable {
    package var bytes: [UInt8]
    /// Envelope MAIL FROM; `nil` takes the From address.
    package var sender: EmailAddress?
    /// Envelope RCPT TO; empty takes To, Cc and Bcc of the header.
    package var recipients: [EmailAddress]
    /// How the message came in, for its Received field.
    package var trace: Trace

    package init(bytes: [UInt8], sender: EmailAddress?, recipients: [EmailAddress], trace: Trace) {
        self.bytes = bytes
        self.sender = sender
        self.recipients = recipients
        self.trace = trace
    }

    /// SHA-256 over envelope and bytes: the same at every door.
    package var digest: [UInt8] {
        let envelope = [sender?.wireForm ?? ""] + recipients.map(\.wireForm)
        return Digest.sha256(Array("mime\0\(envelope.joined(separator: "\0"))\0\0".utf8) + bytes)
    }

    package struct Trace: Sendable {
        /// The client's name for itself; `nil` at HTTP.
        package var hello: String?
        package var address: String?
        /// RFC 3848: `ESMTPSA`; `HTTP` at the other door.
        package var protocolName: String
        /// Whether framing has held the lines to CRLF already.
        package var hasCheckedLines: Bool

        package init(hello: String?, address: String?, protocolName: String, hasCheckedLines: Bool) {
            self.hello = hello
            self.address = address
            self.protocolName = protocolName
            self.hasCheckedLines = hasCheckedLines
        }
    }
}

package enum MIMEDialect {
    /// Fields that go no further than here: Bcc is a secret, the others are addressed to us or only valid on delivery.
    private static let removed = ["bcc", "resent-bcc", "return-path", "idempotency-key"]

    /// - Throws: `malformed_message`, `message_too_large`, `too_many_recipients`, `no_ip_pool` or `setting_unset`.
    package static func map(_ raw: RawSubmission, _ context: MappingContext) throws(PosternError) -> MappedMessage {
        let (content, recipients) = try read(raw, context)
        var draft = EnvelopeDraft(content: content)
        draft.sender = raw.sender
        let envelopes = try draft.envelopes(for: recipients, context)
        return MappedMessage(
            correlation: context.correlation, envelopes: envelopes,
            origins: context.isExplained ? envelopes.map { _ in origins(raw, draft, context) } : [])
    }

    /// The message as it is passed on, and whom it goes to.
    static func read(
        _ raw: RawSubmission,
        _ context: MappingContext
    ) throws(PosternError) -> (content: Envelope.Content, recipients: [EmailAddress]) {
        try MessageBuilder.checkSize(raw.bytes.count, context)
        if !raw.trace.hasCheckedLines, let violation = LineDiscipline.firstViolation(in: raw.bytes) {
            throw PosternError(.malformedMessage, "the message has a \(violation)")
        }
        let header = try header(of: raw.bytes)
        let from = try from(header)
        let recipients = try recipients(raw, header, context)
        let message = Envelope.RawMessage(try completed(header, from: from.address, raw.trace, context))
        let author = Envelope.Party(from)
        let reply = (try? header.addresses("reply-to").mailboxes.first).map(Envelope.Party.init)
        return (
            Envelope.Content(
                from: author, replyTo: reply ?? author, subject: header.decodedText("subject"), body: .raw(message)),
            recipients
        )
    }

    static func origins(_ raw: RawSubmission, _ draft: EnvelopeDraft, _ context: MappingContext) -> FieldOrigins {
        var origins = draft.origins(context)
        origins["recipient"] = .message(raw.recipients.isEmpty ? "To, Cc or Bcc" : "the envelope's recipients")
        if raw.sender != nil { origins["envelope"] = .message("the envelope's sender") }
        origins["mime.from.address"] = .message("From")
        origins["mime.from.name"] =
            draft.content.from.name == draft.content.from.address.description
            ? .field("mime.from.address") : .message("From")
        origins["mime.replyto"] =
            draft.content.replyTo == draft.content.from ? .field("mime.from") : .message("Reply-To")
        origins["mime.subject"] = draft.content.subject == nil ? .absent : .message("Subject")
        return origins
    }

    /// The idempotency key that a message carries in its header, if any.
    package static func idempotencyKey(in bytes: [UInt8]) -> String? {
        (try? HeaderBlock.parse(bytes))?.decodedText("idempotency-key")
    }

    private static func header(of bytes: [UInt8]) throws(PosternError) -> HeaderBlock {
        let header: HeaderBlock
        do throws(MIMEError) {
            header = try HeaderBlock.parse(bytes)
        } catch {
            throw PosternError(.malformedMessage, "the message's header cannot be read: \(error.message)")
        }
        if let problem = SubmissionHeaders.check(header).first { throw PosternError(.malformedMessage, "\(problem)") }
        return header
    }

    /// The one author. RFC 5322 would allow several; a gate that checks who is speaking does not.
    private static func from(_ header: HeaderBlock) throws(PosternError) -> Mailbox {
        let mailboxes = try addresses("from", header)
        guard mailboxes.count == 1 else {
            throw PosternError(
                .malformedMessage, "the From field has \(mailboxes.count) addresses, and exactly one is allowed",
                fix: "Name one author in From.")
        }
        return mailboxes[0]
    }

    private static func recipients(
        _ raw: RawSubmission,
        _ header: HeaderBlock,
        _ context: MappingContext
    ) throws(PosternError) -> [EmailAddress] {
        var recipients = raw.recipients
        if recipients.isEmpty {
            for name in ["to", "cc", "bcc"] { recipients += try addresses(name, header).map(\.address) }
        }
        guard !recipients.isEmpty else {
            throw PosternError(.malformedMessage, "the message has no recipient", fix: "Name one in To, or with ?to=.")
        }
        guard recipients.count <= context.limits.recipients else {
            throw PosternError(
                .tooManyRecipients, "\(recipients.count) recipients, and \(context.limits.recipients) are allowed")
        }
        if recipients.count == 1 { return recipients }
        var seen: Set<String> = []
        return recipients.filter { seen.insert($0.comparisonKey).inserted }
    }

    private static func addresses(_ name: String, _ header: HeaderBlock) throws(PosternError) -> [Mailbox] {
        do throws(MIMEError) {
            return try header.addresses(name).mailboxes
        } catch {
            throw PosternError(.malformedMessage, "the \(name) field cannot be read: \(error.message)")
        }
    }

    /// The message with its trace field, and with Date and Message-ID where they were missing.
    private static func completed(
        _ header: HeaderBlock,
        from: EmailAddress,
        _ trace: RawSubmission.Trace,
        _ context: MappingContext
    ) throws(PosternError) -> [UInt8] {
        do throws(MIMEError) {
            var fields = [try HeaderField(name: "Received", value: received(trace, context))]
            if header.first("date") == nil {
                fields.append(try HeaderField(name: "Date", value: MailDate.format(unixSeconds: context.now.seconds)))
            }
            if header.first("message-id") == nil {
                let id = MessageBuilder.messageID(context.correlation, from: from)
                fields.append(try HeaderField(name: "Message-ID", value: "<\(id)>"))
            }
            return HeaderEdit(removing: removed, prepending: fields).apply(to: header)
        } catch {
            throw PosternError(.internalError, "a trace field could not be written: \(error.message)")
        }
    }

    /// RFC 5321 §4.4. The client's name for itself was checked by the door's grammar.
    private static func received(_ trace: RawSubmission.Trace, _ context: MappingContext) -> String {
        var text = ""
        if let address = trace.address {
            let literal = address.utf8.contains(UInt8(ascii: ":")) ? "IPv6:\(address)" : address
            text = "from \(trace.hello ?? "unknown") ([\(literal)]) "
        }
        text += "by \(context.hostname) (Postern) with \(trace.protocolName) id \(context.correlation.text); "
        return text + MailDate.format(unixSeconds: context.now.seconds)
    }
}
