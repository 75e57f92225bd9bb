// What the numbers of a queue mean.

import Model
import RabbitMQManagement
import Testing

@testable import Broker

@Suite("Queue health")
struct QueueSampleTests {
    private func judged(
        _ role: QueueRole,
        _ reading: QueueReading?,
        alarms: [BrokerAlarm] = [],
        block: String? = nil
    ) -> QueueStatus {
        let sample = QueueSample.management(queues: ["q": reading], alarms: alarms)
        return sample.status(role, "q", block: block ?? sample.alarm, BacklogThresholds())
    }

    @Test("a queue with consumers and little in it is healthy, with all its numbers")
    func healthy() {
        let reading = QueueReading(
            type: "quorum", state: "running", ready: 14, unacknowledged: 3, consumers: 1, publishRate: 8,
            consumeRate: 7.5)
        let status = judged(.outbox, reading)
        #expect(status.health == .healthy)
        #expect(status.detail == "14 are ready")
        #expect(status.source == .management)
        #expect((status.type, status.ready, status.unacknowledged, status.consumers) == ("quorum", 14, 3, 1))
        #expect((status.publishRate, status.consumeRate) == (8, 7.5))
    }

    @Test("a queue that nobody takes from is a backlog as soon as something is in it")
    func nobody() {
        #expect(judged(.outbox, QueueReading(ready: 0, consumers: 0)).health == .healthy)
        let outbox = judged(.outbox, QueueReading(ready: 1, consumers: 0))
        #expect(outbox.health == .backlog)
        #expect(outbox.detail == "1 is ready and nobody takes them: is MailerQ running and connected?")
        #expect(judged(.failure, QueueReading(ready: 3, consumers: 0)).detail.contains("is Postern running"))
    }

    @Test("how much is too much depends on what the queue is for")
    func thresholds() {
        func health(_ role: QueueRole, _ ready: Int) -> QueueStatus.Health {
            judged(role, QueueReading(ready: ready, consumers: 1)).health
        }
        #expect((health(.failure, 99), health(.failure, 100)) == (.healthy, .backlog))
        #expect((health(.success, 999), health(.success, 1000)) == (.healthy, .backlog))
        #expect((health(.outbox, 9999), health(.outbox, 10_000)) == (.healthy, .backlog))
        #expect((health(.retry, 999), health(.retry, 1000)) == (.healthy, .backlog))
    }

    @Test("unknown depths are no alarm and no zero")
    func unknown() {
        let status = judged(.outbox, QueueReading(type: "quorum", consumers: 0))
        #expect(status.health == .healthy)
        #expect(status.ready == nil)
        #expect(status.detail.contains("not known yet"))
    }

    @Test("a queue that is not there is missing, whoever says so")
    func missing() {
        #expect(judged(.success, nil).health == .missing)
        #expect(judged(.success, nil).source == .management)
        let passive = QueueSample.passive(["q": nil]).status(.success, "q", block: nil, BacklogThresholds())
        #expect((passive.health, passive.source) == (.missing, .passive))
        let unasked = QueueSample.passive([:]).status(.success, "q", block: nil, BacklogThresholds())
        #expect(unasked.health == .missing)
    }

    @Test("an alarm blocks every queue that is there, and says what and where")
    func alarm() {
        let alarms = [
            BrokerAlarm(node: "rabbit@b", resource: "memory"), BrokerAlarm(node: "rabbit@a", resource: "disk"),
        ]
        let status = judged(.outbox, QueueReading(ready: 1, consumers: 1), alarms: alarms)
        #expect(status.health == .blocked)
        #expect(status.detail == "the broker has an alarm (disk, memory) on rabbit@a, rabbit@b")
        #expect(judged(.outbox, nil, alarms: alarms).health == .missing)
    }

    @Test("a queue without its majority is unreachable", arguments: ["down", "minority", "crashed", "stopped"])
    func lost(state: String) {
        let status = judged(.outbox, QueueReading(state: state, ready: 1, consumers: 1))
        #expect(status.health == .unreachable)
        #expect(status.detail.hasSuffix("is \(state)"))
    }

    @Test("a passive answer knows ready and consumers, and the rest is unknown")
    func passive() {
        let sample = QueueSample.passive(["q": PassiveReading(ready: 5, consumers: 2)])
        let status = sample.status(.retry, "q", block: nil, BacklogThresholds())
        #expect((status.ready, status.consumers, status.source) == (5, 2, .passive))
        #expect(status.unacknowledged == nil && status.publishRate == nil && status.type == nil)
    }
}
