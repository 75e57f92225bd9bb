// From a stored message to the document that MailerQ takes: the one place that knows both.

import JSON
import MIME
package import MailerQ
import Mapping
package import Model
import Store

/// How a message's content stands in MailerQ's document.
package enum MailerQMIMEMode: String, Hashable, Sendable, CaseIterable {
    /// The product scope's `mime` object (seed 000 §06).
    case canonical
    /// The `mime` object of MailerQ's own documents.
    case responsive
    /// The finished RFC 5322 message. What was submitted as one goes as one in every mode.
    case string
}

package struct MailerQMapping: Sendable {
    package let mode: MailerQMIMEMode
    package let queues: MailerQMessage.Queues

    /// - Parameter queues: where this instance looks for results.
    package init(mode: MailerQMIMEMode, queues: MailerQMessage.Queues) {
        self.mode = mode
        self.queues = queues
    }

    /// Finished messages of one batch, made ready for MailerQ: recipients of one submission share theirs.
    typealias Finished = [PayloadID: [UInt8]]

    /// - Parameter handOver: which hand-over of the message this is, from 1.
    /// - Throws: `malformed_message` for a header that cannot be read; `internal_error` for a stored envelope that cannot.
    func message(
        for stored: StoredMessage,
        handOver: Int,
        finished: inout Finished
    ) throws(PosternError) -> MailerQMessage {
        var message: MailerQMessage
        switch stored.format {
        case .envelope:
            let envelope = try CanonicalDialect.stored(stored.bytes)
            message = MailerQMessage(
                recipient: envelope.recipient.wireForm, envelope: envelope.sender.wireForm,
                mime: try content(of: envelope, stored))
            message.priority = Self.priority(envelope.priority)
            message.ips = envelope.ips
            message.tags = envelope.tags
            message.campaignID = envelope.campaignID
            message.tracking = envelope.tracking.map(MailerQMessage.Tracking.init)
        case .mime:
            let bytes: [UInt8]
            if let shared = finished[stored.payload] { bytes = shared } else { bytes = try Self.cleaned(stored.bytes) }
            finished[stored.payload] = bytes
            message = MailerQMessage(
                recipient: Self.wireForm(stored.recipient), envelope: Self.wireForm(stored.sender),
                mime: .string(bytes))
            message.priority = Self.priority(stored.priority)
            message.tags = stored.tags
            if let envelope = stored.envelopeJSON { Self.readFacts(envelope, into: &message) }
        }
        message.nextAttempt = stored.sendAt.map(MailerQTime.init)
        message.maxDeliverTime = MailerQTime(stored.deadline)
        message.queues = queues
        message.reference = MailerQReference(
            message: stored.id.text, vault: stored.vault.text, correlation: stored.correlation.text,
            handover: handOver)
        return message
    }

    // MARK: Content

    private func content(
        of envelope: Envelope,
        _ stored: StoredMessage
    ) throws(PosternError) -> MailerQMessage.MIME {
        guard mode != .string, case .blocks(let text, let html) = envelope.content.body else {
            let bytes = try MessageBuilder.message(
                of: envelope, correlation: stored.correlation, date: stored.createdAt)
            return .string(try Self.cleaned(bytes))
        }
        var content = MailerQContent(
            to: envelope.recipient.wireForm, from: Self.party(envelope.content.from),
            replyTo: Self.party(envelope.content.replyTo))
        content.subject = envelope.content.subject
        content.text = text
        content.html = html
        content.headers = Self.headers(of: envelope, stored)
        return mode == .canonical ? .canonical(content) : .responsive(content)
    }

    /// The caller's fields, and the Message-ID and Date of every other hand-over, so that a second copy can be known.
    private static func headers(of envelope: Envelope, _ stored: StoredMessage) -> [MailerQContent.Header] {
        var headers: [MailerQContent.Header] = []
        for header in envelope.content.headers where !isMailerQ(header.name.utf8) {
            // MailerQ copies them without a look, so what is not ASCII must be encoded here.
            let isPlain = header.value.utf8.allSatisfy { $0 < 0x80 }
            headers.append(
                .init(name: header.name, value: isPlain ? header.value : EncodedWord.encode(header.value)))
        }
        let id = MessageBuilder.messageID(stored.correlation, from: envelope.content.from.address)
        for (name, value) in [
            ("Message-ID", "<\(id)>"), ("Date", MailDate.format(unixSeconds: stored.createdAt.seconds)),
        ] where !headers.contains(where: { $0.name.lowercased() == name.lowercased() }) {
            headers.append(.init(name: name, value: value))
        }
        return headers
    }

    private static func party(_ party: Envelope.Party) -> MailerQContent.Party {
        MailerQContent.Party(name: party.name, address: party.address.wireForm)
    }

    /// The message without `x-mq-*` fields, which are orders to MailerQ, and callers give none; and in UTF-8, or no JSON
    /// could hold it.
    private static func cleaned(_ bytes: [UInt8]) throws(PosternError) -> [UInt8] {
        let header: HeaderBlock
        do throws(MIMEError) {
            header = try HeaderBlock.parse(bytes)
        } catch {
            throw PosternError(.malformedMessage, "the message's header cannot be read: \(error.message)")
        }
        // Behind a line that is no field another reader may go on reading fields, and find what we did not see.
        if case .malformedLine = header.end {
            throw PosternError(.malformedMessage, "the message's header has a line that is no header field")
        }
        let isOrdering = header.fields.contains { isMailerQ(bytes[$0.nameRange]) }
        return UTF8Message.make(isOrdering ? HeaderEdit(removing: ["x-mq-*"]).apply(to: header) : bytes)
    }

    private static func isMailerQ(_ name: some Collection<UInt8>) -> Bool {
        name.count >= 5 && zip(name, "x-mq-".utf8).allSatisfy { ($0 >= 0x41 && $0 <= 0x5A ? $0 | 0x20 : $0) == $1 }
    }

    // MARK: Facts

    /// What the envelope of a finished message says; it was checked when it was accepted.
    private static func readFacts(_ json: String, into message: inout MailerQMessage) {
        guard let envelope = (try? JSONParser.parse(json))?.objectValue else { return }
        message.ips = envelope["ips"]?.arrayValue?.compactMap(\.stringValue) ?? []
        message.campaignID = envelope["campaign_id"]?.stringValue
        if let tracking = envelope["tracking"]?.objectValue {
            message.tracking = MailerQMessage.Tracking(
                userID: tracking["userId"]?.stringValue, endpointID: tracking["endpointId"]?.stringValue,
                context: tracking["context"]?.stringValue, isVisible: tracking["visible"]?.boolValue)
        }
    }

    /// AMQP 0-9-1 has a byte for it.
    private static func priority(_ priority: Int) -> Int { min(max(priority, 0), 255) }

    /// The log has addresses as they were given; MailerQ refuses a domain that is not in A-labels.
    private static func wireForm(_ address: String) -> String {
        (try? EmailAddress(parsing: address))?.wireForm ?? address
    }
}

extension MailerQMessage.Tracking {
    fileprivate init(_ tracking: Envelope.Tracking) {
        self.init(
            userID: tracking.userID, endpointID: tracking.endpointID, context: tracking.context,
            isVisible: tracking.isVisible)
    }
}

extension MailerQTime {
    package init(_ time: Timestamp) { self.init(unixSeconds: time.seconds) }
}
