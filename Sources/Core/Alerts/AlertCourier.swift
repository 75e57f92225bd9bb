// Brings notices to one channel: in order for each alert, again after a failure, and never so that others have to wait.

import Logging
import Metrics
import Model
import Store
import Synchronization

final class AlertCourier: Sendable {
    /// Told of each notice's end: which one, by which channel, and whether the channel took it.
    typealias End = @Sendable (_ notice: AlertNotice, _ channel: String, _ wasTaken: Bool) -> Void

    private let channel: any AlertChannel
    private let clock: any WallClock
    private let logger: Logger
    private let metrics: (any MetricsFactory)?
    private let queue: Mutex<AlertQueue>
    private let onEnd: End

    init(
        channel: any AlertChannel,
        retry: AlertQueue.Retry,
        clock: any WallClock,
        logger: Logger,
        metrics: (any MetricsFactory)?,
        onEnd: @escaping End
    ) {
        self.channel = channel
        self.clock = clock
        self.logger = logger
        self.metrics = metrics
        self.onEnd = onEnd
        queue = Mutex(AlertQueue(retry: retry))
    }

    var name: String { channel.name }

    func add(_ notice: AlertNotice) {
        let dropped = queue.withLock { $0.add(notice, at: clock.now()) }
        if let dropped { giveUp(dropped, "too many notices are waiting") }
    }

    func clear() { queue.withLock { $0.clear() } }

    /// Tries everything that is due, once.
    func round() async {
        while !Task.isCancelled, let notice = queue.withLock({ $0.next(at: clock.now()) }) {
            do {
                try await channel.deliver(notice)
                queue.withLock { $0.succeeded(notice) }
                count("delivered")
                onEnd(notice, channel.name, true)
            } catch {
                // A shutdown is no failure of the channel: whoever comes next on duty tells it.
                if Task.isCancelled { return }
                switch queue.withLock({ $0.failed(notice, at: clock.now()) }) {
                case .again:
                    count("failed")
                    logger.warning("an alert was not taken; it is tried again", metadata: metadata(notice, "\(error)"))
                case .gaveUp:
                    giveUp(notice, "\(error)")
                }
            }
        }
    }

    private func giveUp(_ notice: AlertNotice, _ reason: String) {
        count("gave_up")
        onEnd(notice, channel.name, false)
        logger.error("an alert was not taken; it is given up", metadata: metadata(notice, reason))
    }

    private func metadata(_ notice: AlertNotice, _ reason: String) -> Logger.Metadata {
        [
            "channel": "\(channel.name)", "alert": "\(notice.alert.id)", "kind": "\(notice.alert.condition.rawValue)",
            "state": "\(notice.state.rawValue)", "error": "\(reason)",
        ]
    }

    private func count(_ outcome: String) {
        Counter(
            label: "postern_alert_notifications_total", dimensions: [("channel", channel.name), ("outcome", outcome)],
            factory: metrics ?? MetricsSystem.factory
        ).increment()
    }
}
