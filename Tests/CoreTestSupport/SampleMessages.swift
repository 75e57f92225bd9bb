// Acceptances for the suites that need rows and do not care what is in them.

import MIME
package import Model
package import Store
import TestSupport

extension TestHouse {
    /// What one test message is like; everything has a value to begin with.
    package struct Sample: Sendable {
        package var recipients = ["ann@example.net"]
        package var sender = "sales@example.com"
        package var subject: String? = "Hello"
        package var priority = 5
        package var route = RouteName.smarthost
        package var tags: [String] = []
        package var payload = Array("From: sales@example.com\r\n\r\nHi\r\n".utf8)
        package var sendAfter: Double?
        package var lifetime = 3600.0
        package var idempotency: (key: String, digest: [UInt8])?
        package var metadata: String?

        package init() {}
    }

    package func acceptance(
        by caller: Caller? = nil,
        _ change: (inout Sample) -> Void = { _ in }
    ) throws -> SampleSubmission {
        var sample = Sample()
        change(&sample)
        let now = clock.now()
        let sender = try EmailAddress(parsing: sample.sender)
        let party = Envelope.Party(name: sender.description, address: sender)
        let content = Envelope.Content(
            from: party, replyTo: party, subject: sample.subject, body: .raw(Envelope.RawMessage(sample.payload)))
        let correlation: CorrelationID = ids.next()
        let entries = try sample.recipients.map { recipient in
            Acceptance.Entry(
                id: ids.next(),
                envelope: Envelope(
                    recipient: try EmailAddress(parsing: recipient), sender: sender, priority: sample.priority,
                    tags: sample.tags, content: content),
                envelopeJSON: "{}", route: sample.route)
        }
        let sendAt = sample.sendAfter.map { now.adding(seconds: $0) }
        let acceptance = Acceptance(
            correlation: correlation, caller: caller ?? self.caller, door: .http, payloadID: ids.next(),
            payloadFormat: .mime, payload: sample.payload, entries: entries, metadata: sample.metadata, sendAt: sendAt,
            deadline: (sendAt ?? now).adding(seconds: sample.lifetime), createdAt: now,
            eventIDs: (0..<2 * entries.count).map { _ in ids.next() })
        return SampleSubmission(
            acceptance: acceptance,
            idempotency: sample.idempotency.map {
                Acceptance.Idempotency(
                    key: $0.key, digest: $0.digest, answer: entries[0].id.text, expiresAt: now.adding(seconds: 86_400))
            })
    }

    /// Accepts a sample; returns the ids of its messages.
    @discardableResult
    package func accept(
        by caller: Caller? = nil,
        _ change: (inout Sample) -> Void = { _ in }
    ) async throws -> [Model.MessageID] {
        let acceptance = try acceptance(by: caller, change)
        guard case .committed = try await MessageRepository(database: database).accept(acceptance) else {
            throw NeverHappened("a sample's commit")
        }
        return acceptance.entries.map(\.id)
    }

    /// An event for a move that a test makes itself.
    package func event(_ type: EventType, attempt: Int = 0) -> MessageEvent {
        MessageEvent(id: ids.next(), type: type, at: clock.now(), attempt: attempt, route: .smarthost)
    }
}

/// A sample message with the idempotency key that it was submitted under.
@dynamicMemberLookup
package struct SampleSubmission: Sendable {
    package let acceptance: Acceptance
    package let idempotency: Acceptance.Idempotency?

    package subscript<Value>(dynamicMember path: KeyPath<Acceptance, Value>) -> Value { acceptance[keyPath: path] }
}

extension MessageRepository {
    package func accept(_ sample: SampleSubmission) async throws -> AcceptanceOutcome {
        try await accept([sample.acceptance], idempotency: sample.idempotency)
    }
}
