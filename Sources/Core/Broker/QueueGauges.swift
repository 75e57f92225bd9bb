// The picture as metrics. What is not known has no line: an old number would only mislead.

import Metrics
import Synchronization

final class QueueGauges: Sendable {
    private struct Key: Hashable {
        let name: String
        let queue: String?
    }

    private let gauges = Mutex<[Key: Gauge]>([:])

    func record(_ report: BrokerReport) {
        set("postern_broker_up", nil, report.status == .ok || report.status == .blocked ? 1 : 0)
        set("postern_broker_blocked", nil, report.status == .blocked ? 1 : 0)
        for queue in report.queues {
            let role = queue.role.rawValue
            set("postern_queue_ready", role, queue.ready.map(Double.init))
            set("postern_queue_unacknowledged", role, queue.unacknowledged.map(Double.init))
            set("postern_queue_consumers", role, queue.consumers.map(Double.init))
            set("postern_queue_publish_rate", role, queue.publishRate)
            set("postern_queue_consume_rate", role, queue.consumeRate)
            set("postern_queue_healthy", role, queue.health == .healthy ? 1 : 0)
        }
    }

    private func set(_ name: String, _ queue: String?, _ value: Double?) {
        let key = Key(name: name, queue: queue)
        gauges.withLock { gauges in
            guard let value else {
                gauges.removeValue(forKey: key)?.destroy()
                return
            }
            let gauge = gauges[key] ?? Gauge(label: name, dimensions: queue.map { [("queue", $0)] } ?? [])
            gauges[key] = gauge
            gauge.record(value)
        }
    }
}
