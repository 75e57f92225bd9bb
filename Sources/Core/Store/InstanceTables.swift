// What an instance consists of, table by table: what moves to another database, and what stays behind.

/// A table that moves.
package struct InstanceTable: Sendable {
    package let name: String
    /// What is read in a column's place, in SQL.
    let replacements: [String: String]

    fileprivate init(_ name: String, reading replacements: [String: String] = [:]) {
        self.name = name
        self.replacements = replacements
    }
}

package enum InstanceTables {
    /// In the order of dependence: what a row refers to is there before it.
    package static let moved: [InstanceTable] = [
        InstanceTable("vaults"),
        InstanceTable("smtp_relay_api_keys"),
        InstanceTable("smtp_relay_users"),
        InstanceTable("mailerq_ip_pools"),
        InstanceTable("vault_settings"),
        InstanceTable("vault_secrets"),
        InstanceTable("payloads"),
        InstanceTable("smtp_relay_logs"),
        InstanceTable("message_events"),
        // No process of the source lives, so nothing is in hand: what was, can go at once.
        InstanceTable(
            "outbox",
            reading: [
                "ready": "CASE WHEN lease_owner IS NULL THEN ready ELSE 1 END",
                "lease_owner": "NULL",
            ]),
        InstanceTable("idempotency_keys"),
        InstanceTable("failures"),
        InstanceTable("orphan_results"),
        InstanceTable("alerts"),
        InstanceTable("change_counters"),
        InstanceTable("retiring_key_texts"),
        InstanceTable("rate_buckets"),
        InstanceTable("runaway_cuts"),
        InstanceTable("audit_records"),
        InstanceTable("audit_heads"),
        InstanceTable("audit_seals"),
        InstanceTable("alert_rules"),
        InstanceTable("plans"),
        InstanceTable("vault_usage"),
        InstanceTable("instance_keys"),
        InstanceTable("users"),
        InstanceTable("recovery_codes"),
        InstanceTable("user_identities"),
        InstanceTable("memberships"),
        InstanceTable("sessions"),
        InstanceTable("refresh_tokens"),
        InstanceTable("one_time_tokens"),
        InstanceTable("invitations"),
        InstanceTable("barred_people"),
        InstanceTable("sign_in_attempts"),
    ]

    /// What belongs to the database, or to processes that are gone.
    package static let left = ["schema_migrations", "processes", "duties"]
}
