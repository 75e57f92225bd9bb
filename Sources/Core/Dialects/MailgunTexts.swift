// Everything in Mailgun's form that recipient variables can stand in, read once: subject, bodies, header fields, custom data.

import Forms
import Mapping
import Model

struct MailgunTexts {
    private let subject: MailgunTemplate?
    private let text: MailgunTemplate?
    private let html: MailgunTemplate?
    /// By the form's field: `h:Reply-To`.
    private let headers: [(field: String, value: MailgunTemplate)]
    private let metadata: [(name: String, value: MailgunTemplate)]

    static let instructions = "X-Mailgun fields are instructions to Mailgun, and not obeyed here"

    static func isInstruction(_ name: String) -> Bool { name.lowercased().hasPrefix("x-mailgun-") }

    init(_ reader: inout MailgunReader, hasVariables: Bool, _ limits: MappingLimits) {
        func template(_ name: String) -> MailgunTemplate? {
            reader.text(name).map { MailgunTemplate($0, hasVariables: hasVariables, &reader.problems) }
        }
        subject = template("subject")
        text = template("text")
        html = template("html")
        reader.refuse("amp-html", "AMP bodies are not sent here")
        if text == nil, html == nil, reader.form.text("template")?.isEmpty ?? true {
            reader.problems.invalid("is required, or html", at: "text")
        }
        // Reply-To and Message-ID are beside the others.
        let fields = reader.fields(
            with: "h:", atMost: limits.headers + 2, "must not hold more than \(limits.headers) fields")
        headers = fields.compactMap { field in template(field).map { (field, $0) } }
        metadata = Self.metadata(&reader, hasVariables: hasVariables, limits)
    }

    static func metadata(
        _ reader: inout MailgunReader,
        hasVariables: Bool,
        _ limits: MappingLimits
    ) -> [(name: String, value: MailgunTemplate)] {
        let most = "\(limits.metadataEntries) entries or \(limits.metadataBytes) bytes"
        return reader.fields(with: "v:", atMost: limits.metadataEntries, "must not hold more than \(most)")
            .compactMap { field in
                let texts = reader.texts(field)
                if texts.count > 1 { reader.problems.invalid("stands several times", at: field) }
                return texts.first.map {
                    let value = MailgunTemplate($0, hasVariables: hasVariables, &reader.problems)
                    return (String(field.dropFirst(2)), value)
                }
            }
    }

    /// - Parameter values: the recipient's, or `nil` where the message is not one of a batch.
    func fill(_ message: inout NativeMessage, _ values: [String: String]?, _ reader: inout MailgunReader) {
        message.subject = subject?.filled(values, &reader)
        message.text = text?.filled(values, &reader)
        message.html = html?.filled(values, &reader)
        for (field, value) in headers { header(field, value.filled(values, &reader), &message, &reader.problems) }
        for (name, value) in metadata { message.metadata[name] = value.filled(values, &reader).value }
    }

    private func header(
        _ field: String,
        _ value: Sourced<String>,
        _ message: inout NativeMessage,
        _ problems: inout NativeProblems
    ) {
        let name = String(field.dropFirst(2))
        switch name.lowercased() {
        case "reply-to":
            message.replyTo = NativeText.mailboxes(value.value, at: field, &problems)
        case "message-id":
            message.messageID = value
        case _ where Self.isInstruction(name):
            problems.unsupported(Self.instructions, at: field)
        default:
            if let header = NativeText.header(name: name, value: value.value, at: field, &problems) {
                message.headers.append(header)
            }
        }
    }
}

extension NativeProblems {
    var count: Int { invalid.count + unsupported.count }
}
