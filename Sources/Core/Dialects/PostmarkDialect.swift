// Postmark's form: what `POST /email` takes, and `/email/batch` as a list. Addresses are comma lists, as in a header.

import JSON
import MIME
package import Mapping
package import Model

package enum PostmarkDialect: NativeDialect {
    package static let name = "postmark"
    /// Messages of one call, as at Postmark.
    package static let batchLimit = 500

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        var problems = NativeProblems()
        let messages = try payload.documents(limit: batchLimit).map { document, pointer in
            message(JSONReader(document, pointer: pointer), &problems)
        }
        try problems.check()
        return messages
    }

    private static func message(_ document: JSONReader, _ problems: inout NativeProblems) -> NativeMessage {
        var reader = document
        var message = NativeMessage()
        if let text = reader.required("From", reader.string("From")) {
            let place = reader.pointer(to: "From")
            message.from = NativeText.mailbox(text, at: place, &problems).map { Sourced($0, at: place) }
        }
        message.to = addresses("To", &reader, &problems)
        message.cc = addresses("Cc", &reader, &problems)
        message.bcc = addresses("Bcc", &reader, &problems)
        message.replyTo = addresses("ReplyTo", &reader, &problems)
        message.subject = reader.sourced("Subject")
        message.html = reader.sourced("HtmlBody").flatMap { $0.value.isEmpty ? nil : $0 }
        message.text = reader.sourced("TextBody").flatMap { $0.value.isEmpty ? nil : $0 }
        message.tags = reader.sourced("Tag").flatMap { $0.value.isEmpty ? nil : Sourced([$0.value], at: $0.at) }
        for (name, text) in reader.texts("Metadata") { message.metadata[name] = text.value }
        headers(&reader, &message, &problems)
        message.attachments = attachments(&reader, &problems)
        refuse(&reader, &problems)
        reader.finish()
        problems.invalid += reader.problems
        return message
    }

    private static func refuse(_ reader: inout JSONReader, _ problems: inout NativeProblems) {
        reader.refuse("TrackOpens", "opens are not tracked here", &problems)
        reader.refuse("TrackLinks", "links are not tracked here", unless: [.string("None")], &problems)
        reader.refuse(
            "MessageStream", "message streams are not kept here: only \"outbound\" is taken",
            unless: [.string("outbound")], &problems)
        for field in ["TemplateId", "TemplateAlias", "TemplateModel", "InlineCss"] {
            reader.refuse(field, "templates are not kept or rendered here: send the finished message", &problems)
        }
    }

    private static func addresses(
        _ name: String,
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        guard let list = reader.sourced(name) else { return [] }
        return NativeText.mailboxes(list.value, at: list.at, &problems)
    }

    private static func headers(
        _ reader: inout JSONReader,
        _ message: inout NativeMessage,
        _ problems: inout NativeProblems
    ) {
        let place = reader.pointer(to: "Headers")
        for (index, element) in (reader.array("Headers") ?? []).enumerated() {
            var header = JSONReader(element, pointer: "\(place)/\(index)")
            let name = header.required("Name", header.string("Name"))
            let value = header.required("Value", header.string("Value"))
            header.finish()
            problems.invalid += header.problems
            guard let name, let value else { continue }
            switch name.lowercased() {
            // Postmark keeps the Message-ID that it is given only where this field says so.
            case "x-pm-keepid": continue
            case "message-id":
                if let id = MIME.MessageID.normalized(value) {
                    message.messageID = Sourced(id, at: header.pointer)
                } else {
                    problems.invalid("a Message-ID has the form <left@right>", at: header.pointer)
                }
            default:
                if let header = NativeText.header(name: name, value: value, at: header.pointer, &problems) {
                    message.headers.append(header)
                }
            }
        }
    }

    private static func attachments(
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) -> [Sourced<MessageBuilder.Attachment>] {
        let place = reader.pointer(to: "Attachments")
        return (reader.array("Attachments") ?? []).enumerated().compactMap { index, element in
            var file = JSONReader(element, pointer: "\(place)/\(index)")
            let name = file.required("Name", file.string("Name"))
            let content = file.required("Content", file.string("Content"))
            let type = file.required("ContentType", file.string("ContentType"))
            let contentID = file.string("ContentID").flatMap { $0.isEmpty ? nil : $0 }
            // What some client libraries add; the content says it itself.
            _ = file.integer("ContentLength")
            let disposition = file.string("Disposition")?.lowercased()
            if let disposition, disposition != "inline", disposition != "attachment" {
                file.problem("is neither inline nor attachment", at: "Disposition")
            }
            file.finish()
            problems.invalid += file.problems
            guard let name, let content, let type,
                let bytes = NativeText.base64(content, at: file.pointer(to: "Content"), &problems)
            else { return nil }
            let attachment = MessageBuilder.Attachment(
                filename: name, contentType: type, bytes: bytes,
                isInline: disposition.map { $0 == "inline" } ?? (contentID != nil),
                contentID: contentID.map { $0.hasPrefix("cid:") ? String($0.dropFirst(4)) : $0 })
            return Sourced(attachment, at: file.pointer)
        }
    }
}
