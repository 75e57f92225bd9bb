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
            try connection.drop(try rows.map { (try $0.text(0), try $0.text(1)) }, in: vault)
            return rows.count
        }
    }
}

extension SQLConnection {
    /// Deletes messages with all that hangs on them, and takes their bytes off what the vault keeps.
    /// - Parameter messages: their ids, and those of their payloads.
    func drop(_ messages: [(id: String, payload: String)], in vault: VaultID) throws {
        let ids = messages.map(\.id)
        for table in [SQLStatement("message_events"), "failures", "outbox"] {
            try send("DELETE FROM \(table) WHERE vault_id = \(vault.text) AND message_id IN \(list: ids)")
        }
        let sizes = try rows(
            """
            DELETE FROM smtp_relay_logs WHERE vault_id = \(vault.text) AND id IN \(list: ids) RETURNING payload_id, size
            """)
        let size = Dictionary(
            try sizes.map { (try $0.text(0), try $0.integer(1)) }, uniquingKeysWith: { first, _ in first })
        // Messages of one submission share its payload: it goes with the last of them.
        let payloads = Set(messages.map(\.payload)).sorted()
        let dropped = try rows(
            """
            DELETE FROM payloads WHERE vault_id = \(vault.text) AND id IN \(list: payloads) AND NOT EXISTS
                (SELECT 1 FROM smtp_relay_logs WHERE smtp_relay_logs.payload_id = payloads.id)
            RETURNING id
            """)
        try reduceStorage(by: try dropped.reduce(0) { $0 + (size[try $1.text(0)] ?? 0) }, in: vault)
    }
}
