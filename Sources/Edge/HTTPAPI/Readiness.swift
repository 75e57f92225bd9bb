// Whether this process can do its work, and if not, which part of it cannot.

package import Broker
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
    private let broker: QueueHealth?
    private let depth = OutboxDepth()

    /// - Parameter broker: `nil` without a broker.
    package init(database: any SQLDatabase, outbox: OutboxRepository, disk: DiskSpace, broker: QueueHealth? = nil) {
        housekeeping = HousekeepingRepository(database: database)
        self.outbox = outbox
        self.disk = disk
        self.broker = broker
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
        // Without the broker mail is accepted all the same: it is durable, and waits in the outbox.
        let report = broker?.report() ?? .off
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
                    writer.name("broker")
                    writer.object { writer in Self.write(report, to: &writer) }
                }
            }
        }
    }

    /// Everybody may read this: neither names nor reasons, which can hold host names.
    private static func write(_ report: BrokerReport, to writer: inout JSONWriter) {
        writer.member("status", report.status.rawValue)
        for queue in report.queues {
            writer.name(queue.role.rawValue)
            writer.object { writer in
                writer.member("health", queue.health.rawValue)
                writer.member("ready", queue.ready.map { .integer(Int64($0)) } ?? .null)
                writer.member("unacknowledged", queue.unacknowledged.map { .integer(Int64($0)) } ?? .null)
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
