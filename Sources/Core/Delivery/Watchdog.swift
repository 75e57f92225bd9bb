// Sees to it that every message ends: whatever is past its deadline expires, whoever forgot it.

import JSON
package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store

package struct Watchdog: Service {
    private let messages: MessageRepository
    private let housekeeping: HousekeepingRepository
    private let runawayCuts: RunawayRepository
    private let rateBuckets: RateRepository
    private let interval: Double
    private let duty: Duty
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let logger: Logger

    /// Seconds past its deadline that a next hop gets for its last report. Default 600.
    private static let patience = 600.0

    /// - Parameters:
    ///   - interval: seconds between rounds.
    ///   - duty: held by one process at a time.
    package init(
        database: any SQLDatabase,
        interval: Double,
        duty: Duty,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) {
        messages = MessageRepository(database: database)
        housekeeping = HousekeepingRepository(database: database)
        runawayCuts = RunawayRepository(database: database)
        rateBuckets = RateRepository(database: database)
        self.interval = interval
        self.duty = duty
        self.clock = clock
        self.ids = ids
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    if try await duty.hold() { try await round() }
                } catch {
                    logger.error("the watchdog could not finish its round", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(interval))
            }
        }
    }

    /// One look at processes that died, at what is overdue, and at idempotency keys whose time is over.
    package func round() async throws {
        let now = clock.now()
        let freed = try await housekeeping.buryProcesses(at: now)
        if freed > 0 { logger.warning("a process is gone; its messages go on", metadata: ["count": "\(freed)"]) }
        let overdue = try await housekeeping.overdue(at: now, patience: Self.patience, limit: 500)
        if !overdue.isEmpty {
            logger.warning("messages expired", metadata: ["count": "\(overdue.count)"])
            try await messages.move(overdue.map { expiry(of: $0, at: now) })
        }
        _ = try await housekeeping.dropExpiredKeys(at: now, limit: 5_000)
        _ = try await runawayCuts.dropOld(at: now, limit: 5_000)
        _ = try await rateBuckets.dropFull(at: now, limit: 5_000)
    }

    private func expiry(of message: Message, at now: Timestamp) -> MessageMove {
        var detail = JSONObject()
        detail["reason"] = .string(
            message.status == .inFlight && message.attempts > 0
                ? "no result came back by the deadline of \(message.deadline)"
                : "the deadline of \(message.deadline) passed after \(message.attempts) attempts")
        if let reply = message.lastReply { detail["last_reply"] = .string(reply.asData()) }
        let event = MessageEvent(
            id: ids.next(), type: .expired, at: now, attempt: message.attempts, route: message.route,
            detail: Foreign(String(decoding: JSONWriter.write(.object(detail)), as: UTF8.self)))
        return MessageMove(message: message.id, vault: message.vault, status: .expired, event: event, outbox: .remove)
    }
}
