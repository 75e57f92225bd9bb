// The values that a vault set for itself.

import JSON
package import Model
package import SQL

package struct SettingsRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// The vault's own values. A row of a key or form that this program does not know is left out.
    package func values(in vault: VaultID) async throws -> [String: any SettingValue] {
        try await database.read { connection in Self.typed(try Self.rows(in: vault, connection)) }
    }

    /// When a value or secret of the vault was last set; `nil` when it has none of its own.
    package func updatedAt(_ key: String, in vault: VaultID) async throws -> Timestamp? {
        try await database.read { connection in
            try connection.row(
                """
                SELECT updated_at FROM vault_settings WHERE vault_id = \(vault.text) AND key = \(key)
                UNION ALL SELECT updated_at FROM vault_secrets WHERE vault_id = \(vault.text) AND name = \(key)
                """
            ).map { Timestamp(milliseconds: try $0.integer(0)) }
        }
    }

    static func rows(in vault: VaultID, _ connection: any SQLConnection) throws -> [String: JSONValue] {
        var values: [String: JSONValue] = [:]
        for row in try connection.rows("SELECT key, value FROM vault_settings WHERE vault_id = \(vault.text)") {
            values[try row.text(0)] = try? JSONParser.parse(row.text(1))
        }
        return values
    }

    static func typed(_ rows: [String: JSONValue]) -> [String: any SettingValue] {
        var values: [String: any SettingValue] = [:]
        for (key, json) in rows { values[key] = try? Settings.declaration(key)?.fromJSON(json) }
        return values
    }
}

/// Several new values of a vault.
package struct SettingsChange: Sendable {
    /// `nil` takes a value away.
    package var values: [String: (any SettingValue)?]
    /// Makes the sealed secrets, under the data key of that very moment; `nil` takes one away.
    package var seal: (@Sendable (_ wrappedKey: [UInt8]) throws -> [String: [UInt8]?])?

    package init(
        values: [String: (any SettingValue)?],
        seal: (@Sendable (_ wrappedKey: [UInt8]) throws -> [String: [UInt8]?])? = nil
    ) {
        self.values = values
        self.seal = seal
    }
}

extension SettingsRepository {
    /// What has to hold of the vault's own values and its pools after the change.
    package typealias Rule = @Sendable (_ values: [String: any SettingValue], _ pools: IPPools) throws -> Void

    /// Changes several values at once: all or none, and the audit entry with them. What the same change did elsewhere in
    /// the meantime is seen by the rule: changes of settings and pools wait for each other.
    /// - Throws: what the rule threw.
    package func change(
        _ change: SettingsChange,
        in vault: VaultID,
        at now: Timestamp,
        rule: @escaping Rule = { _, _ in },
        audit: @escaping AuditMaker
    ) async throws {
        try await database.change(.vaults) { connection in
            var rows = try Self.rows(in: vault, connection)
            var (before, after) = (JSONObject(), JSONObject())
            for (key, value) in change.values.sorted(by: { $0.key < $1.key }) {
                before[key] = rows[key] ?? .null
                after[key] = value?.json ?? .null
                rows[key] = value?.json
                try Self.write(value?.json, as: key, in: vault, at: now, connection)
            }
            if let seal = change.seal {
                for secret in try connection.changeSecrets(in: vault, at: now, seal) {
                    before[secret.name] = .isSet(secret.wasSet)
                    after[secret.name] = .isSet(secret.isSet)
                }
            }
            let pools = try IPPoolRepository.all(in: vault, connection)
            try rule(Self.typed(rows), IPPools(pools.map { ($0.domain, $0.pool, $0.ips) }))
            try connection.record(audit("settings", .object(before), .object(after)), in: vault)
        }
    }

    private static func write(
        _ json: JSONValue?,
        as key: String,
        in vault: VaultID,
        at now: Timestamp,
        _ connection: any SQLConnection
    ) throws {
        guard let json else {
            return try connection.send("DELETE FROM vault_settings WHERE vault_id = \(vault.text) AND key = \(key)")
        }
        let text = String(decoding: JSONWriter.write(json), as: UTF8.self)
        try connection.send(
            """
            INSERT INTO vault_settings (vault_id, key, value, updated_at)
            VALUES (\(vault.text), \(key), \(text), \(now.milliseconds))
            ON CONFLICT (vault_id, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
            """)
    }
}
