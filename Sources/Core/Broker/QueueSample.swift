// What one round of questions brought, and what it means for each queue.

import Model
import RabbitMQManagement

/// What a passive declaration says of a queue.
package struct PassiveReading: Sendable, Hashable {
    package let ready: Int
    package let consumers: Int

    package init(ready: Int, consumers: Int) {
        self.ready = ready
        self.consumers = consumers
    }
}

/// From how many waiting messages on a queue counts as a backlog.
package struct BacklogThresholds: Sendable {
    /// Default 10,000: MailerQ holds back by itself what it cannot send yet.
    package var outbox = 10_000
    /// Default 1,000.
    package var success = 1_000
    /// Default 100.
    package var failure = 100
    /// Default 1,000.
    package var retry = 1_000

    package init() {}

    package subscript(role: QueueRole) -> Int {
        switch role {
        case .outbox: outbox
        case .success: success
        case .failure: failure
        case .retry: retry
        }
    }
}

/// Answers of one round, as they came.
enum QueueSample: Sendable {
    /// By queue name; `nil` is no such queue.
    case management(queues: [String: QueueReading?], alarms: [BrokerAlarm])
    case passive([String: PassiveReading?])
    /// Why nobody answered.
    case none(String)
}

extension QueueSample {
    /// - Parameter block: why the broker takes nothing from publishers; `nil` when it does.
    func status(_ role: QueueRole, _ name: String, block: String?, _ thresholds: BacklogThresholds) -> QueueStatus {
        switch self {
        case .none(let reason): return QueueStatus(role: role, name: name, health: .unreachable, detail: reason)
        case .passive(let readings):
            guard let reading = readings[name] ?? nil else { return Self.missing(role, name, .passive) }
            let known = QueueReading(ready: reading.ready, consumers: reading.consumers)
            return Self.status(role, name, known, .passive, block, thresholds)
        case .management(let readings, _):
            guard let reading = readings[name] ?? nil else { return Self.missing(role, name, .management) }
            return Self.status(role, name, reading, .management, block, thresholds)
        }
    }

    /// Why publishers wait, if a node has raised an alarm.
    var alarm: String? {
        guard case .management(_, let alarms) = self, !alarms.isEmpty else { return nil }
        let resources = Set(alarms.map(\.resource)).sorted().joined(separator: ", ")
        let nodes = Set(alarms.map(\.node)).subtracting([""]).sorted().joined(separator: ", ")
        return "the broker has an alarm (\(resources))\(nodes.isEmpty ? "" : " on \(nodes)")"
    }

    private static func missing(_ role: QueueRole, _ name: String, _ source: QueueStatus.Source) -> QueueStatus {
        QueueStatus(
            role: role, name: name, health: .missing,
            detail: "there is no queue of this name; make it, or set POSTERN_AMQP_DECLARE", source: source)
    }

    private static func status(
        _ role: QueueRole,
        _ name: String,
        _ reading: QueueReading,
        _ source: QueueStatus.Source,
        _ block: String?,
        _ thresholds: BacklogThresholds
    ) -> QueueStatus {
        let (health, detail) = judge(role, reading, block, thresholds)
        var status = QueueStatus(role: role, name: name, health: health, detail: detail, source: source)
        status.type = reading.type
        status.ready = reading.ready
        status.unacknowledged = reading.unacknowledged
        status.consumers = reading.consumers
        status.publishRate = reading.publishRate
        status.consumeRate = reading.consumeRate
        return status
    }

    private static func judge(
        _ role: QueueRole,
        _ reading: QueueReading,
        _ block: String?,
        _ thresholds: BacklogThresholds
    ) -> (QueueStatus.Health, String) {
        if let state = reading.state, !["running", "idle", "flow", "live"].contains(state) {
            return (.unreachable, "the broker says that the queue is \(state)")
        }
        if let block { return (.blocked, block) }
        let taker = role == .outbox ? "MailerQ" : "Postern"
        guard let ready = reading.ready else {
            return (.healthy, "the queue is there; how much is in it is not known yet")
        }
        if ready > 0, reading.consumers == 0 {
            return (.backlog, "\(count(ready)) and nobody takes them: is \(taker) running and connected?")
        }
        if ready >= thresholds[role] {
            return (.backlog, "\(count(ready)), more than \(taker) takes away")
        }
        if reading.consumers == 0 { return (.healthy, "nothing is ready, and nobody consumes it") }
        return (.healthy, ready == 0 ? "nothing is ready" : count(ready))
    }

    private static func count(_ ready: Int) -> String { ready == 1 ? "1 is ready" : "\(ready) are ready" }
}
