// How much a vault has sent lately: what providers' clients ask for before they send more.

package import Model
import SQL

/// What became of the messages that were accepted in one stretch of time.
package struct SendStatistics: Hashable, Sendable {
    package let start: Timestamp
    package let messages: Int
    package let bounces: Int
}

extension MessageRepository {
    /// Rows that a count looks at, newest first: beyond it a precise figure is not worth its cost.
    private static let countedRows = 1_000_000

    /// Messages that were accepted since then, one a recipient; 1,000,000 at most.
    package func count(since: Timestamp, in vault: VaultID) async throws -> Int {
        try await database.read { connection in
            let row = try connection.row(
                """
                SELECT COUNT(*) FROM (
                    SELECT id FROM smtp_relay_logs WHERE vault_id = \(vault.text) AND id >= \(Self.firstID(at: since))
                    LIMIT \(Self.countedRows)
                ) AS counted
                """)
            return Int(try row?.integer(0) ?? 0)
        }
    }

    /// The same by stretches of `seconds`, oldest first, without those in which there was nothing.
    package func statistics(since: Timestamp, per seconds: Int, in vault: VaultID) async throws -> [SendStatistics] {
        let stretch = Int64(seconds) * 1000
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT created_at / \(stretch), COUNT(*), SUM(CASE WHEN status = 'bounced' THEN 1 ELSE 0 END) FROM (
                    SELECT created_at, status FROM smtp_relay_logs
                    WHERE vault_id = \(vault.text) AND id >= \(Self.firstID(at: since))
                    ORDER BY id DESC LIMIT \(Self.countedRows)
                ) AS counted GROUP BY 1 ORDER BY 1
                """
            ).map { row in
                SendStatistics(
                    start: Timestamp(milliseconds: try row.integer(0) * stretch), messages: Int(try row.integer(1)),
                    bounces: Int(try row.integer(2)))
            }
        }
    }
}
