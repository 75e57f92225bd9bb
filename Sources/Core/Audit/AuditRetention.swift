// Takes away the oldest part of the audit log when its time is over. A sealed floor says where the rest begins, so that the rest
// stays provable, and that it was done is itself a record.

import JSON
package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store

package struct AuditRetention: Service {
    /// Records of one transaction, so that nobody waits long for the writer.
    private static let batch = 1_000
    /// Seconds by which the oldest record has to be too old before anything is done: it is done once a day then.
    private static let slack: Double = 86_400

    private let database: any SQLDatabase
    private let key: AuditSealKey
    private let ids: IdentifierGenerator
    private let clock: any WallClock
    private let interval: Double
    private let days: @Sendable (VaultID?) async throws -> Int?
    private let holdsDuty: @Sendable () async throws -> Bool
    private let logger: Logger

    /// - Parameters:
    ///   - interval: seconds between rounds. Default 3,600.
    ///   - days: how long the log of a vault is kept, or the instance's; `nil`: for ever.
    ///   - holdsDuty: whether this process is the one that does it.
    package init(
        database: any SQLDatabase, key: AuditSealKey, ids: IdentifierGenerator, clock: any WallClock,
        interval: Double = 3_600, days: @escaping @Sendable (VaultID?) async throws -> Int?,
        holdsDuty: @escaping @Sendable () async throws -> Bool, logger: Logger
    ) {
        self.database = database
        self.key = key
        self.ids = ids
        self.clock = clock
        self.interval = interval
        self.days = days
        self.holdsDuty = holdsDuty
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await round()
                } catch {
                    logger.error("the audit log's oldest part could not be taken away", metadata: ["error": "\(error)"])
                }
                // Days go by unannounced.
                try? await Task.sleep(for: .seconds(interval))
            }
        }
    }

    /// One look at every chain, as long as this process has the duty.
    package func round() async throws {
        guard try await holdsDuty() else { return }
        let (chains, purged) = try await database.read { connection in
            (try connection.auditChains(), try connection.purgedAuditChains())
        }
        for chain in chains where !purged.contains(chain) {
            let vault = chain == AuditChain.instance ? nil : VaultID(stored: chain)
            guard let days = try await days(vault), days > 0 else { continue }
            let removed = try await prune(chain, vault, before: clock.now().adding(seconds: -86_400 * Double(days)))
            guard removed > 0 else { continue }
            logger.info("old audit records taken away", metadata: ["chain": "\(chain)", "count": "\(removed)"])
        }
    }

    /// - Returns: how many records were taken away.
    private func prune(_ chain: String, _ vault: VaultID?, before limit: Timestamp) async throws -> Int {
        guard let end = try await end(of: chain, before: limit) else { return 0 }
        var total = 0
        var isFirst = true
        // A backlog of years takes longer than a duty is held, so it is asked for again with every batch.
        while !Task.isCancelled, try await holdsDuty() {
            let removed = try await removeBatch(chain, vault, through: end, before: limit, isFirst: isFirst)
            total += removed
            if removed < Self.batch { break }
            isFirst = false
        }
        return total
    }

    /// The last record that is to go; `nil` where none is old enough yet.
    private func end(of chain: String, before limit: Timestamp) async throws -> Int64? {
        try await database.read { connection in
            let floor = try connection.auditSeals(of: chain).last { $0.kind == .floor }?.link.sequence ?? 0
            var end: Int64?
            while true {
                let found = try connection.auditRecords(of: chain, after: end ?? floor, limit: Self.batch)
                for record in found {
                    guard let at = record.record?.fields.at, at < limit.milliseconds else { return end }
                    if end == nil, at >= limit.adding(seconds: -Self.slack).milliseconds { return nil }
                    end = record.sequence
                }
                if found.count < Self.batch { return end }
            }
        }
    }

    private func removeBatch(
        _ chain: String, _ vault: VaultID?, through end: Int64, before limit: Timestamp, isFirst: Bool
    ) async throws -> Int {
        let now = clock.now()
        return try await database.write { [key, ids] connection in
            let roster = try connection.auditRoster()
            let newest = try connection.newestAuditSeals()
            if let problem = key.problem(with: newest, under: roster) { throw Altered(chain, problem) }
            let seals = try connection.auditSeals(of: chain)
            if let forged = seals.first(where: { !key.isGenuine($0) }) {
                throw Altered(chain, "the seal of record \(forged.link.sequence) is not the server's")
            }
            let floor = seals.last { $0.kind == .floor }?.link ?? .start
            var walk = ChainWalk(chain: chain, after: floor)
            walk.expect(seals.filter { $0.kind == .head && $0.link.sequence > floor.sequence })
            let found = try connection.auditRecords(of: chain, after: floor.sequence, limit: Self.batch)
            for record in found where record.sequence <= end { walk.take(record) }
            // What was altered is evidence, and stays.
            if let finding = walk.report.findings.first { throw Altered(chain, finding.detail) }
            guard walk.report.records > 0 else { return 0 }
            let link = walk.end
            try connection.dropAuditSeals(of: chain, below: link.sequence)
            try connection.insert(key.seal(link, of: chain, as: .floor, at: now))
            try connection.replaceAuditRoster(
                key.roster(over: try connection.newestAuditSeals(), after: roster, at: now))
            let removed = try connection.dropAuditRecords(of: chain, through: link.sequence)
            if isFirst {
                let after = JSONObject([
                    "first": .integer(floor.sequence + 1), "last": .integer(end), "before": .string(limit.description),
                ])
                try connection.record(
                    AuditAct.prune.entry(ids.next(), at: now, resource: "audit", after: .object(after)), in: vault)
            }
            return removed
        }
    }
}

/// Nothing is taken away from a log that somebody has altered.
private struct Altered: Error, CustomStringConvertible {
    let description: String

    init(_ chain: String, _ detail: String) {
        description = "the audit log \(chain) was altered, and is left as it is: \(detail)"
    }
}
