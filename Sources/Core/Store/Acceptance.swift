// All rows of one accepted message: what stands in the database together, or not at all.

package import Model

package struct Acceptance: Sendable {
    package enum PayloadFormat: String, Sendable {
        /// The one message's canonical envelope in JSON.
        case envelope
        /// A finished RFC 5322 message, shared by all messages of the submission.
        case mime
    }

    package struct Entry: Sendable {
        package let id: MessageID
        package let envelope: Envelope
        /// The envelope in JSON without its body; `nil` where the payload is the envelope.
        package let envelopeJSON: String?
        package let route: RouteName

        package init(id: MessageID, envelope: Envelope, envelopeJSON: String?, route: RouteName) {
            self.id = id
            self.envelope = envelope
            self.envelopeJSON = envelopeJSON
            self.route = route
        }
    }

    package struct Idempotency: Sendable {
        package let key: String
        /// SHA-256 of what was submitted.
        package let digest: [UInt8]
        /// What a repeat is answered with.
        package let answer: String
        package let expiresAt: Timestamp

        package init(key: String, digest: [UInt8], answer: String, expiresAt: Timestamp) {
            self.key = key
            self.digest = digest
            self.answer = answer
            self.expiresAt = expiresAt
        }
    }

    package let correlation: CorrelationID
    package let caller: Caller
    package let door: Door
    package let payloadID: PayloadID
    package let payloadFormat: PayloadFormat
    package let payload: [UInt8]
    /// At least one.
    package let entries: [Entry]
    /// The caller's own words, a JSON object; `nil` for none.
    package let metadata: String?
    package let sendAt: Timestamp?
    package let deadline: Timestamp
    package let createdAt: Timestamp
    /// Ids for the events, two an entry.
    package let eventIDs: [EventID]

    package init(
        correlation: CorrelationID, caller: Caller, door: Door, payloadID: PayloadID, payloadFormat: PayloadFormat,
        payload: [UInt8], entries: [Entry], metadata: String?, sendAt: Timestamp?, deadline: Timestamp,
        createdAt: Timestamp, eventIDs: [EventID]
    ) {
        precondition(eventIDs.count == 2 * entries.count, "each accepted message begins with two events")
        self.correlation = correlation
        self.caller = caller
        self.door = door
        self.payloadID = payloadID
        self.payloadFormat = payloadFormat
        self.payload = payload
        self.entries = entries
        self.metadata = metadata
        self.sendAt = sendAt
        self.deadline = deadline
        self.createdAt = createdAt
        self.eventIDs = eventIDs
    }

    /// Whether the messages wait for their time first.
    package var isScheduled: Bool { sendAt.map { $0 > createdAt } ?? false }
}

/// What came of an acceptance.
package enum AcceptanceOutcome: Sendable {
    case committed
    /// The same submission was accepted before: its answer.
    case replayed(answer: String)
    /// The idempotency key belongs to another submission.
    case conflict
}
