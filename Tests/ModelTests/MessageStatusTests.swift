// The state machine as one table: every pair of states, so that a change of the machine is a change here.

import Model
import Testing

@Suite("Message status")
struct MessageStatusTests {
    /// Where each state may lead.
    static let table: [(from: MessageStatus, to: Set<MessageStatus>)] = [
        (.scheduled, [.queued, .inFlight, .cancelled, .expired, .captured]),
        (.queued, [.inFlight, .captured, .cancelled, .expired, .failed, .delivered, .bounced]),
        (.inFlight, [.queued, .delivered, .bounced, .failed, .expired, .captured]),
        (.delivered, []),
        (.captured, []),
        (.bounced, [.queued]),
        (.failed, [.queued]),
        (.expired, [.queued]),
        (.cancelled, [.queued]),
    ]

    @Test("each state leads exactly where the table says", arguments: table)
    func transitions(_ from: MessageStatus, _ to: Set<MessageStatus>) {
        #expect(Set(MessageStatus.allCases.filter { from.canBecome($0) }) == to)
    }

    @Test("the table names every state once")
    func completeness() {
        #expect(Self.table.map(\.from).count == MessageStatus.allCases.count)
        #expect(Set(Self.table.map(\.from)) == Set(MessageStatus.allCases))
    }

    @Test("final states are those from which only a person's retry leads on")
    func finality() {
        let open: Set<MessageStatus> = [.scheduled, .queued, .inFlight]
        for status in MessageStatus.allCases {
            #expect(status.isFinal == !open.contains(status))
            let next = Set(MessageStatus.allCases.filter { status.canBecome($0) })
            if status.isFinal { #expect(next.isSubset(of: [.queued])) }
        }
    }

    @Test("nothing becomes itself, and nothing goes back to waiting for its time", arguments: MessageStatus.allCases)
    func neverBackwards(_ status: MessageStatus) {
        #expect(!status.canBecome(status))
        #expect(!status.canBecome(.scheduled))
    }

    @Test("what arrived stays arrived", arguments: [MessageStatus.delivered, .captured])
    func arrived(_ status: MessageStatus) {
        #expect(MessageStatus.allCases.allSatisfy { !status.canBecome($0) })
    }

    @Test("from every open state an end can be reached")
    func endsAreReachable() {
        for status in MessageStatus.allCases where !status.isFinal {
            #expect(MessageStatus.allCases.contains { $0.isFinal && status.canBecome($0) })
        }
    }

    @Test("the names are those of the database and of the API")
    func names() {
        #expect(
            MessageStatus.allCases.map(\.rawValue) == [
                "scheduled", "queued", "in_flight", "delivered", "bounced", "failed", "expired", "captured",
                "cancelled",
            ])
        #expect(Set(EventType.allCases.map(\.rawValue)).count == EventType.allCases.count)
    }

    @Test("foreign text does not show itself in a log")
    func foreign() {
        #expect("\(Foreign("<script>"))" == "‹foreign›")
        #expect(Foreign("a").asData() == "a")
        #expect(Foreign("a") == Foreign("a") && Foreign("a") != Foreign("b"))
    }
}
