// Taking away all that a deleted vault holds, a little at a time; and ending what waits in an archived one. Each step can be
// done again: a crash in the middle loses nothing but time.

import JSON
package import Model
package import SQL

package struct PurgeRepository: Sendable {
    /// Seconds for which a vault that is gone is looked at again: a process that did not know yet may have written something.
    private static let afterglow = 86_400.0

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Instance level: vaults that hold something still, or might again.
    package func deleted(at now: Timestamp) async throws -> [VaultID] {
        let since = now.adding(seconds: -Self.afterglow).milliseconds
        return try await vaults("state = 'deleted' AND (slug <> id OR updated_at > \(since))")
    }

    /// Instance level: archived vaults in which messages wait.
    package func waiting() async throws -> [VaultID] {
        try await vaults(
            """
            state = 'archived' AND EXISTS (SELECT 1 FROM smtp_relay_logs
                WHERE smtp_relay_logs.vault_id = vaults.id AND smtp_relay_logs.status IN ('scheduled', 'queued'))
            """)
    }

    private func vaults(_ condition: SQLStatement) async throws -> [VaultID] {
        try await database.read { connection in
            try connection.rows("SELECT id FROM vaults WHERE \(condition) ORDER BY id").map {
                VaultID(stored: try $0.text(0))
            }
        }
    }

    /// Cancels messages that wait in a vault which is archived; not those that a route has in hand.
    /// - Parameter event: makes the event of each.
    /// - Returns: how many were cancelled.
    package func cancelWaiting(
        in vault: VaultID,
        limit: Int,
        _ event: @escaping @Sendable () -> MessageEvent
    ) async throws -> Int {
        try await database.write { connection in
            guard try VaultRepository.find(vault, connection)?.state == .archived else { return 0 }
            let rows = try connection.rows(
                """
                SELECT id, attempts FROM smtp_relay_logs
                WHERE vault_id = \(vault.text) AND status IN ('scheduled', 'queued') AND NOT EXISTS (SELECT 1 FROM outbox
                    WHERE outbox.message_id = smtp_relay_logs.id AND outbox.lease_owner IS NOT NULL)
                ORDER BY id LIMIT \(limit) /* lock */
                """)
            var cancelled = 0
            for row in rows {
                let message = MessageID(stored: try row.text(0))
                // Somebody may have taken it up while we waited for its row.
                guard try !MessageRepository.isInHand(message, connection) else { continue }
                let move = MessageMove(
                    message: message, vault: vault, status: .cancelled,
                    event: event().after(attempts: Int(try row.integer(1))), outbox: .remove)
                if try MessageRepository.apply(move, connection) { cancelled += 1 }
            }
            return cancelled
        }
    }
}

extension PurgeRepository {
    /// A table of which a vault has rows, or something that hangs on its rows.
    package struct Table: Sendable {
        package let name: String
        let key: SQLStatement
        let rows: @Sendable (VaultID) -> SQLStatement

        fileprivate init(
            _ name: String,
            key: SQLStatement,
            rows: @escaping @Sendable (VaultID) -> SQLStatement = { "vault_id = \($0.text)" }
        ) {
            self.name = name
            self.key = key
            self.rows = rows
        }
    }

    /// What is deleted with the messages.
    package static let withMessages = ["smtp_relay_logs", "message_events", "failures", "outbox", "payloads"]

    /// What is deleted after them, in this order: what refers to a row goes before it. Seals of the audit log are for the sealer
    /// to take away, which has the key: it does so when it finds that the vault is gone.
    package static let tables: [Table] = [
        Table("idempotency_keys", key: "caller_id, key") { vault in
            """
            caller_id IN (SELECT id FROM smtp_relay_api_keys WHERE vault_id = \(vault.text)
                UNION ALL SELECT id FROM smtp_relay_users WHERE vault_id = \(vault.text)
                UNION ALL SELECT user_id || '/' || vault_id FROM memberships WHERE vault_id = \(vault.text))
            """
        },
        Table("retiring_key_texts", key: "prefix") { vault in
            "key_id IN (SELECT id FROM smtp_relay_api_keys WHERE vault_id = \(vault.text))"
        },
        Table("smtp_relay_api_keys", key: "id"),
        Table("smtp_relay_users", key: "id"),
        Table("mailerq_ip_pools", key: "id"),
        Table("vault_settings", key: "vault_id, key"),
        Table("vault_secrets", key: "vault_id, name"),
        Table("rate_buckets", key: "vault_id, bucket"),
        Table("runaway_cuts", key: "vault_id, caller_id, reason"),
        Table("alert_rules", key: "id"),
        Table("alerts", key: "id"),
        Table("invitations", key: "id"),
        Table("memberships", key: "vault_id, user_id"),
        Table("vault_usage", key: "vault_id, metric, period"),
        Table("audit_records", key: "id") { "chain = \($0.text)" },
    ]

    /// Deletes messages of a deleted vault, but for those that a route has in hand at the moment.
    /// - Returns: how many; 0 when there is nothing more to do now.
    package func dropMessages(of vault: VaultID, at now: Timestamp, limit: Int) async throws -> Int {
        try await database.write { connection in
            try connection.checkDeleted(vault)
            let rows = try connection.rows(
                """
                SELECT id, payload_id FROM smtp_relay_logs
                WHERE vault_id = \(vault.text) AND NOT EXISTS (SELECT 1 FROM outbox
                    WHERE outbox.message_id = smtp_relay_logs.id AND outbox.lease_owner IS NOT NULL
                        AND outbox.due_at > \(now.milliseconds))
                ORDER BY id LIMIT \(limit) /* skip locked */
                """)
            try connection.drop(try rows.map { (try $0.text(0), try $0.text(1)) }, in: vault)
            return rows.count
        }
    }

    /// - Returns: how many rows were deleted; fewer than the limit when no more are left.
    package func drop(_ table: Table, of vault: VaultID, limit: Int) async throws -> Int {
        try await database.write { connection in
            try connection.checkDeleted(vault)
            let name = SQLStatement(stringLiteral: table.name)
            return try connection.execute(
                """
                DELETE FROM \(name) WHERE (\(table.key)) IN
                    (SELECT \(table.key) FROM \(name) WHERE \(table.rows(vault)) LIMIT \(limit))
                """)
        }
    }

    /// Ends a vault of which nothing is left: its slug is free, its data key is gone, and its row says no more than that there
    /// was one. The instance's log says so too, and keeps the end of the vault's own log: an export of it stays provable.
    /// - Returns: whether the vault is gone with this call; false while something is left, and when it was gone before.
    package func finish(_ vault: VaultID, at now: Timestamp, audit: @escaping AuditMaker) async throws -> Bool {
        try await database.change(.vaults, unless: { !$0 }) { connection in
            // Held before any row is; raised when the vault is gone.
            try connection.raise(.callers, by: 0)
            try connection.raise(.people, by: 0)
            guard let found = try VaultRepository.find(vault, connection), found.state == .deleted else { return false }
            let messages: SQLStatement = "SELECT 1 FROM smtp_relay_logs WHERE vault_id = \(vault.text) LIMIT 1"
            guard try connection.row(messages) == nil else { return false }
            for table in Self.tables {
                let name = SQLStatement(stringLiteral: table.name)
                let rest: SQLStatement = "SELECT 1 FROM \(name) WHERE \(table.rows(vault)) LIMIT 1"
                guard try connection.row(rest) == nil else { return false }
            }
            let head = try connection.row(
                "DELETE FROM audit_heads WHERE chain = \(vault.text) RETURNING sequence, digest")
            guard found.slug != vault.text else { return false }
            try connection.execute(
                """
                UPDATE vaults SET slug = id, name = '', data_key = \([UInt8]()), state_reason = NULL, limits = NULL,
                    updated_at = \(now.milliseconds)
                WHERE id = \(vault.text)
                """)
            var after = JSONObject(["purged": .bool(true)])
            if let head {
                after["audit_records"] = .integer(try head.integer(0))
                after["audit_digest"] = .string(try head.blob(1).hex)
            }
            let before = JSONObject(["slug": .string(found.slug), "name": .string(found.name)])
            // What is remembered of callers and people ends with them.
            try connection.raise(.callers, by: 1)
            try connection.raise(.people, by: 1)
            try connection.record(audit(vault.text, .object(before), .object(after)), in: nil)
            return true
        }
    }
}

extension SQLConnection {
    /// A last look before anything is deleted for good.
    fileprivate func checkDeleted(_ vault: VaultID) throws {
        guard try VaultRepository.find(vault, self)?.state == .deleted else {
            throw SQLError(.unexpectedValue, "a vault that is not deleted was to be purged")
        }
    }
}

extension [UInt8] {
    fileprivate var hex: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
