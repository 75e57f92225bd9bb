// How many messages may go in an hour, and how many at once; and what is left of it.

/// A token bucket: it holds `burst` tokens at most and gains `perHour` an hour, evenly. A message to one recipient costs one.
package struct RateLimit: Hashable, Sendable {
    /// 1 to 1,000,000,000.
    package let perHour: Int
    /// 1 to 1,000,000,000.
    package let burst: Int

    package init(perHour: Int, burst: Int) {
        precondition((1...Self.maximum).contains(perHour) && (1...Self.maximum).contains(burst), "a limit out of range")
        self.perHour = perHour
        self.burst = burst
    }

    package static let maximum = 1_000_000_000
}

/// A limit that a key has of its own; its children share it, so that none of them gets around it.
package struct KeyRateLimit: Hashable, Sendable {
    /// The key that was given the limit.
    package let key: KeyID
    package let limit: RateLimit

    package init(key: KeyID, limit: RateLimit) {
        self.key = key
        self.limit = limit
    }
}

/// What is left of one limit, as a caller is told.
package struct RateStatus: Hashable, Sendable {
    /// `vault`, `key`, `agent`, `domain:example.com`: what is limited.
    package let name: String
    package let limit: RateLimit
    /// Whole tokens that are left.
    package let remaining: Int
    /// Seconds until the bucket is full again, rounded up.
    package let resetSeconds: Int

    package init(name: String, limit: RateLimit, remaining: Int, resetSeconds: Int) {
        self.name = name
        self.limit = limit
        self.remaining = remaining
        self.resetSeconds = resetSeconds
    }
}
