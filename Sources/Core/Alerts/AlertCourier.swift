// Brings notices to one channel: in order for each alert, again after a failure, and never so that others have to wait.

import Logging
import Metrics
import Model
import Store
import Synchronization

final class AlertCourier: Sendable {
    /// Told of each notice's end: which one, to whom, and whether it was taken.
    typealias End = @Sendable (_ notice: AlertNotice, _ target: AlertTarget, _ wasTaken: Bool) -> Void

    /// What all couriers have in common.
    struct Office: Sendable {
        let retry: AlertQueue.Retry
        let pace: AlertQueue.Pace
        let clock: any WallClock
        let logger: Logger
        let metrics: (any MetricsFactory)?
        let onEnd: End
    }

    private let channel: any AlertChannel
    private let target: AlertTarget
    private let office: Office
    private let queue: Mutex<AlertQueue>

    init(_ channel: any AlertChannel, to target: AlertTarget, _ office: Office) {
        self.channel = channel
        self.target = target
        self.office = office
        queue = Mutex(AlertQueue(retry: office.retry, pace: office.pace))
    }

    func add(_ notice: AlertNotice) {
        let dropped = queue.withLock { $0.add(notice, at: office.clock.now()) }
        if let dropped { giveUp(dropped, "too many notices are waiting") }
    }

    func clear() { queue.withLock { $0.clear() } }

    var isIdle: Bool { queue.withLock { $0.isIdle(at: office.clock.now()) } }

    /// Tries everything that is due, once.
    func round() async {
        while !Task.isCancelled, let notices = queue.withLock({ $0.next(at: office.clock.now()) }) {
            do {
                try await channel.deliver(AlertMessage(notices))
                queue.withLock { $0.succeeded(notices, at: office.clock.now()) }
                count("delivered", notices.count)
                for notice in notices { office.onEnd(notice, target, true) }
            } catch {
                // A shutdown is no failure of the channel: whoever comes next on duty tells it.
                if Task.isCancelled { return }
                for notice in notices { failed(notice, "\(error)") }
            }
        }
    }

    private func failed(_ notice: AlertNotice, _ reason: String) {
        switch queue.withLock({ $0.failed(notice, at: office.clock.now()) }) {
        case .again:
            count("failed")
            office.logger.warning("an alert was not taken; it is tried again", metadata: metadata(notice, reason))
        case .gaveUp:
            giveUp(notice, reason)
        }
    }

    private func giveUp(_ notice: AlertNotice, _ reason: String) {
        count("gave_up")
        office.onEnd(notice, target, false)
        office.logger.error("an alert was not taken; it is given up", metadata: metadata(notice, reason))
    }

    private func metadata(_ notice: AlertNotice, _ reason: String) -> Logger.Metadata {
        [
            "channel": "\(channel.name)", "alert": "\(notice.alert.id)", "kind": "\(notice.alert.condition.rawValue)",
            "state": "\(notice.state.rawValue)", "error": "\(reason)",
        ]
    }

    private func count(_ outcome: String, _ number: Int = 1) {
        Counter(
            label: "postern_alert_notifications_total", dimensions: [("channel", channel.name), ("outcome", outcome)],
            factory: office.metrics ?? MetricsSystem.factory
        ).increment(by: number)
    }
}
