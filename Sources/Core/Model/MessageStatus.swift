// Where a message stands. Written once as a state machine: a late or repeated event never moves a message backwards.

package enum MessageStatus: String, Hashable, Sendable, CaseIterable {
    /// Waits for its `send_at`.
    case scheduled
    /// Waits in the outbox for its route, for the first time or again.
    case queued
    /// A route has it in hand.
    case inFlight = "in_flight"
    /// The next hop took responsibility.
    case delivered
    /// The next hop refused it for good.
    case bounced
    /// We cannot send it, and trying again would not help.
    case failed
    /// Its deadline passed.
    case expired
    /// Shadow mode: kept, not sent.
    case captured
    /// Stopped before it left.
    case cancelled

    /// Whether nothing more is going to happen.
    package var isFinal: Bool {
        switch self {
        case .scheduled, .queued, .inFlight: false
        case .delivered, .bounced, .failed, .expired, .captured, .cancelled: true
        }
    }

    /// Whether a message in this state may move to another one.
    package func canBecome(_ next: MessageStatus) -> Bool {
        switch self {
        case .scheduled:
            switch next {
            case .queued, .inFlight, .cancelled, .expired, .captured: true
            case .scheduled, .delivered, .bounced, .failed: false
            }
        case .queued:
            switch next {
            // The answer to an attempt may come after its lease ran out: it is late, and still the answer.
            case .inFlight, .captured, .cancelled, .expired, .failed, .delivered, .bounced: true
            case .scheduled, .queued: false
            }
        case .inFlight:
            switch next {
            case .queued, .delivered, .bounced, .failed, .expired, .captured: true
            case .scheduled, .inFlight, .cancelled: false
            }
        // A person may send again what did not arrive; what arrived stays.
        case .bounced, .failed, .expired, .cancelled:
            switch next {
            case .queued: true
            case .scheduled, .inFlight, .delivered, .bounced, .failed, .expired, .captured, .cancelled: false
            }
        case .delivered, .captured:
            false
        }
    }
}

/// A fact about a message.
package enum EventType: String, Hashable, Sendable, CaseIterable {
    case accepted, scheduled, queued, attempted, deferred, delivered, bounced, failed, expired, captured, cancelled
    /// The next hop has it for certain (the broker's confirm), and will report what comes of it.
    case relayed
    /// Somebody asked for a message to be sent again.
    case retried
    /// Somebody took note of a failure: it waits for nothing any more.
    case drained
}
