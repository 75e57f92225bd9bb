// Deleting messages that ended long ago, with all that hangs on them.

package import Model
import SQL

extension HousekeepingRepository {
    /// Deletes the messages that were last changed longest ago, and then what only they referred to.
    /// - Returns: how many messages were deleted; fewer than `limit` when no more are left.
    package func dropEnded(before time: Timestamp, limit: Int, in vault: VaultID) async throws -> Int {
        try await database.write { connection in
            // Held, because a message that failed may be sent again at this moment; what somebody else holds can wait: others
            // take the log's rows in the order of their ids, which is not ours.
            let rows = try connection.rows(
                """
                SELECT id, payload_id FROM smtp_relay_logs
                WHERE vault_id = \(vault.text) AND status NOT IN ('scheduled', 'queued', 'in_flight')
                    AND updated_at < \(time.milliseconds)
                ORDER BY updated_at LIMIT \(limit) /* skip locked */
                """)
            guard !rows.isEmpty else { return 0 }
            let messages = try rows.map { try $0.text(0) }
            for table in [SQLStatement("message_events"), "failures", "outbox"] {
                try connection.send(
                    "DELETE FROM \(table) WHERE vault_id = \(vault.text) AND message_id IN \(list: messages)")
            }
            try connection.send(
                "DELETE FROM smtp_relay_logs WHERE vault_id = \(vault.text) AND id IN \(list: messages)")
            // Messages of one submission share its payload: it goes with the last of them.
            let payloads = Set(try rows.map { try $0.text(1) }).sorted()
            try connection.send(
                """
                DELETE FROM payloads WHERE vault_id = \(vault.text) AND id IN \(list: payloads) AND NOT EXISTS
                    (SELECT 1 FROM smtp_relay_logs WHERE smtp_relay_logs.payload_id = payloads.id)
                """)
            return rows.count
        }
    }
}
