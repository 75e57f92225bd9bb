// The notices that a channel has not taken yet, and when each is tried again. A value: the time goes in.

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
    private var entries: [Entry] = []

    package init(retry: Retry = Retry()) { self.retry = retry }

    package var count: Int { entries.count }

    /// - Returns: a notice that was given up for want of room.
    package mutating func add(_ notice: AlertNotice, at now: Timestamp) -> AlertNotice? {
        guard !entries.contains(where: { $0.notice.key == notice.key }) else { return nil }
        entries.append(Entry(notice: notice, addedAt: now, dueAt: now))
        return entries.count > Self.limit ? entries.removeFirst().notice : nil
    }

    /// The next notice to try. That an alert closed is told after that it opened.
    package func next(at now: Timestamp) -> AlertNotice? {
        var waiting: Set<AlertID> = []
        for entry in entries {
            guard waiting.insert(entry.notice.alert.id).inserted else { continue }
            // No pause is longer than the longest one: a clock that was set back does not hold a notice up.
            if entry.dueAt <= now || entry.dueAt > now.adding(seconds: retry.maximum) { return entry.notice }
        }
        return nil
    }

    package mutating func succeeded(_ notice: AlertNotice) { entries.removeAll { $0.notice.key == notice.key } }

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
}
