// What the database itself can say of trouble: backlogs, and mail that does not leave. Asked every few seconds, so each
// answer costs the same however much is waiting: vaults are found by jumping along an index, and nothing is counted to
// its end.

package import Model
import SQL

/// A vault whose failures nobody has looked at.
package struct FailureBacklog: Hashable, Sendable {
    package let vault: VaultID
    /// Exact up to the most that is counted.
    package let count: Int
    package let oldest: Timestamp
}

/// The message of a vault and a route that waits for the longest time.
package struct StalledMessage: Hashable, Sendable {
    package let message: MessageID
    package let vault: VaultID
    package let route: RouteName
    /// Since when it could have been sent.
    package let dueSince: Timestamp
}

extension AlertRepository {
    /// Instance level: vaults with more failures than their threshold; no more than `limit` of them.
    /// - Parameters:
    ///   - threshold: of a vault; `nil` where nobody asks.
    ///   - most: what is counted to.
    package func failureBacklogs(
        over threshold: @escaping @Sendable (VaultID) -> Int?,
        countingTo most: Int,
        limit: Int = 200
    ) async throws -> [FailureBacklog] {
        try await database.read { connection in
            var backlogs: [FailureBacklog] = []
            var last = ""
            while backlogs.count < limit,
                let next = try connection.row(
                    """
                    SELECT vault_id, failed_at FROM failures WHERE vault_id > \(last)
                    ORDER BY vault_id, failed_at LIMIT 1
                    """)
            {
                last = try next.text(0)
                guard let threshold = threshold(VaultID(stored: last)) else { continue }
                let row = try connection.row(
                    """
                    SELECT COUNT(*) FROM (SELECT 1 AS one FROM failures WHERE vault_id = \(last)
                        ORDER BY failed_at LIMIT \(most)) AS counted
                    """)
                let count = Int(try row?.integer(0) ?? 0)
                guard count > threshold else { continue }
                backlogs.append(
                    FailureBacklog(
                        vault: VaultID(stored: last), count: count,
                        oldest: Timestamp(milliseconds: try next.integer(1))))
            }
            return backlogs
        }
    }

    /// Instance level: the oldest message of each vault in use that is due since before a time and that nobody has taken up,
    /// among messages of these routes.
    /// - Parameter time: of a vault; `nil` where nobody asks.
    package func notTakenUp(
        since time: @escaping @Sendable (VaultID) -> Timestamp?,
        routes: Set<RouteName>,
        limit: Int = 200
    ) async throws -> [StalledMessage] {
        guard !routes.isEmpty else { return [] }
        let names = routes.map(\.rawValue).sorted()
        return try await database.read { connection in
            var found: [StalledMessage] = []
            // Of one vault and one priority the index has the oldest first.
            var (vault, priority) = ("", Int64(Int32.max))
            while found.count < limit {
                guard
                    let next = try connection.row(
                        """
                        SELECT vault_id, priority FROM outbox WHERE ready = 1
                            AND vault_id = \(vault) AND priority < \(priority)
                        ORDER BY vault_id, priority DESC LIMIT 1
                        """)
                        ?? connection.row(
                            """
                            SELECT vault_id, priority FROM outbox WHERE ready = 1 AND vault_id > \(vault)
                            ORDER BY vault_id, priority DESC LIMIT 1
                            """)
                else { return Self.oldestOfEach(found) }
                (vault, priority) = (try next.text(0), try next.integer(1))
                guard let time = time(VaultID(stored: vault)) else {
                    // On to the next vault.
                    priority = .min
                    continue
                }
                let row = try connection.row(
                    """
                    SELECT outbox.message_id, outbox.vault_id, smtp_relay_logs.route, outbox.due_at
                    FROM outbox JOIN smtp_relay_logs ON smtp_relay_logs.id = outbox.message_id
                    WHERE outbox.ready = 1 AND outbox.vault_id = \(vault) AND outbox.priority = \(priority)
                        AND outbox.due_at <= \(time.milliseconds) AND smtp_relay_logs.route IN \(list: names)
                        AND EXISTS (SELECT 1 FROM vaults WHERE vaults.id = \(vault) AND vaults.state = 'active')
                    ORDER BY outbox.due_at LIMIT 1
                    """)
                if let row { found.append(try Self.stalled(row)) }
            }
            return Self.oldestOfEach(found)
        }
    }

    /// Instance level: the oldest message of each vault in use that is due since before a time and whose next hop has not said
    /// yes, attempts or no attempts, among messages of these routes.
    package func notHandedOver(
        since time: Timestamp,
        routes: Set<RouteName>,
        limit: Int = 200
    ) async throws -> [StalledMessage] {
        guard !routes.isEmpty else { return [] }
        let names = routes.map(\.rawValue).sorted()
        // Ids begin with their time: whatever came later cannot be due for so long.
        let next = UInt64(max(time.milliseconds + 1, 0))
        let end = MessageID(high: UInt16(truncatingIfNeeded: next >> 32), low: next << 32).text
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT id, vault_id, route, COALESCE(send_at, created_at) FROM smtp_relay_logs WHERE id IN (
                    SELECT (SELECT waiting.id FROM smtp_relay_logs AS waiting
                        WHERE waiting.vault_id = vaults.id AND waiting.status = 'queued' AND waiting.id < \(end)
                            AND waiting.route IN \(list: names)
                            AND COALESCE(waiting.send_at, waiting.created_at) <= \(time.milliseconds)
                        ORDER BY waiting.id LIMIT 1)
                    FROM vaults WHERE vaults.state = 'active')
                ORDER BY id LIMIT \(limit)
                """
            ).map(Self.stalled)
        }
    }

    private static func stalled(_ row: SQLRow) throws(SQLError) -> StalledMessage {
        guard let route = RouteName(rawValue: try row.text(2)) else {
            throw SQLError(.unexpectedValue, "a message's route is unknown")
        }
        return StalledMessage(
            message: MessageID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)), route: route,
            dueSince: Timestamp(milliseconds: try row.integer(3)))
    }

    private static func oldestOfEach(_ found: [StalledMessage]) -> [StalledMessage] {
        var oldest: [VaultID: StalledMessage] = [:]
        for message in found where oldest[message.vault].map({ $0.dueSince > message.dueSince }) ?? true {
            oldest[message.vault] = message
        }
        return oldest.values.sorted { $0.vault < $1.vault }
    }
}
