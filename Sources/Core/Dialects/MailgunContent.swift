// Author, recipients and files of Mailgun's form, and the messages that it is: one, one for each recipient, or a finished one.

import Forms
import MIME
import Mapping
import Model

enum MailgunContent {
    /// One message for all recipients, who see each other.
    static func message(_ reader: inout MailgunReader, _ limits: MappingLimits) -> NativeMessage {
        var message = NativeMessage()
        recipients(&reader, &message)
        MailgunTexts(&reader, hasVariables: false, limits).fill(&message, nil, &reader)
        message.attachments = attachments(&reader)
        return message
    }

    /// One message for each address in `to`, who sees nobody else. What they have in common is read and checked once.
    /// - Throws: `too_many_recipients`.
    static func batch(
        _ reader: inout MailgunReader,
        _ variables: MailgunRecipientVariables,
        _ limits: MappingLimits
    ) throws(PosternError) -> [NativeMessage] {
        var common = NativeMessage()
        recipients(&reader, &common)
        var seen: Set<String> = []
        let recipients = common.to.filter { seen.insert($0.value.address.comparisonKey).inserted }
        guard recipients.count <= limits.recipients else {
            throw PosternError(
                .tooManyRecipients, "\(recipients.count) recipients, and \(limits.recipients) are allowed")
        }
        for name in ["cc", "bcc"] {
            reader.refuse(name, "with recipient-variables everyone gets a message of their own: name them in to")
        }
        common.attachments = attachments(&reader)
        common.checkAttachments(limits, &reader.problems)
        guard reader.problems.invalid.isEmpty else {
            reader.acceptAll()
            return []
        }
        let texts = MailgunTexts(&reader, hasVariables: true, limits)
        let found = reader.problems.count
        var messages: [NativeMessage] = []
        for recipient in recipients {
            var message = common
            (message.to, message.cc, message.bcc) = ([recipient], [], [])
            texts.fill(&message, variables.values(of: recipient), &reader)
            messages.append(message)
            // What is wrong for one is most often wrong for a thousand.
            guard reader.problems.count == found, reader.budget > 0 else { break }
        }
        return messages
    }

    /// A finished message (`messages.mime`).
    static func finished(
        _ reader: inout MailgunReader,
        _ variables: MailgunRecipientVariables,
        _ limits: MappingLimits
    ) -> NativeMessage {
        var message = NativeMessage()
        reader.accept("message")
        if !variables.isEmpty {
            reader.problems.unsupported("a finished message is sent as it is", at: MailgunRecipientVariables.field)
        }
        if reader.form.values("message").count > 1 { reader.problems.invalid("stands several times", at: "message") }
        let to = reader.mailboxes("to")
        if to.isEmpty { reader.problems.invalid("is required", at: "to") }
        message.envelopeRecipients = to.map { Sourced($0.value.address, at: $0.at) }
        for name in reader.names(with: "h:") {
            reader.refuse(name, "a finished message is sent as it is: write the field into it")
        }
        for (name, value) in MailgunTexts.metadata(&reader, hasVariables: false, limits) {
            message.metadata[name] = value.text.value
        }
        let raw = raw(reader.form) ?? []
        message.raw = Sourced(raw, at: "message")
        if let header = try? HeaderBlock.parse(raw) { compare(&reader, with: header) }
        for name in ["cc", "bcc"] { reader.refuse(name, "a finished message goes to those in to: name everyone there") }
        return message
    }

    /// Mailgun's own client sends the author and the subject beside the message that has them already.
    private static func compare(_ reader: inout MailgunReader, with header: HeaderBlock) {
        if header.fields.contains(where: { MailgunTexts.isInstruction(header.name(of: $0)) }) {
            reader.problems.unsupported(MailgunTexts.instructions, at: "message")
        }
        if let from = reader.text("from"),
            let mailbox = NativeText.mailbox(from.value, at: from.at, &reader.problems),
            (try? header.addresses("from").mailboxes.map(\.address.comparisonKey)) != [mailbox.address.comparisonKey]
        {
            reader.problems.invalid("is not the From of the message", at: from.at)
        }
        if let subject = reader.text("subject"), subject.value != header.decodedText("subject") {
            reader.problems.invalid("is not the Subject of the message", at: subject.at)
        }
    }

    /// Clients hand in text files as often as mail: bare line ends become CRLF.
    static func raw(_ form: Form) -> [UInt8]? {
        switch form.values("message").first {
        case .file(_, _, let bytes): LineDiscipline.normalizingBareNewlines(bytes)
        case .text(let text): LineDiscipline.normalizingBareNewlines(text)
        case nil: nil
        }
    }

    private static func recipients(_ reader: inout MailgunReader, _ message: inout NativeMessage) {
        if let from = reader.text("from") {
            message.from = NativeText.mailbox(from.value, at: from.at, &reader.problems)
                .map { Sourced($0, at: from.at) }
        } else {
            reader.problems.invalid("is required", at: "from")
        }
        message.to = reader.mailboxes("to")
        if message.to.isEmpty { reader.problems.invalid("is required", at: "to") }
        message.cc = reader.mailboxes("cc")
        message.bcc = reader.mailboxes("bcc")
    }

    /// HTML shows an inline file by its name: `cid:logo.png`. Mailgun's clients name no type, so that the name has to do.
    private static func attachments(_ reader: inout MailgunReader) -> [Sourced<MessageBuilder.Attachment>] {
        ["attachment", "inline"].flatMap { field in
            reader.files(field).map { file in
                let filename = file.filename.flatMap { $0.isEmpty ? nil : $0 } ?? field
                let isInline = field == "inline"
                return Sourced(
                    MessageBuilder.Attachment(
                        filename: filename, contentType: file.contentType ?? ContentTypeGuess.type(of: filename),
                        bytes: file.bytes, isInline: isInline, contentID: isInline ? filename : nil),
                    at: field)
            }
        }
    }
}
