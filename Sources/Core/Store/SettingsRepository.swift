// The values that a vault set for itself.

package import JSON
package import Model
package import SQL

package struct SettingsRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// The vault's own settings and its pools, of one moment: a setting may name a pool.
    package func read(in vault: VaultID) async throws -> (own: OwnSettings, pools: IPPools) {
        try await database.read { connection in
            (try Self.own(in: vault, connection), IPPools(try IPPoolRepository.all(in: vault, connection)))
        }
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

    static func own(in vault: VaultID, _ connection: any SQLConnection) throws -> OwnSettings {
        var own = OwnSettings()
        for row in try connection.rows("SELECT key, value FROM vault_settings WHERE vault_id = \(vault.text)") {
            own.read(try row.text(1), as: try row.text(0))
        }
        return own
    }
}

/// What a vault set for itself. Keys that this program does not know are left out.
package struct OwnSettings: Sendable {
    package private(set) var values: [String: any SettingValue] = [:]
    /// Of keys that are known, what stands there instead of a value of theirs: a newer program wrote it, or a hand. It is not
    /// the same as no value, for which the instance's would hold: a limit that cannot be read must not become no limit.
    package private(set) var unreadable: [String: JSONValue] = [:]

    fileprivate mutating func read(_ text: String, as key: String) {
        guard let declaration = Settings.declaration(key) else { return }
        do {
            let json = try JSONParser.parse(text)
            do { values[key] = try declaration.fromJSON(json) } catch { unreadable[key] = json }
        } catch {
            unreadable[key] = .string(text)
        }
    }

    fileprivate mutating func set(_ key: String, _ value: (any SettingValue)?) {
        values[key] = value
        unreadable[key] = nil
    }

    fileprivate func json(_ key: String) -> JSONValue { values[key]?.json ?? unreadable[key] ?? .null }
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
    /// What has to hold of the vault's own settings and its pools after the change.
    package typealias Rule = @Sendable (_ own: OwnSettings, _ pools: IPPools) throws -> Void

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
            var own = try Self.own(in: vault, connection)
            var (before, after) = (JSONObject(), JSONObject())
            for (key, value) in change.values.sorted(by: { $0.key < $1.key }) {
                before[key] = own.json(key)
                after[key] = value?.json ?? .null
                own.set(key, value)
                try Self.write(value?.json, as: key, in: vault, at: now, connection)
            }
            if let seal = change.seal {
                for secret in try connection.changeSecrets(in: vault, at: now, seal) {
                    before[secret.name] = .isSet(secret.wasSet)
                    after[secret.name] = .isSet(secret.isSet)
                }
            }
            try rule(own, IPPools(try IPPoolRepository.all(in: vault, connection)))
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
