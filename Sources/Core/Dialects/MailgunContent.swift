// Author, recipients, bodies, files and header fields of Mailgun's form.

import Forms
import MIME
import Mapping
import Model

enum MailgunContent {
    /// One message for all recipients, who see each other.
    static func message(_ reader: inout MailgunReader) -> NativeMessage {
        var message = NativeMessage()
        recipients(&reader, &message)
        content(&reader, nil, &message)
        message.attachments = attachments(&reader)
        return message
    }

    /// One message for each address in `to`, who sees nobody else.
    static func batch(_ reader: inout MailgunReader, _ variables: MailgunRecipientVariables) -> [NativeMessage] {
        var common = NativeMessage()
        recipients(&reader, &common)
        for name in ["cc", "bcc"] {
            reader.refuse(name, "with recipient-variables everyone gets a message of their own: name them in to")
        }
        common.attachments = attachments(&reader)
        guard reader.problems.invalid.isEmpty else {
            reader.acceptAll()
            return []
        }
        var seen: Set<String> = []
        var messages: [NativeMessage] = []
        for recipient in common.to where seen.insert(recipient.value.address.comparisonKey).inserted {
            let problems = reader.problems.invalid.count + reader.problems.unsupported.count
            var message = common
            (message.to, message.cc, message.bcc) = ([recipient], [], [])
            content(&reader, variables.values(of: recipient), &message)
            messages.append(message)
            // What is wrong for one is most often wrong for a thousand.
            guard reader.problems.invalid.count + reader.problems.unsupported.count == problems, reader.budget > 0
            else {
                break
            }
        }
        return messages
    }

    /// A finished message (`messages.mime`).
    static func finished(_ reader: inout MailgunReader, _ variables: MailgunRecipientVariables) -> NativeMessage {
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
        metadata(&reader, nil, &message)
        let raw = raw(reader.form) ?? []
        message.raw = Sourced(raw, at: "message")
        if let header = try? HeaderBlock.parse(raw) { compare(&reader, with: header) }
        for name in ["cc", "bcc"] { reader.refuse(name, "a finished message goes to those in to: name everyone there") }
        return message
    }

    /// Mailgun's own client sends the author and the subject beside the message that has them already.
    private static func compare(_ reader: inout MailgunReader, with header: HeaderBlock) {
        if header.fields.contains(where: { isInstruction(header.name(of: $0)) }) {
            reader.problems.unsupported(instructions, at: "message")
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

    /// Everything that recipient variables can stand in.
    private static func content(
        _ reader: inout MailgunReader,
        _ variables: [String: String]?,
        _ message: inout NativeMessage
    ) {
        message.subject = text("subject", &reader, variables)
        message.text = text("text", &reader, variables)
        message.html = text("html", &reader, variables)
        reader.refuse("amp-html", "AMP bodies are not sent here")
        if message.text == nil, message.html == nil, reader.form.text("template")?.isEmpty ?? true {
            reader.problems.invalid("is required, or html", at: "text")
        }
        for name in reader.names(with: "h:") { header(name, &reader, variables, &message) }
        metadata(&reader, variables, &message)
    }

    private static func text(
        _ name: String,
        _ reader: inout MailgunReader,
        _ variables: [String: String]?
    ) -> Sourced<String>? {
        reader.text(name).map { MailgunPlaceholders.replace(in: $0, variables, &reader) }
    }

    private static func header(
        _ field: String,
        _ reader: inout MailgunReader,
        _ variables: [String: String]?,
        _ message: inout NativeMessage
    ) {
        let name = String(field.dropFirst(2))
        guard let value = text(field, &reader, variables) else { return }
        switch name.lowercased() {
        case "reply-to":
            message.replyTo = NativeText.mailboxes(value.value, at: field, &reader.problems)
        case "message-id":
            message.messageID = value
        case _ where isInstruction(name):
            reader.problems.unsupported(instructions, at: field)
        default:
            if let header = NativeText.header(name: name, value: value.value, at: field, &reader.problems) {
                message.headers.append(header)
            }
        }
    }

    private static let instructions = "X-Mailgun fields are instructions to Mailgun, and not obeyed here"

    private static func isInstruction(_ name: String) -> Bool { name.lowercased().hasPrefix("x-mailgun-") }

    private static func metadata(
        _ reader: inout MailgunReader,
        _ variables: [String: String]?,
        _ message: inout NativeMessage
    ) {
        for field in reader.names(with: "v:") {
            let texts = reader.texts(field)
            if texts.count > 1 { reader.problems.invalid("stands several times", at: field) }
            guard let text = texts.first else { continue }
            let value = MailgunPlaceholders.replace(in: text, variables, &reader)
            message.metadata[String(field.dropFirst(2))] = value.value
        }
    }

    /// HTML shows an inline file by its name: `cid:logo.png`.
    private static func attachments(_ reader: inout MailgunReader) -> [Sourced<MessageBuilder.Attachment>] {
        ["attachment", "inline"].flatMap { field in
            reader.files(field).map { file in
                let filename = file.filename.flatMap { $0.isEmpty ? nil : $0 } ?? field
                let isInline = field == "inline"
                return Sourced(
                    MessageBuilder.Attachment(
                        filename: filename, contentType: file.contentType ?? MailgunFileType.guess(filename),
                        bytes: file.bytes, isInline: isInline, contentID: isInline ? filename : nil),
                    at: field)
            }
        }
    }
}

/// Mailgun's clients name no type, so that the file's name has to do; what is not known is sent as bytes.
enum MailgunFileType {
    static func guess(_ filename: String) -> String {
        let end = filename.split(separator: ".", omittingEmptySubsequences: false).dropFirst().last?.lowercased()
        return switch end {
        case "png", "gif", "webp", "bmp": "image/\(end ?? "")"
        case "jpg", "jpeg": "image/jpeg"
        case "svg": "image/svg+xml"
        case "pdf", "zip", "json", "xml": "application/\(end ?? "")"
        case "txt", "log": "text/plain"
        case "html", "htm": "text/html"
        case "csv": "text/csv"
        case "ics": "text/calendar"
        default: "application/octet-stream"
        }
    }
}
