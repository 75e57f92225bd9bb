// From what a dialect read to envelopes: the checks and the mapping rules that all dialects share.

package import JSON
import MIME
package import Model

extension NativeMessage {
    /// - Parameter found: problems that reading has found already, so that a caller hears of all in one answer.
    /// - Throws: `validation_failed` with every problem at its place in the payload, `too_many_recipients`, `message_too_large`,
    ///   `malformed_message`, `no_ip_pool` or `setting_unset`.
    package func mapped(
        _ context: MappingContext,
        after found: [JSONProblem] = []
    ) throws(PosternError) -> MappedMessage {
        var problems = NativeProblems()
        problems.invalid = found
        checkCommon(context, &problems)
        if let raw { return try mappedRaw(raw, context, problems) }
        checkContent(context, &problems)
        try problems.check()
        guard let from else { throw PosternError(.internalError, "a message without From passed its checks") }

        let recipients = Self.unique(to + cc + bcc)
        try Self.checkCount(recipients.count, context)
        let body: Envelope.Body =
            if isPlain {
                .blocks(text: text?.value, html: html.map { [$0.value] } ?? [])
            } else {
                .raw(Envelope.RawMessage(try MessageBuilder.build(parts(from.value), id: messageID?.value, context)))
            }
        if case .raw(let message) = body { try MessageBuilder.checkSize(message.bytes.count, context) }
        let author = Envelope.Party(from.value)
        let draft = draft(
            Envelope.Content(
                from: author, replyTo: replyTo.first.map { Envelope.Party($0.value) } ?? author,
                subject: subject?.value, headers: isPlain ? headers.map(\.value) : [], body: body))
        let envelopes = try draft.envelopes(for: recipients.map(\.value.address), context)
        try MessageBuilder.checkSize(of: envelopes[0], context)
        return MappedMessage(
            correlation: context.correlation, envelopes: envelopes, sendAt: sendAt?.value, metadata: metadata,
            origins: context.isExplained ? recipients.map { origins(of: $0, draft, context) } : [])
    }

    private func mappedRaw(
        _ raw: Sourced<[UInt8]>,
        _ context: MappingContext,
        _ problems: NativeProblems
    ) throws(PosternError) -> MappedMessage {
        try problems.check()
        let submission = RawSubmission(
            bytes: raw.value, sender: sender?.value, recipients: envelopeRecipients.map(\.value),
            trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false))
        let (message, recipients) = try MIMEDialect.read(submission, context)
        let draft = draft(message)
        let envelopes = try draft.envelopes(for: recipients, context)
        return MappedMessage(
            correlation: context.correlation, envelopes: envelopes, sendAt: sendAt?.value, metadata: metadata,
            origins: context.isExplained
                ? envelopes.map { origins(of: $0.recipient, raw.at, MIMEDialect.origins(submission, draft, context)) }
                : [])
    }

    private func origins(of recipient: EmailAddress, _ place: String, _ message: FieldOrigins) -> FieldOrigins {
        var origins = message
        let named = envelopeRecipients.first { $0.value.comparisonKey == recipient.comparisonKey }
        origins["recipient"] = named.map { .payload($0.at) } ?? .message("To, Cc or Bcc")
        addOrigins(to: &origins)
        origins["mime"] = .payload(place)
        return origins
    }

    private func draft(_ content: Envelope.Content) -> EnvelopeDraft {
        var draft = EnvelopeDraft(content: content)
        draft.sender = sender?.value
        draft.priority = priority?.value
        draft.ips = ips?.value
        draft.pool = pool?.value
        draft.tags = tags?.value
        draft.campaignID = campaignID?.value
        draft.tracking = tracking?.value
        return draft
    }

    private func parts(_ from: Mailbox) -> MessageBuilder.Parts {
        MessageBuilder.Parts(
            from: from, replyTo: replyTo.map(\.value), to: to.map(\.value), cc: cc.map(\.value),
            subject: subject?.value,
            text: text?.value, html: html?.value, attachments: attachments.map(\.value), headers: headers.map(\.value))
    }

    /// A message to one person without files is kept as its blocks, and built when it is sent.
    private var isPlain: Bool {
        to.count == 1 && cc.isEmpty && bcc.isEmpty && attachments.isEmpty && replyTo.count <= 1 && messageID == nil
            && to[0].value.name == nil
    }

    /// Everyone once, however often they are named: a second copy helps nobody.
    private static func unique(_ mailboxes: [Sourced<Mailbox>]) -> [Sourced<Mailbox>] {
        if mailboxes.count == 1 { return mailboxes }
        var seen: Set<String> = []
        return mailboxes.filter { seen.insert($0.value.address.comparisonKey).inserted }
    }

    private static func checkCount(_ recipients: Int, _ context: MappingContext) throws(PosternError) {
        guard recipients <= context.limits.recipients else {
            throw PosternError(
                .tooManyRecipients, "\(recipients) recipients, and \(context.limits.recipients) are allowed")
        }
    }
}

// MARK: - Checks

extension NativeMessage {
    private func checkCommon(_ context: MappingContext, _ problems: inout NativeProblems) {
        let limits = context.limits
        if let tags {
            if tags.value.count > limits.tags {
                problems.invalid("must not hold more than \(limits.tags) tags", at: tags.at)
            }
            for tag in tags.value where tag.isEmpty || tag.utf8.count > limits.tagBytes || tag.hasControlCharacters {
                problems.invalid("a tag has 1 to \(limits.tagBytes) bytes and no control characters", at: tags.at)
            }
        }
        if let campaignID { Self.checkLine(campaignID, &problems) }
        if let priority, !(0...1000).contains(priority.value) {
            problems.invalid("must be from 0 to 1000", at: priority.at)
        }
        if let ips {
            if ips.value.count > limits.ips {
                problems.invalid("must not hold more than \(limits.ips) addresses", at: ips.at)
            }
            for ip in ips.value where SendingAddress.normalized(ip) == nil {
                problems.invalid("\"\(ip.prefix(64))\" is not an IP address", at: ips.at)
            }
        }
        if let pool, context.pools.addresses(named: pool.value) == nil {
            problems.invalid("there is no IP pool named \"\(pool.value.prefix(64))\" in this vault", at: pool.at)
        }
        if let sendAt, sendAt.value > context.latestSchedule {
            problems.invalid("is more than \(limits.scheduleDays) days ahead", at: sendAt.at)
        }
        let bytes = metadata.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count }
        if metadata.count > limits.metadataEntries || bytes > limits.metadataBytes {
            let most = "\(limits.metadataEntries) entries or \(limits.metadataBytes) bytes"
            problems.invalid("must not hold more than \(most)", at: metadataAt)
        }
    }

    private func checkContent(_ context: MappingContext, _ problems: inout NativeProblems) {
        if from == nil, problems.invalid.isEmpty { problems.invalid("the message has no sender (From)", at: "") }
        if to.isEmpty, cc.isEmpty, bcc.isEmpty, problems.invalid.isEmpty {
            problems.invalid("the message has no recipient", at: "")
        }
        if text == nil, html == nil, problems.invalid.isEmpty {
            problems.invalid("the message has neither text nor HTML", at: "")
        }
        if let subject { Self.checkLine(subject, &problems) }
        if headers.count > context.limits.headers {
            problems.invalid("must not hold more than \(context.limits.headers) fields", at: headers[0].at)
        }
        if !hasCheckedAttachments { problems.invalid += attachmentProblems(context.limits) }
    }

    /// Checks the files, for a dialect that makes many messages of one: their copies are not checked again.
    package mutating func checkAttachments(_ limits: MappingLimits, _ problems: inout NativeProblems) {
        problems.invalid += attachmentProblems(limits)
        hasCheckedAttachments = true
    }

    private func attachmentProblems(_ limits: MappingLimits) -> [JSONProblem] {
        guard attachments.count <= limits.attachments else {
            let message = "must not hold more than \(limits.attachments) attachments"
            return [JSONProblem(pointer: attachments[0].at, message: message)]
        }
        return attachments.compactMap { attachment in
            MessageBuilder.problem(with: attachment.value).map { JSONProblem(pointer: attachment.at, message: $0) }
        }
    }

    /// A text of one header line, such as a subject.
    private static func checkLine(_ text: Sourced<String>, _ problems: inout NativeProblems) {
        if text.value.hasControlCharacters {
            problems.invalid("must not hold line ends or other control characters", at: text.at)
        } else if text.value.utf8.count > 4096 {
            problems.invalid("must not be longer than 4,096 bytes", at: text.at)
        }
    }
}

// MARK: - Where values came from

extension NativeMessage {
    private func origins(
        of recipient: Sourced<Mailbox>,
        _ draft: EnvelopeDraft,
        _ context: MappingContext
    ) -> FieldOrigins {
        var origins = FieldOrigins()
        origins["recipient"] = .payload(recipient.at)
        if let from {
            origins["mime.from.address"] = .payload(from.at)
            origins["mime.from.name"] =
                from.value.name == nil ? .field("mime.from.address") : .payload(fromNameAt ?? from.at)
        }
        if let reply = replyTo.first {
            origins["mime.replyto"] = .payload(reply.at)
        } else {
            origins["mime.replyto"] = .field("mime.from")
        }
        origins["mime.to"] = to.isEmpty ? .absent : .payload(to[0].at)
        if let first = cc.first { origins["mime.cc"] = .payload(first.at) }
        origins["mime.subject"] = subject.map { .payload($0.at) } ?? .absent
        origins["mime.text"] = text.map { .payload($0.at) } ?? .absent
        origins["mime.content"] = html.map { .payload($0.at) } ?? .absent
        for header in headers { origins["mime.headers.\(header.value.name)"] = .payload(header.at) }
        for (index, attachment) in attachments.enumerated() {
            origins["mime.attachments.\(index)"] = .payload(attachment.at)
        }
        for (name, origin) in draft.origins(context).fields { origins[name] = origin }
        addOrigins(to: &origins)
        return origins
    }

    /// What the payload said itself.
    private func addOrigins(to origins: inout FieldOrigins) {
        if let sender { origins["envelope"] = .payload(sender.at) }
        if let priority { origins["priority"] = .payload(priority.at) }
        if let ips { origins["ips"] = .payload(ips.at) }
        if let pool { origins["ips"] = .pool(pool.at) }
        if let tags { origins["tags"] = .payload(tags.at) }
        if let campaignID { origins["campaign_id"] = .payload(campaignID.at) }
        if let tracking { origins["tracking"] = .payload(tracking.at) }
        if let sendAt { origins["send_at"] = .payload(sendAt.at) }
    }
}

extension Envelope.Party {
    /// An absent name is the address.
    init(_ mailbox: Mailbox) {
        self.init(name: mailbox.name ?? mailbox.address.description, address: mailbox.address)
    }
}
