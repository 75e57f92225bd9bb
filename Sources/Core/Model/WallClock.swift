// What time it is: injected, so that tests decide.

import Synchronization

#if canImport(Glibc)
import Glibc
#endif

package protocol WallClock: Sendable {
    func now() -> Timestamp
}

package struct SystemClock: WallClock {
    package init() {}

    package func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}

/// A clock that stands still until it is told to move.
package final class ManualClock: WallClock {
    private let time: Mutex<Timestamp>

    package init(_ start: Timestamp = Timestamp(milliseconds: 1_800_000_000_000)) { time = Mutex(start) }

    package func now() -> Timestamp { time.withLock { $0 } }

    package func advance(seconds: Double) { time.withLock { $0 = $0.adding(seconds: seconds) } }
}
