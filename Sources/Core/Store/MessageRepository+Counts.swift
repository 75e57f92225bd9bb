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
    package static let countedRows = 50_000

    /// Messages that were accepted since then, one a recipient: so many, or at least so many where they are `rows`.
    /// - Parameter caller: counts only what this one sent under the label that it has now; `nil` counts the vault's.
    package func count(
        since: Timestamp,
        by caller: Caller? = nil,
        in vault: VaultID,
        rows: Int = countedRows
    ) async throws -> Int {
        let newest = Self.newest(since: since, by: caller, in: vault, rows: rows)
        return try await database.read { connection in
            let row = try connection.row("SELECT COUNT(*) FROM \(newest)")
            return Int(try row?.integer(0) ?? 0)
        }
    }

    /// The same by stretches of `seconds`, oldest first, without those in which there was nothing.
    package func statistics(
        since: Timestamp,
        per seconds: Int,
        by caller: Caller? = nil,
        in vault: VaultID,
        rows: Int = countedRows
    ) async throws -> [SendStatistics] {
        let stretch = Int64(seconds) * 1000
        let newest = Self.newest(since: since, by: caller, in: vault, rows: rows)
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT created_at / \(stretch), COUNT(*), SUM(CASE WHEN status = 'bounced' THEN 1 ELSE 0 END)
                FROM \(newest) GROUP BY 1 ORDER BY 1
                """
            ).map { row in
                SendStatistics(
                    start: Timestamp(milliseconds: try row.integer(0) * stretch), messages: Int(try row.integer(1)),
                    bounces: Int(try row.integer(2)))
            }
        }
    }

    /// The rows that are looked at. A caller's run along the index of labels, which more than one caller may have: the id
    /// is looked at afterwards, so that the rows of others are within the bound as well.
    private static func newest(since: Timestamp, by caller: Caller?, in vault: VaultID, rows: Int) -> SQLStatement {
        var within: SQLStatement = "vault_id = \(vault.text) AND id >= \(firstID(at: since))"
        var own: SQLStatement = "1 = 1"
        if let caller {
            within = "\(within) AND caller_label = \(caller.label)"
            own = "caller_id = \(caller.identity.id)"
        }
        return """
            (SELECT created_at, status FROM (
                SELECT created_at, status, caller_id FROM smtp_relay_logs WHERE \(within) ORDER BY id DESC LIMIT \(rows)
            ) AS newest WHERE \(own)) AS counted
            """
    }
}
