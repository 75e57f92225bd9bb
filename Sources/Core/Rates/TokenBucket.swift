// A token bucket as a value: what it held at a moment, and so what it holds at any later one. Integers only, so that a
// limit is kept to the token, however often and however seldom it is asked.

package import Model
package import Store

package struct TokenBucket: Hashable, Sendable {
    /// What a token is in `level`: a millisecond gains exactly `perHour` of them.
    package static let unit = RateRow.unit
    /// After this time what was sent before a lower limit came no longer counts against it: limits are by the hour.
    /// Milliseconds.
    private static let longestDebt: Int64 = 3_600_000
    /// A row from a time this far ahead was written by a clock that was wrong and was set right since. Milliseconds.
    private static let brokenClock: Int64 = 3_600_000

    package private(set) var limit: RateLimit
    /// At `time`. Below zero after the limit was lowered to less than what is gone: a debt.
    package private(set) var level: Int64
    package private(set) var time: Timestamp

    package init(full limit: RateLimit, at time: Timestamp) {
        self.limit = limit
        level = Self.capacity(limit)
        self.time = time
    }

    package init(_ row: RateRow) {
        limit = row.limit
        level = row.level
        time = row.updatedAt
    }

    package func row(named bucket: String) -> RateRow {
        RateRow(bucket: bucket, level: level, limit: limit, updatedAt: time)
    }

    /// Whole tokens, as of the last `advance`.
    package var tokens: Int { level > 0 ? Int(level / Self.unit) : 0 }

    /// Lets time pass. Clocks of processes differ: an earlier time than that of the bucket changes nothing.
    package mutating func advance(to now: Timestamp) {
        let elapsed = now.milliseconds - time.milliseconds
        guard elapsed > 0 else {
            if elapsed < -Self.brokenClock { time = now }
            return
        }
        var left = elapsed
        if level < 0 {
            // A debt stays as it is until it is over, so that its time is counted from its beginning.
            guard elapsed >= debt else { return }
            left -= debt
            level = max(level + debt * Int64(limit.perHour), 0)
        }
        let missing = Self.capacity(limit) - level
        let rate = Int64(limit.perHour)
        // A bucket that has long been full would overflow the product.
        level = left > missing / rate ? level + missing : level + left * rate
        time = now
    }

    /// - Returns: false when there are not so many; nothing was taken then.
    package mutating func take(_ tokens: Int) -> Bool {
        let (cost, overflow) = Int64(tokens).multipliedReportingOverflow(by: Self.unit)
        guard !overflow, cost <= max(level, 0) else { return false }
        level -= cost
        return true
    }

    /// Puts tokens back that were taken and not used. The bucket never holds more than its limit.
    package mutating func put(_ tokens: Int) {
        let (gain, overflow) = Int64(tokens).multipliedReportingOverflow(by: Self.unit)
        let missing = Self.capacity(limit) - level
        level += overflow ? missing : min(gain, missing)
    }

    /// Another limit from now on: what is gone stays gone, so whoever sent 3 of 5 may send 7 more when the limit
    /// becomes 10, and none when it becomes 2. Linear, hence nothing is won while processes know of a change at
    /// different times.
    package mutating func change(to other: RateLimit, at now: Timestamp) {
        guard other != limit else { return }
        advance(to: now)
        if level < 0, now > time {
            level = min(level + (now.milliseconds - time.milliseconds) * Int64(limit.perHour), 0)
            time = now
        }
        level += Self.capacity(other) - Self.capacity(limit)
        limit = other
    }

    /// When this many tokens will be there, if none is taken; at most the limit's burst.
    package func time(of tokens: Int) -> Timestamp {
        let wanted = Int64(tokens) * Self.unit
        let rate = Int64(limit.perHour)
        guard level < wanted else { return time }
        guard level < 0 else { return after((wanted - level).divided(roundingUpBy: rate)) }
        let rest = max(level + debt * rate, 0)
        return after(debt + max(wanted - rest, 0).divided(roundingUpBy: rate))
    }

    /// Milliseconds from `time` in which the debt is over.
    private var debt: Int64 { min((-level).divided(roundingUpBy: Int64(limit.perHour)), Self.longestDebt) }

    private func after(_ milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: time.milliseconds + milliseconds)
    }

    private static func capacity(_ limit: RateLimit) -> Int64 { Int64(limit.burst) * unit }
}

extension Int64 {
    /// For a value that is not below zero.
    fileprivate func divided(roundingUpBy divisor: Int64) -> Int64 { (self + divisor - 1) / divisor }
}

extension Timestamp {
    /// Whole seconds until a later moment, rounded up; 0 when it is over.
    func seconds(until later: Timestamp) -> Int {
        Int(max(later.milliseconds - milliseconds, 0).divided(roundingUpBy: 1000))
    }
}
