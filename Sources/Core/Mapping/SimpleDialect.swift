// The form for people and agents: from, to, cc, bcc, subject, text, html, attachments.

package import JSON
import MIME
package import Model

package enum SimpleDialect {
    /// - Throws: `validation_failed` with every problem of the document, `too_many_recipients`, `message_too_large`, or
    ///   `setting_unset`.
    package static func map(_ document: JSONValue, _ context: MappingContext) throws(PosternError) -> MappedSubmission {
        var reader = JSONReader(document)
        let from = reader.required("from", reader.mailbox("from"))
        let to = reader.mailboxes("to")
        let cc = reader.mailboxes("cc")
        let bcc = reader.mailboxes("bcc")
        let replyTo = reader.mailboxes("reply_to")
        let subject = reader.headerText("subject")
        let text = reader.string("text")
        let html = reader.string("html")
        let attachments = attachments(&reader)
        let headers = reader.headers("headers", limit: context.limits.headers)
        let tags = reader.tags("tags", context.limits)
        let metadata = metadata(&reader, context.limits)
        let sendAt = sendAt(&reader, context)
        reader.finish()
        if to.isEmpty, cc.isEmpty, bcc.isEmpty, !reader.problems.contains(where: { $0.pointer.hasPrefix("/to") }) {
            reader.problem("needs at least one recipient in to, cc or bcc", at: "to")
        }
        if text == nil, html == nil { reader.problem("needs text or html") }
        guard reader.problems.isEmpty, let from else { throw .validation(reader.problems) }

        let recipients = unique((to + cc + bcc).map(\.address))
        guard recipients.count <= context.limits.recipients else {
            throw PosternError(
                .tooManyRecipients, "\(recipients.count) recipients, and \(context.limits.recipients) are allowed")
        }
        let sender = Envelope.Party(name: from.name ?? from.address.description, address: from.address)
        let reply = replyTo.first.map { Envelope.Party(name: $0.name ?? $0.address.description, address: $0.address) }
        let isPlain =
            to.count == 1 && cc.isEmpty && bcc.isEmpty && attachments.isEmpty && replyTo.count <= 1
            && to[0].name == nil
        let body: Envelope.Body =
            if isPlain {
                .blocks(text: text, html: html.map { [$0] } ?? [])
            } else {
                .raw(
                    Envelope.RawMessage(
                        try MessageBuilder.build(
                            MessageBuilder.Parts(
                                from: from, replyTo: replyTo, to: to, cc: cc, subject: subject, text: text, html: html,
                                attachments: attachments, headers: headers),
                            correlation: context.correlation, date: context.now)))
            }
        if case .raw(let message) = body { try MessageBuilder.checkSize(message.bytes.count, context) }
        var draft = EnvelopeDraft(
            content: Envelope.Content(
                from: sender, replyTo: reply ?? sender, subject: subject, headers: isPlain ? headers : [], body: body))
        draft.tags = tags
        let envelopes = try draft.envelopes(for: recipients, context)
        try MessageBuilder.checkSize(of: envelopes[0], context)
        return MappedSubmission(envelopes: envelopes, sendAt: sendAt, metadata: metadata)
    }

    /// Everyone once, however often they are named: a second copy helps nobody.
    private static func unique(_ addresses: [EmailAddress]) -> [EmailAddress] {
        var seen: Set<String> = []
        return addresses.filter { seen.insert($0.comparisonKey).inserted }
    }

    private static func attachments(_ reader: inout JSONReader) -> [MessageBuilder.Attachment] {
        guard let elements = reader.array("attachments") else { return [] }
        guard elements.count <= 100 else {
            reader.problem("must not hold more than 100 attachments", at: "attachments")
            return []
        }
        return elements.enumerated().compactMap { index, element in
            var inner = JSONReader(element, pointer: "\(reader.pointer(to: "attachments"))/\(index)")
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
            let attachment = MessageBuilder.Attachment(
                filename: filename, contentType: type, bytes: bytes, isInline: isInline, contentID: contentID)
            if let problem = MessageBuilder.problem(with: attachment) { inner.problem(problem) }
            return attachment
        }
    }

    private static func metadata(_ reader: inout JSONReader, _ limits: MappingLimits) -> [String: String] {
        guard let object = reader.object("metadata") else { return [:] }
        var metadata: [String: String] = [:]
        var bytes = 0
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
            bytes += member.name.utf8.count + value.utf8.count
        }
        if metadata.count > limits.metadataEntries || bytes > limits.metadataBytes {
            reader.problem(
                "must not hold more than \(limits.metadataEntries) entries or \(limits.metadataBytes) bytes",
                at: "metadata")
        }
        return metadata
    }

    private static func sendAt(_ reader: inout JSONReader, _ context: MappingContext) -> Timestamp? {
        guard let text = reader.string("send_at") else { return nil }
        guard let time = Timestamp(text) else {
            reader.problem("is not a time in RFC 3339, such as 2026-11-20T18:00:00Z", at: "send_at")
            return nil
        }
        guard time <= context.now.adding(seconds: Double(context.limits.scheduleDays) * 86_400) else {
            reader.problem("is more than \(context.limits.scheduleDays) days ahead", at: "send_at")
            return nil
        }
        return time
    }
}
