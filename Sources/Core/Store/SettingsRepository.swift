// The values that a vault set for itself, and its sealed secrets.

import JSON
package import Model
package import SQL

package struct SettingsRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// The vault's own values. A row of a key or form that this program does not know is left out.
    package func values(in vault: VaultID) async throws -> [String: any SettingValue] {
        let rows = try await database.read { connection in
            try connection.rows("SELECT key, value FROM vault_settings WHERE vault_id = \(vault.text)")
        }
        var values: [String: any SettingValue] = [:]
        for row in rows {
            let key = try row.text(0)
            guard let declaration = Settings.declaration(key), let json = try? JSONParser.parse(row.text(1)) else {
                continue
            }
            values[key] = try? declaration.fromJSON(json)
        }
        return values
    }

    /// Which secrets the vault has.
    package func secretNames(in vault: VaultID) async throws -> Set<String> {
        try await database.read { connection in
            Set(
                try connection.rows("SELECT name FROM vault_secrets WHERE vault_id = \(vault.text)").map {
                    try $0.text(0)
                })
        }
    }

    package func sealedSecret(_ name: String, in vault: VaultID) async throws -> [UInt8]? {
        try await database.read { connection in
            try connection.row(
                "SELECT sealed FROM vault_secrets WHERE vault_id = \(vault.text) AND name = \(name)"
            )?.blob(0)
        }
    }

    /// Changes several values at once: all or none. `nil` takes a value away.
    package func change(
        _ settings: [String: (any SettingValue)?],
        sealedSecrets: [String: [UInt8]?],
        in vault: VaultID,
        at now: Timestamp
    ) async throws {
        let texts = settings.mapValues { $0.map { String(decoding: JSONWriter.write($0.json), as: UTF8.self) } }
        try await database.change(.vaults) { connection in
            for (key, text) in texts.sorted(by: { $0.key < $1.key }) {
                guard let text else {
                    try connection.execute(
                        "DELETE FROM vault_settings WHERE vault_id = \(vault.text) AND key = \(key)")
                    continue
                }
                try connection.execute(
                    """
                    INSERT INTO vault_settings (vault_id, key, value, updated_at)
                    VALUES (\(vault.text), \(key), \(text), \(now.milliseconds))
                    ON CONFLICT (vault_id, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
                    """)
            }
            for (name, sealed) in sealedSecrets.sorted(by: { $0.key < $1.key }) {
                guard let sealed else {
                    try connection.execute(
                        "DELETE FROM vault_secrets WHERE vault_id = \(vault.text) AND name = \(name)")
                    continue
                }
                try connection.execute(
                    """
                    INSERT INTO vault_secrets (vault_id, name, sealed, updated_at)
                    VALUES (\(vault.text), \(name), \(sealed), \(now.milliseconds))
                    ON CONFLICT (vault_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at
                    """)
            }
        }
    }
}
