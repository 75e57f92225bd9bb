// The notices that a channel has not taken yet, when each is tried again, and how many go at once. A value: the time goes in.

package import Model
import Store

package struct AlertQueue: Sendable {
    package struct Retry: Sendable {
        /// Seconds before the second attempt; doubles from attempt to attempt. Default 2.
        package var initial: Double = 2
        /// Seconds between two attempts at most. Default 60.
        package var maximum: Double = 60
        /// Seconds after which a notice is given up. Default 600.
        package var lifetime: Double = 600

        package init() {}
    }

    /// What keeps a channel from flooding people.
    package struct Pace: Sendable {
        /// Messages that go at once. Default 6.
        package var burst: Double = 6
        /// Seconds after which one more may go. Default 60.
        package var pause: Double = 60
        /// From so many notices on that wait, one digest tells them all. Default 5.
        package var digest = 5
        /// Notices in one digest at most. Default 100.
        package var size = 100

        package init() {}
    }

    package enum Failure: Hashable, Sendable {
        case again(at: Timestamp)
        case gaveUp
    }

    private struct Entry {
        let notice: AlertNotice
        let addedAt: Timestamp
        var attempts = 0
        var dueAt: Timestamp
    }

    /// Notices that wait at most: beyond it the oldest one is given up.
    private static let limit = 1_000

    private let retry: Retry
    private let pace: Pace
    private var entries: [Entry] = []
    /// Messages that may go now, as of then.
    private var allowance: Double
    private var allowedAt: Timestamp?

    package init(retry: Retry = Retry(), pace: Pace = Pace()) {
        self.retry = retry
        self.pace = pace
        allowance = pace.burst
    }

    package var count: Int { entries.count }

    /// Whether nothing waits, and nothing that was sent has to be remembered.
    package mutating func isIdle(at now: Timestamp) -> Bool {
        refill(at: now)
        return entries.isEmpty && allowance >= pace.burst
    }

    /// - Returns: a notice that was given up for want of room.
    package mutating func add(_ notice: AlertNotice, at now: Timestamp) -> AlertNotice? {
        guard !entries.contains(where: { $0.notice.key == notice.key }) else { return nil }
        entries.append(Entry(notice: notice, addedAt: now, dueAt: now))
        return entries.count > Self.limit ? entries.removeFirst().notice : nil
    }

    /// What to try next: one notice, or where many wait as many as go into a digest. That an alert is over is told after
    /// that it opened, or with it.
    package mutating func next(at now: Timestamp) -> [AlertNotice]? {
        refill(at: now)
        guard allowance >= 1 else { return nil }
        var held: Set<AlertID> = []
        var due: [AlertNotice] = []
        for entry in entries {
            let id = entry.notice.alert.id
            // No pause is longer than the longest one: a clock that was set back does not hold a notice up.
            let isDue = entry.dueAt <= now || entry.dueAt > now.adding(seconds: retry.maximum)
            guard isDue, !held.contains(id) else {
                held.insert(id)
                continue
            }
            due.append(entry.notice)
        }
        guard let first = due.first else { return nil }
        // The last one that may go for a while takes all with it.
        let isDigest = due.count >= pace.digest || due.count > 1 && allowance < 2
        return isDigest ? Array(due.prefix(pace.size)) : [first]
    }

    package mutating func succeeded(_ notices: [AlertNotice], at now: Timestamp) {
        refill(at: now)
        allowance -= 1
        let keys = Set(notices.map(\.key))
        entries.removeAll { keys.contains($0.notice.key) }
    }

    package mutating func failed(_ notice: AlertNotice, at now: Timestamp) -> Failure {
        guard let index = entries.firstIndex(where: { $0.notice.key == notice.key }) else { return .gaveUp }
        entries[index].attempts += 1
        let pause = min(retry.initial * Double(1 << min(entries[index].attempts - 1, 20)), retry.maximum)
        let dueAt = now.adding(seconds: pause)
        guard dueAt <= entries[index].addedAt.adding(seconds: retry.lifetime) else {
            entries.remove(at: index)
            return .gaveUp
        }
        entries[index].dueAt = dueAt
        return .again(at: dueAt)
    }

    package mutating func clear() { entries = [] }

    private mutating func refill(at now: Timestamp) {
        let elapsed = Double(now.milliseconds - (allowedAt ?? now).milliseconds) / 1_000
        allowance = min(pace.burst, allowance + max(elapsed, 0) / pace.pause)
        allowedAt = now
    }
}
