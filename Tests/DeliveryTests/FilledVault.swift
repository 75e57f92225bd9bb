// A vault with something in every table that a vault has rows in.

import CoreTestSupport
import JSON
import Model
import SQL
import Store

extension TestHouse {
    /// Fills the caller's vault. What a table holds need not make sense: it has to be found and go.
    func fill(_ caller: Caller) async throws {
        let vault = caller.vault.text
        let (key, user): (KeyID, UserID) = (ids.next(), ids.next())
        let others: (SMTPUserID, PoolID, AlertID, AlertRuleID, InvitationID) = (
            ids.next(), ids.next(), ids.next(), ids.next(), ids.next()
        )
        try await database.write { connection in
            let rows: [SQLStatement] = [
                """
                INSERT INTO smtp_relay_api_keys (id, vault_id, prefix, digest, label, kind, scopes, read_only, created_at)
                VALUES (\(key.text), \(vault), \(key.text), \([1]), 'k', 'tool', 'send', 0, 1)
                """,
                """
                INSERT INTO retiring_key_texts (prefix, key_id, digest, ends_at)
                VALUES (\("old" + key.text), \(key.text), \([1]), 1)
                """,
                """
                INSERT INTO smtp_relay_users (id, vault_id, username, label, password_hash, created_at)
                VALUES (\(others.0.text), \(vault), \(others.0.text), 'u', 'h', 1)
                """,
                """
                INSERT INTO mailerq_ip_pools (id, vault_id, domain, pool, ips, created_at, updated_at)
                VALUES (\(others.1.text), \(vault), 'example.com', 'p', '[]', 1, 1)
                """,
                "INSERT INTO vault_settings (vault_id, key, value, updated_at) VALUES (\(vault), 'x', '1', 1)",
                "INSERT INTO vault_secrets (vault_id, name, sealed, updated_at) VALUES (\(vault), 's', \([1]), 1)",
                """
                INSERT INTO rate_buckets (vault_id, bucket, level, per_hour, burst, updated_at)
                VALUES (\(vault), 'vault', 1, 1, 1, 1)
                """,
                """
                INSERT INTO runaway_cuts (vault_id, caller_id, caller_label, reason, cuts, detail, first_at, last_at)
                VALUES (\(vault), 'c', 'c', 'r', 1, 'd', 1, 1)
                """,
                """
                INSERT INTO alerts (id, vault_id, kind, subject, detail, began_at, opened_at)
                VALUES (\(others.2.text), \(vault), 'k', \(vault), '{}', 1, 1)
                """,
                """
                INSERT INTO alert_rules (id, vault_id, condition, definition, is_enabled, created_at, updated_at)
                VALUES (\(others.3.text), \(vault), 'c', '{}', 1, 1, 1)
                """,
                """
                INSERT INTO users (id, email, email_key, name, role, is_active, created_at, updated_at)
                VALUES (\(user.text), \(user.text), \(user.text), 'n', 'member', 1, 1, 1)
                """,
                """
                INSERT INTO memberships (vault_id, user_id, role, source, created_at, updated_at)
                VALUES (\(vault), \(user.text), 'viewer', 'people', 1, 1)
                """,
                """
                INSERT INTO invitations (id, digest, email, email_key, role, grants, invited_by, vault_id, created_at, expires_at)
                VALUES (\(others.4.text), \(Array(others.4.text.utf8)), 'e', 'e', 'member', '[]', 'x', \(vault), 1, 1)
                """,
                """
                INSERT INTO vault_usage (vault_id, metric, period, value, updated_at)
                VALUES (\(vault), 'messages', '2026-11', 1, 1)
                """,
            ]
            for row in rows { try connection.execute(row) }
        }
        try await vaults.change(JSONObject(["retention_days": .integer(5)]), in: caller.vault)
        let sender = Caller(vault: caller.vault, identity: .key(key), label: "k", scopes: .all)
        let messages = try await accept(by: sender) { sample in
            sample.recipients = ["a@example.net", "b@example.net", "c@example.net"]
            sample.idempotency = (key.text, [1])
        }
        try await MessageRepository(database: database).move([
            MessageMove(
                message: messages[0], vault: caller.vault, status: .failed, event: event(.failed), outbox: .remove)
        ])
    }
}
