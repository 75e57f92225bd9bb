// The form for people and agents: from, to, cc, bcc, subject, text, html, attachments.

package import JSON
import MIME
package import Model

package enum SimpleDialect {
    /// - Throws: `validation_failed` with every problem of the document, `too_many_recipients`, `message_too_large`,
    ///   `no_ip_pool` or `setting_unset`.
    package static func map(_ document: JSONValue, _ context: MappingContext) throws(PosternError) -> MappedMessage {
        var reader = JSONReader(document)
        var message = NativeMessage()
        message.from = reader.required("from", reader.mailbox("from")).map { Sourced($0, at: "/from") }
        message.to = reader.mailboxes("to")
        message.cc = reader.mailboxes("cc")
        message.bcc = reader.mailboxes("bcc")
        message.replyTo = reader.mailboxes("reply_to")
        message.subject = reader.headerText("subject").map { Sourced($0, at: "/subject") }
        message.text = reader.string("text").map { Sourced($0, at: "/text") }
        message.html = reader.string("html").map { Sourced($0, at: "/html") }
        message.attachments = attachments(&reader, context.limits)
        message.headers = reader.headers("headers", limit: context.limits.headers).map { header in
            Sourced(header, at: "/headers/\(JSONReader.escape(header.name))")
        }
        message.tags = reader.strings("tags").map { Sourced($0, at: "/tags") }
        message.metadata = metadata(&reader)
        message.metadataAt = "/metadata"
        message.sendAt = sendAt(&reader)
        reader.finish()
        if message.to.isEmpty, message.cc.isEmpty, message.bcc.isEmpty,
            !reader.problems.contains(where: { $0.pointer.hasPrefix("/to") })
        {
            reader.problem("needs at least one recipient in to, cc or bcc", at: "to")
        }
        if message.text == nil, message.html == nil { reader.problem("needs text or html") }
        return try message.mapped(context, after: reader.problems)
    }

    private static func attachments(
        _ reader: inout JSONReader,
        _ limits: MappingLimits
    ) -> [Sourced<MessageBuilder.Attachment>] {
        guard let elements = reader.array("attachments") else { return [] }
        guard elements.count <= limits.attachments else {
            reader.problem("must not hold more than \(limits.attachments) attachments", at: "attachments")
            return []
        }
        return elements.enumerated().compactMap { index, element in
            let place = "\(reader.pointer(to: "attachments"))/\(index)"
            var inner = JSONReader(element, pointer: place)
            defer { reader.adopt(inner.problems) }
            let filename = inner.required("filename", inner.headerText("filename"))
            let type = inner.headerText("content_type") ?? "application/octet-stream"
            let content = inner.required("content", inner.string("content"))
            let contentID = inner.headerText("content_id")
            let isInline = inner.bool("inline") ?? (contentID != nil)
            inner.finish()
            guard let filename, let content else { return nil }
            guard let bytes = Base64.decode(content.utf8) else {
                inner.problem("is not base64", at: "content")
                return nil
            }
            return Sourced(
                MessageBuilder.Attachment(
                    filename: filename, contentType: type, bytes: bytes, isInline: isInline, contentID: contentID),
                at: place)
        }
    }

    private static func metadata(_ reader: inout JSONReader) -> [String: String] {
        guard let object = reader.object("metadata") else { return [:] }
        var metadata: [String: String] = [:]
        for member in object.members {
            guard let value = member.value.stringValue else {
                reader.adopt([
                    JSONProblem(
                        pointer: "\(reader.pointer(to: "metadata"))/\(JSONReader.escape(member.name))",
                        message: "expected a string, found \(member.value.kind)")
                ])
                continue
            }
            metadata[member.name] = value
        }
        return metadata
    }

    private static func sendAt(_ reader: inout JSONReader) -> Sourced<Timestamp>? {
        guard let text = reader.string("send_at") else { return nil }
        guard let time = Timestamp(text) else {
            reader.problem("is not a time in RFC 3339, such as 2026-11-20T18:00:00Z", at: "send_at")
            return nil
        }
        return Sourced(time, at: "/send_at")
    }
}
