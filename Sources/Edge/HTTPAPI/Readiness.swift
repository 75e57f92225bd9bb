// Whether this process can do its work, and if not, which part of it cannot.

import HTTPTypes
import Hummingbird
import JSON
package import Outbox
package import SQL
package import Store
import Synchronization

package struct Readiness: Sendable {
    private let housekeeping: HousekeepingRepository
    private let outbox: OutboxRepository
    private let disk: DiskSpace
    private let depth = OutboxDepth()

    package init(database: any SQLDatabase, outbox: OutboxRepository, disk: DiskSpace) {
        housekeeping = HousekeepingRepository(database: database)
        self.outbox = outbox
        self.disk = disk
    }

    /// 200 when all is well, else 503; each dependency with its state.
    func response() async -> Response {
        var isReady = disk.isEnough
        var depth: (waiting: Int, ready: Int)?
        do {
            try await housekeeping.ping()
            depth = try await self.depth.value(of: outbox)
        } catch {
            isReady = false
        }
        let reachable = depth
        let hasRoom = disk.isEnough
        return .json(status: isReady ? .ok : .serviceUnavailable) { writer in
            writer.object { writer in
                writer.member("status", isReady ? "ready" : "not_ready")
                writer.name("checks")
                writer.object { writer in
                    writer.name("database")
                    writer.object { $0.member("status", reachable == nil ? "failed" : "ok") }
                    writer.name("disk")
                    writer.object { $0.member("status", hasRoom ? "ok" : "full") }
                    if let reachable {
                        writer.name("outbox")
                        writer.object { writer in
                            writer.member("status", "ok")
                            writer.member("ready", reachable.ready)
                            writer.member("waiting", reachable.waiting)
                        }
                    }
                }
            }
        }
    }
}

/// Counts the outbox once a second at most: the path is open to everybody, and counting takes longer the more there is.
private final class OutboxDepth: Sendable {
    private typealias Depth = (waiting: Int, ready: Int)

    private let last = Mutex<(depth: Depth, at: ContinuousClock.Instant)?>(nil)

    func value(of outbox: OutboxRepository) async throws -> (waiting: Int, ready: Int) {
        if let last = last.withLock({ $0 }), last.at.duration(to: .now) < .seconds(1) { return last.depth }
        let depth = try await outbox.depth()
        last.withLock { $0 = (depth, .now) }
        return depth
    }
}
