// Whether the disk has room to accept more: mail is refused with "later" before a full disk could lose any.

package import Model
import Synchronization

#if canImport(Glibc)
import Glibc
#endif

package final class DiskSpace: Sendable {
    private let path: String
    private let minimum: UInt64
    private let clock: any WallClock
    private let state = Mutex((checkedAt: Timestamp(milliseconds: 0), isEnough: true))

    /// - Parameters:
    ///   - path: a place on the disk to watch.
    ///   - minimum: bytes that must stay free.
    package init(path: String, minimum: UInt64, clock: any WallClock) {
        self.path = path
        self.minimum = minimum
        self.clock = clock
    }

    /// Looks at the disk once a second at most.
    package var isEnough: Bool {
        let now = clock.now()
        return state.withLock { state in
            if now >= state.checkedAt.adding(seconds: 1) {
                state = (now, Self.freeBytes(at: path).map { $0 >= minimum } ?? true)
            }
            return state.isEnough
        }
    }

    private static func freeBytes(at path: String) -> UInt64? {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { return nil }
        return UInt64(information.f_bavail) * UInt64(information.f_frsize)
    }
}
