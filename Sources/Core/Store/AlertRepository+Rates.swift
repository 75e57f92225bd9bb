// What the database can say of shares and counts within a window: mail that was refused for good, callers that were refused,
// sign-ins that failed. Counted along an index from its end, and no further than to a bound.

import JSON
package import Model
import SQL

/// What ended in a vault within a window.
package struct BounceCount: Hashable, Sendable {
    package let vault: VaultID
    /// Messages that ended as delivered, bounced, failed or expired.
    package let ended: Int
    /// Of these, bounced or failed.
    package let bounced: Int

    package init(vault: VaultID, ended: Int, bounced: Int) {
        self.vault = vault
        self.ended = ended
        self.bounced = bounced
    }
}

/// How often somebody was refused within a window.
package struct RefusalCount: Hashable, Sendable {
    package let vault: VaultID
    /// A caller's or a person's id.
    package let actor: String
    package let label: String
    package let count: Int
    /// What was asked for last, and why it was refused.
    package let action: String
    package let reason: String?
}

extension AlertRepository {
    /// Messages of one vault that are counted at most: the latest.
    package static let counted = 20_000

    /// Instance level: what ended since a time, of each vault in use where anything did.
    /// - Parameter wanted: of these vaults; `nil` for all.
    package func bounces(
        since time: Timestamp,
        of wanted: [VaultID]? = nil,
        limit: Int = AlertRepository.counted
    ) async throws -> [BounceCount] {
        var counts: [BounceCount] = []
        // A vault at a time, so that nobody waits for a long look at all of them.
        for vault in try await vaults(wanted) {
            let row = try await database.read { connection in
                try connection.row(
                    """
                    SELECT COUNT(*), COALESCE(SUM(CASE WHEN status IN ('bounced', 'failed') THEN 1 ELSE 0 END), 0)
                    FROM (SELECT status FROM smtp_relay_logs
                        WHERE vault_id = \(vault.text) AND updated_at >= \(time.milliseconds)
                            AND status NOT IN ('scheduled', 'queued', 'in_flight')
                        ORDER BY updated_at DESC LIMIT \(limit)) AS ended
                    WHERE status IN ('delivered', 'bounced', 'failed', 'expired')
                    """)
            }
            guard let row, try row.integer(0) > 0 else { continue }
            counts.append(BounceCount(vault: vault, ended: Int(try row.integer(0)), bounced: Int(try row.integer(1))))
        }
        return counts
    }

    /// Instance level: who was refused in a vault since a time, as the audit log has it, where one record stands for many.
    /// - Parameters:
    ///   - wanted: of these vaults; `nil` for all.
    ///   - limit: records of one vault that are looked at: the latest.
    package func refusals(
        since time: Timestamp,
        of wanted: [VaultID]? = nil,
        limit: Int = 5_000
    ) async throws -> [RefusalCount] {
        let milliseconds = UInt64(max(time.milliseconds, 0))
        let first = AuditID(high: UInt16(truncatingIfNeeded: milliseconds >> 32), low: milliseconds << 32).text
        var counts: [RefusalCount] = []
        for vault in try await vaults(wanted) {
            let rows = try await database.read { connection in
                try connection.rows(
                    """
                    SELECT actor_id, actor_label, action, reason, after_value FROM audit_records
                    WHERE chain = \(vault.text) AND outcome = 'refused' AND id >= \(first)
                    ORDER BY id DESC LIMIT \(limit)
                    """)
            }
            var found: [String: RefusalCount] = [:]
            for row in rows {
                let actor = try row.text(0)
                let number = try row.optionalText(4).flatMap(Self.count) ?? 1
                let last = found[actor]
                found[actor] = RefusalCount(
                    vault: vault, actor: actor, label: try last?.label ?? row.text(1),
                    count: (last?.count ?? 0) + number,
                    action: try last?.action ?? row.text(2), reason: try last.map(\.reason) ?? row.optionalText(3))
            }
            counts += found.values.sorted { $0.actor < $1.actor }
        }
        return counts
    }

    /// How many one record stands for.
    private static func count(_ after: String) -> Int? {
        (try? JSONParser.parse(after))?.objectValue?["count"]?.integerValue.map { Int($0) }
    }

    /// Instance level: sign-ins that failed since a time, and of how many accounts, whether or not anybody has them.
    package func signInFailures(since time: Timestamp) async throws -> (failures: Int, accounts: Int) {
        try await database.read { connection in
            let row = try connection.row(
                """
                SELECT COALESCE(SUM(failures), 0), COUNT(*) FROM sign_in_attempts
                WHERE window_at >= \(time.milliseconds) AND failures > 0 AND subject >= 'account:' AND subject < 'account;'
                """)
            return (Int(try row?.integer(0) ?? 0), Int(try row?.integer(1) ?? 0))
        }
    }

    /// Those in use.
    private func vaults(_ wanted: [VaultID]?) async throws -> [VaultID] {
        // Rules of vaults that are not in use are not among those that are in force.
        if let wanted { return wanted }
        return try await database.read { connection in
            try connection.rows("SELECT id FROM vaults WHERE state = 'active' ORDER BY id").map {
                VaultID(stored: try $0.text(0))
            }
        }
    }
}
