// The bodies, files and header fields of SendGrid's form.

import JSON
import MIME
import Mapping
import Model

enum SendGridContent {
    /// Plain text first, then HTML: SendGrid keeps to the order of RFC 2046 §5.1.4.
    static func read(_ reader: inout JSONReader, into message: inout NativeMessage, _ problems: inout NativeProblems) {
        guard let elements = reader.required("content", reader.array("content")) else { return }
        if elements.isEmpty { reader.problem("must hold at least one content", at: "content") }
        for (index, element) in elements.prefix(10).enumerated() {
            var inner = JSONReader(element, pointer: "\(reader.pointer(to: "content"))/\(index)")
            let type = inner.string("type")
            let value = inner.string("value")
            if inner.problems.isEmpty {
                _ = inner.required("type", type)
                if inner.required("value", value)?.isEmpty == true { inner.problem("must not be empty", at: "value") }
            }
            inner.finish()
            if inner.problems.isEmpty, let type, let value {
                place(Sourced(value, at: inner.pointer(to: "value")), as: type, in: &message, &inner, &problems)
            }
            problems.invalid += inner.problems
        }
        if elements.count > 10 { reader.problem("must not hold more than 10 contents", at: "content") }
    }

    private static func place(
        _ value: Sourced<String>,
        as type: String,
        in message: inout NativeMessage,
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) {
        switch type.lowercased() {
        case "text/plain":
            if message.text != nil { reader.problem("stands twice", at: "type") }
            if message.html != nil { reader.problem("text/plain must stand before text/html", at: "type") }
            message.text = value
        case "text/html":
            if message.html != nil { reader.problem("stands twice", at: "type") }
            message.html = value
        default:
            problems.unsupported(
                "bodies are text/plain and text/html here; send calendars and the like as attachments",
                at: reader.pointer(to: "type"))
        }
    }

    static func attachments(
        _ reader: inout JSONReader,
        atMost most: Int,
        _ problems: inout NativeProblems
    ) -> [Sourced<MessageBuilder.Attachment>] {
        guard let elements = reader.array("attachments") else { return [] }
        guard elements.count <= most else {
            reader.problem("must not hold more than \(most) attachments", at: "attachments")
            return []
        }
        var attachments: [Sourced<MessageBuilder.Attachment>] = []
        for (index, element) in elements.enumerated() {
            var inner = JSONReader(element, pointer: "\(reader.pointer(to: "attachments"))/\(index)")
            if let attachment = attachment(&inner, &problems) {
                attachments.append(Sourced(attachment, at: inner.pointer))
            }
            problems.invalid += inner.problems
        }
        return attachments
    }

    private static func attachment(
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) -> MessageBuilder.Attachment? {
        let content = reader.string("content")
        let filename = reader.string("filename")
        if reader.problems.isEmpty {
            _ = reader.required("content", content)
            _ = reader.required("filename", filename)
        }
        let type = reader.string("type") ?? "application/octet-stream"
        let contentID = reader.string("content_id").flatMap { $0.isEmpty ? nil : $0 }
        let disposition = reader.string("disposition")?.lowercased()
        if let disposition, disposition != "attachment", disposition != "inline" {
            reader.problem("is neither inline nor attachment", at: "disposition")
        }
        reader.finish()
        guard let content, let filename else { return nil }
        guard let bytes = NativeText.base64(content, at: reader.pointer(to: "content"), &problems) else { return nil }
        // Without a disposition, a content id says well enough what the file is for.
        let isInline = disposition.map { $0 == "inline" } ?? (contentID != nil)
        return MessageBuilder.Attachment(
            filename: filename, contentType: type, bytes: bytes, isInline: isInline, contentID: contentID)
    }
}

enum SendGridHeaders {
    /// The fields of a personalization take the place of the document's, by name without regard to case.
    static func read(
        _ reader: inout JSONReader,
        into message: inout NativeMessage,
        _ limits: MappingLimits,
        _ problems: inout NativeProblems
    ) {
        guard let object = reader.object("headers") else { return }
        // Message-ID is beside the others.
        guard object.members.count - 1 <= limits.headers else {
            reader.problem("must not hold more than \(limits.headers) fields", at: "headers")
            return
        }
        var seen: Set<String> = []
        var own: [Sourced<Envelope.Header>] = []
        for member in object.members {
            let place = "\(reader.pointer(to: "headers"))/\(JSONReader.escape(member.name))"
            let name = member.name.lowercased()
            guard seen.insert(name).inserted else {
                problems.invalid("stands twice, but for upper and lower case", at: place)
                continue
            }
            guard let value = member.value.stringValue else {
                problems.invalid("expected a string, found \(member.value.kind)", at: place)
                continue
            }
            if name == "message-id" {
                message.messageID = Sourced(value, at: place)
            } else if let header = NativeText.header(name: member.name, value: value, at: place, &problems) {
                own.append(header)
            }
        }
        message.headers.removeAll { seen.contains($0.value.name.lowercased()) }
        message.headers += own
    }
}
