// The canonical form as it is submitted to `/v1/send`, and as the database keeps it: one recipient, one `mime` object.

package import JSON
import MIME
package import Model

package enum CanonicalDialect {
    /// - Throws: `validation_failed` with every problem of the document, `no_ip_pool` or `setting_unset`.
    package static func map(_ document: JSONValue, _ context: MappingContext) throws(PosternError) -> MappedMessage {
        var reader = JSONReader(document)
        let draft = read(&reader, context.limits)
        guard reader.problems.isEmpty, let draft else { throw .validation(reader.problems) }
        let envelopes = try draft.draft.envelopes(for: [draft.recipient], context)
        try MessageBuilder.checkSize(of: envelopes[0], context)
        return MappedMessage(
            correlation: context.correlation, envelopes: envelopes,
            origins: context.isExplained ? [origins(of: document, draft.draft, context)] : [])
    }

    /// The canonical form maps to itself: what stands in the document came from there.
    private static func origins(
        of document: JSONValue,
        _ draft: EnvelopeDraft,
        _ context: MappingContext
    ) -> FieldOrigins {
        func value(_ path: [String]) -> JSONValue? {
            let found = path.reduce(document as JSONValue?) { $0?.objectValue?[$1] }
            return found == .null ? nil : found
        }
        var origins = draft.origins(context)
        let paths: [(path: String, otherwise: FieldOrigin)] = [
            ("recipient", .absent), ("envelope", .absent), ("priority", .absent), ("ips", .absent), ("tags", .absent),
            ("campaign_id", .absent), ("tracking", .absent), ("mime.to", .absent), ("mime.from.address", .absent),
            ("mime.from.name", .field("mime.from.address")), ("mime.replyto.address", .field("mime.from.address")),
            ("mime.replyto.name", .field("mime.from.name")), ("mime.subject", .absent), ("mime.text", .absent),
            ("mime.content", .absent),
        ]
        for (path, otherwise) in paths {
            let parts = path.split(separator: ".").map(String.init)
            if value(parts) != nil {
                origins[path] = .payload("/" + parts.joined(separator: "/"))
            } else if origins[path] == nil {
                origins[path] = otherwise
            }
        }
        for header in draft.content.headers {
            origins["mime.headers.\(header.name)"] = .payload("/mime/headers/\(JSONReader.escape(header.name))")
        }
        return origins
    }

    /// Reads an envelope that was mapped and stored before, and therefore is complete.
    package static func stored(_ bytes: [UInt8]) throws(PosternError) -> Envelope {
        guard let document = try? JSONParser.parse(bytes) else {
            throw PosternError(.internalError, "a stored envelope is not JSON")
        }
        var reader = JSONReader(document)
        guard let (draft, recipient) = read(&reader, .none), let sender = draft.sender,
            let priority = draft.priority
        else { throw PosternError(.internalError, "a stored envelope is not complete") }
        return Envelope(
            recipient: recipient, sender: sender, priority: priority, ips: draft.ips ?? [], tags: draft.tags ?? [],
            campaignID: draft.campaignID, tracking: draft.tracking, content: draft.content)
    }

    private static func read(
        _ reader: inout JSONReader,
        _ limits: MappingLimits
    ) -> (draft: EnvelopeDraft, recipient: EmailAddress)? {
        let recipient = reader.required("recipient", reader.address("recipient"))
        let sender = reader.address("envelope")
        let priority = reader.integer("priority")
        if let priority, !(0...1000).contains(priority) { reader.problem("must be from 0 to 1000", at: "priority") }
        let ips = reader.strings("ips")
        if let ips {
            if ips.count > limits.ips { reader.problem("must not hold more than \(limits.ips) addresses", at: "ips") }
            for ip in ips where SendingAddress.normalized(ip) == nil {
                reader.problem("\"\(ip.prefix(64))\" is not an IP address", at: "ips")
            }
        }
        let tags = reader.tags("tags", limits)
        let campaign = reader.headerText("campaign_id")
        let tracking = tracking(&reader)
        let content = content(&reader, recipient: recipient, limits)
        reader.finish()
        guard reader.problems.isEmpty, let recipient, let content else { return nil }
        var draft = EnvelopeDraft(content: content)
        draft.sender = sender
        draft.priority = priority.map(Int.init)
        draft.ips = ips
        draft.tags = tags
        draft.campaignID = campaign
        draft.tracking = tracking
        return (draft, recipient)
    }

    private static func tracking(_ reader: inout JSONReader) -> Envelope.Tracking? {
        guard var inner = reader.reader("tracking") else { return nil }
        let tracking = Envelope.Tracking(
            userID: inner.headerText("userId"), endpointID: inner.headerText("endpointId"),
            context: inner.headerText("context"), isVisible: inner.bool("visible"))
        inner.finish()
        reader.adopt(inner.problems)
        return tracking
    }

    private static func content(
        _ reader: inout JSONReader,
        recipient: EmailAddress?,
        _ limits: MappingLimits
    ) -> Envelope.Content? {
        guard let object = reader.required("mime", reader.object("mime")) else { return nil }
        var mime = JSONReader(object, pointer: reader.pointer(to: "mime"))
        defer { reader.adopt(mime.problems) }
        let to = mime.required("to", mime.address("to"))
        if let to, let recipient, to.comparisonKey != recipient.comparisonKey {
            mime.problem("must be the same as recipient", at: "to")
        }
        let from = party(&mime, "from", default: nil)
        if from == nil { _ = mime.required("from", mime.object("from")) }
        let replyTo = party(&mime, "replyto", default: from)
        let subject = mime.headerText("subject")
        let text = mime.string("text")
        let html = blocks(&mime)
        if text == nil, html.isEmpty { mime.problem("needs text or a content block of type html") }
        let headers = mime.headers("headers", limit: limits.headers)
        mime.finish()
        guard let from, let replyTo else { return nil }
        return Envelope.Content(
            from: from, replyTo: replyTo, subject: subject, headers: headers, body: .blocks(text: text, html: html))
    }

    /// An absent name is the address; an absent Reply-To is the From.
    private static func party(
        _ reader: inout JSONReader,
        _ name: String,
        default other: Envelope.Party?
    ) -> Envelope.Party? {
        guard let object = reader.object(name) else { return other }
        var inner = JSONReader(object, pointer: reader.pointer(to: name))
        defer { reader.adopt(inner.problems) }
        let address = inner.address("address") ?? other?.address
        let text = inner.headerText("name")
        inner.finish()
        guard let address = inner.required("address", address) else { return nil }
        if let text, text != address.description, (try? Mailbox(name: text, address: address)) == nil {
            inner.problem("cannot be written as a display name: it is too long or has control characters", at: "name")
        }
        return Envelope.Party(name: text ?? other?.name ?? address.description, address: address)
    }

    private static func blocks(_ reader: inout JSONReader) -> [String] {
        guard let elements = reader.array("content") else { return [] }
        guard elements.count <= 100 else {
            reader.problem("must not hold more than 100 blocks", at: "content")
            return []
        }
        var blocks: [String] = []
        for (index, element) in elements.enumerated() {
            var block = JSONReader(element, pointer: "\(reader.pointer(to: "content"))/\(index)")
            let type = block.required("type", block.string("type"))
            if let type, type != "html" { block.problem("only blocks of type html are taken", at: "type") }
            if let content = block.required("content", block.string("content")) { blocks.append(content) }
            block.finish()
            reader.adopt(block.problems)
        }
        return blocks
    }
}
