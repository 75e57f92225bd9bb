// What a vault has used: bytes that it keeps, and messages and requests by the month. Processes only ever add to the numbers,
// so that none overwrites what another counted.

package import Model
package import SQL

package enum UsageMetric: String, Hashable, Sendable, CaseIterable {
    /// Messages that were accepted in a month, one a recipient.
    case messages
    /// Requests over HTTP in a month.
    case calls = "api_calls"
    /// Bytes of the messages that are kept now; of no month.
    case storage = "storage_bytes"
}

/// One number of one vault.
package struct UsageCounter: Hashable, Sendable, Comparable {
    package let vault: VaultID
    package let metric: UsageMetric
    /// `2026-11`, empty for what is of no month.
    package let period: String

    package init(_ vault: VaultID, _ metric: UsageMetric, _ period: String = "") {
        self.vault = vault
        self.metric = metric
        self.period = period
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.vault, left.metric.rawValue, left.period) < (right.vault, right.metric.rawValue, right.period)
    }

    /// The month that a moment lies in, by UTC.
    package static func month(of time: Timestamp) -> String { String(time.description.prefix(7)) }
}

/// How a vault stands against its plan.
package struct VaultUsage: Sendable {
    /// Keys of the kind `agent` that are in force.
    package let agents: Int
    package let users: Int
    /// Bytes.
    package let storage: Int
    /// The latest month first, at most 13.
    package let months: [(period: String, messages: Int, calls: Int)]
}

package struct UsageRepository: Sendable {
    /// Months that are shown.
    private static let shown = 13

    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Adds to the numbers, all or none. Those of a vault that is gone are left out.
    /// - Returns: the bytes that the named vaults keep, as they are now.
    package func add(_ amounts: [UsageCounter: Int], at now: Timestamp) async throws -> [VaultID: Int] {
        // In one order everywhere, so that two processes never wait for each other in a circle.
        let amounts = amounts.sorted { $0.key < $1.key }
        return try await database.write { connection in
            let vaults = Set(amounts.map(\.key.vault.text)).sorted()
            let known = Set(
                try connection.rows("SELECT id FROM vaults WHERE state <> 'deleted' AND id IN \(list: vaults)").map {
                    try $0.text(0)
                })
            var storage: [VaultID: Int] = [:]
            for (counter, amount) in amounts where known.contains(counter.vault.text) {
                let value = try connection.addUsage(amount, to: counter, at: now)
                if counter.metric == .storage { storage[counter.vault] = value }
            }
            return storage
        }
    }

    /// Bytes that the vault keeps, as far as they were counted; not below zero.
    package func storage(of vault: VaultID) async throws -> Int {
        try await database.read { connection in try connection.storage(of: vault) }
    }

    package func usage(of vault: VaultID, at now: Timestamp) async throws -> VaultUsage {
        try await database.read { connection in
            let rows = try connection.rows(
                """
                SELECT period, metric, value FROM vault_usage WHERE vault_id = \(vault.text) AND period <> ''
                    AND period IN (SELECT DISTINCT period FROM vault_usage WHERE vault_id = \(vault.text)
                        ORDER BY period DESC LIMIT \(Self.shown + 1))
                """)
            var months: [String: [String: Int]] = [UsageCounter.month(of: now): [:]]
            for row in rows { months[try row.text(0), default: [:]][try row.text(1)] = Int(try row.integer(2)) }
            let members = try connection.row("SELECT COUNT(*) FROM memberships WHERE vault_id = \(vault.text)")
            return VaultUsage(
                agents: try connection.agents(in: vault, at: now), users: Int(try members?.integer(0) ?? 0),
                storage: try connection.storage(of: vault),
                months: months.sorted { $0.key > $1.key }.prefix(Self.shown).map { period, values in
                    (
                        period, values[UsageMetric.messages.rawValue] ?? 0,
                        values[UsageMetric.calls.rawValue] ?? 0
                    )
                })
        }
    }
}

// The count of what is there, against what was added up.
extension UsageRepository {
    /// Seconds within which every process has written down what it counted.
    private static let settled = 60.0

    /// Corrects the bytes that a vault keeps. What was accepted just now may be counted or not yet, and is left to whoever
    /// counts it: a vault at rest has the exact number afterwards.
    /// - Returns: by how much the number was wrong.
    package func recount(_ vault: VaultID, at now: Timestamp) async throws -> Int {
        let recent = now.adding(seconds: -Self.settled).milliseconds
        let drift = try await database.read { connection in
            func bytes(_ condition: SQLStatement) throws -> Int {
                let row = try connection.row(
                    """
                    SELECT COALESCE(SUM(size), 0) FROM (SELECT MAX(size) AS size FROM smtp_relay_logs
                        WHERE vault_id = \(vault.text) \(condition) GROUP BY payload_id) AS payload
                    """)
                return Int(try row?.integer(0) ?? 0)
            }
            let all = try bytes("")
            let least = all - (try bytes("AND created_at > \(recent)"))
            let row = try connection.row(
                "SELECT value FROM vault_usage WHERE vault_id = \(vault.text) AND metric = 'storage_bytes'")
            let counted = Int(try row?.integer(0) ?? 0)
            return min(max(counted, least), all) - counted
        }
        // Added, and not set: meanwhile others may have added to it.
        if drift != 0 { _ = try await add([UsageCounter(vault, .storage): drift], at: now) }
        return drift
    }
}

extension SQLConnection {
    fileprivate func addUsage(_ amount: Int, to counter: UsageCounter, at now: Timestamp) throws -> Int {
        let row = try row(
            """
            INSERT INTO vault_usage (vault_id, metric, period, value, updated_at)
            VALUES (\(counter.vault.text), \(counter.metric.rawValue), \(counter.period), \(amount), \(now.milliseconds))
            ON CONFLICT (vault_id, metric, period) DO UPDATE SET value = vault_usage.value + excluded.value,
                updated_at = excluded.updated_at
            RETURNING value
            """)
        return max(Int(try row?.integer(0) ?? 0), 0)
    }

    /// Takes what was deleted off the bytes that a vault keeps, in the same commit. A vault that was never counted has no number
    /// yet.
    func reduceStorage(by bytes: Int64, in vault: VaultID) throws {
        guard bytes > 0 else { return }
        try send(
            """
            UPDATE vault_usage SET value = value - \(bytes)
            WHERE vault_id = \(vault.text) AND metric = 'storage_bytes' AND period = ''
            """)
    }

    fileprivate func storage(of vault: VaultID) throws -> Int {
        let row = try row(
            "SELECT value FROM vault_usage WHERE vault_id = \(vault.text) AND metric = 'storage_bytes' AND period = ''")
        return max(Int(try row?.integer(0) ?? 0), 0)
    }
}
