// A vault's sealed secrets, and its wrapped data key that opens them. Both are always read and written in one transaction: a
// data key may be replaced at any moment, and nobody may see half of that.

import JSON
package import Model
package import SQL

package struct SecretRepository: Sendable {
    package struct Name: Hashable, Sendable {
        package let name: String
        package let updatedAt: Timestamp
    }

    /// Sealed bytes, and the key that opens them.
    package struct Sealed: Sendable {
        package let bytes: [UInt8]
        package let wrappedKey: [UInt8]
    }

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Which secrets the vault has, by name.
    package func names(in vault: VaultID) async throws -> [Name] {
        try await database.read { connection in
            try connection.rows(
                "SELECT name, updated_at FROM vault_secrets WHERE vault_id = \(vault.text) ORDER BY name"
            ).map { Name(name: try $0.text(0), updatedAt: Timestamp(milliseconds: try $0.integer(1))) }
        }
    }

    package func find(_ name: String, in vault: VaultID) async throws -> Sealed? {
        try await database.read { connection in
            try connection.row(
                """
                SELECT vault_secrets.sealed, vaults.data_key FROM vault_secrets
                JOIN vaults ON vaults.id = vault_secrets.vault_id
                WHERE vault_secrets.vault_id = \(vault.text) AND vault_secrets.name = \(name)
                """
            ).map { Sealed(bytes: try $0.blob(0), wrappedKey: try $0.blob(1)) }
        }
    }

    /// - Parameters:
    ///   - audit: makes the entry, from whether the secret was set before.
    ///   - seal: makes the sealed bytes, under the data key of this very moment.
    package func set(
        _ name: String,
        in vault: VaultID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        seal: @escaping @Sendable (_ wrappedKey: [UInt8]) throws -> [UInt8]
    ) async throws -> Name {
        _ = try await change(name, in: vault, at: now, audit, seal)
        return Name(name: name, updatedAt: now)
    }

    /// - Returns: false where there is no such secret; nothing was written then.
    package func delete(
        _ name: String,
        in vault: VaultID,
        at now: Timestamp,
        audit: @escaping AuditMaker
    ) async throws -> Bool {
        try await change(name, in: vault, at: now, audit) { _ in nil }
    }

    private func change(
        _ name: String,
        in vault: VaultID,
        at now: Timestamp,
        _ audit: @escaping AuditMaker,
        _ seal: @escaping @Sendable (_ wrappedKey: [UInt8]) throws -> [UInt8]?
    ) async throws -> Bool {
        try await database.change(.vaults, unless: { !$0 }) { connection in
            let changes = try connection.changeSecrets(in: vault, at: now) { key in [name: try seal(key)] }
            guard let change = changes.first, change.wasSet || change.isSet else { return false }
            try connection.record(
                audit("secret:\(name)", .isSet(change.wasSet), .isSet(change.isSet)), in: vault)
            return true
        }
    }

    /// Replaces the vault's data key and, with it, every sealed secret.
    /// - Parameter reseal: from the wrapped key and the sealed secrets by name, makes new ones: all of them, by the same names.
    /// - Returns: how many secrets were sealed anew.
    package func rotate(
        in vault: VaultID,
        audit: @escaping AuditMaker,
        reseal:
            @escaping @Sendable (_ wrappedKey: [UInt8], _ sealed: [String: [UInt8]]) throws -> (
                wrappedKey: [UInt8], sealed: [String: [UInt8]]
            )
    ) async throws -> Int {
        try await database.change(.vaults) { connection in
            let wrappedKey = try connection.wrappedDataKey(of: vault)
            var sealed: [String: [UInt8]] = [:]
            for row in try connection.rows("SELECT name, sealed FROM vault_secrets WHERE vault_id = \(vault.text)") {
                sealed[try row.text(0)] = try row.blob(1)
            }
            let fresh = try reseal(wrappedKey, sealed)
            precondition(Set(fresh.sealed.keys) == Set(sealed.keys), "a rotation keeps every secret")
            try connection.replaceDataKey(of: vault, with: fresh.wrappedKey)
            for (name, bytes) in fresh.sealed.sorted(by: { $0.key < $1.key }) {
                // The value is the same, so the time of its last change is as well.
                try connection.send(
                    """
                    UPDATE vault_secrets SET sealed = \(bytes) WHERE vault_id = \(vault.text) AND name = \(name)
                    """)
            }
            try connection.record(
                audit("secrets", nil, .object(JSONObject(["rotated": .integer(Int64(sealed.count))]))), in: vault)
            return sealed.count
        }
    }

    /// Instance level: replaces the wrapping of every vault's data key and of the instance's own, all or none; each vault's
    /// audit log says so, and the instance's.
    /// - Parameter rewrap: makes the new wrapping of a key, which is bound to a context.
    /// - Returns: how many vaults there are.
    package func rewrapAll(
        audit: @escaping AuditMaker,
        _ rewrap: @escaping @Sendable (_ context: String, _ wrappedKey: [UInt8]) throws -> [UInt8]
    ) async throws -> Int {
        try await database.change(.vaults) { connection in
            let vaults = try connection.rows("SELECT id, data_key FROM vaults WHERE state <> 'deleted' ORDER BY id")
            for row in vaults {
                let vault = VaultID(stored: try row.text(0))
                try connection.replaceDataKey(of: vault, with: try rewrap(vault.text, try row.blob(1)))
                try connection.record(
                    audit("master-key", nil, .object(JSONObject(["changed": .bool(true)]))), in: vault)
            }
            for (name, wrapped) in try connection.instanceKeys() {
                let fresh = try rewrap(InstanceKeyRepository.context(name), wrapped)
                try connection.send("UPDATE instance_keys SET wrapped = \(fresh) WHERE name = \(name)")
            }
            try connection.record(
                audit("master-key", nil, .object(JSONObject(["changed": .bool(true)]))), in: nil)
            return vaults.count
        }
    }

    /// Instance level: how many processes work on the database now, by the leases of their numbers.
    package func liveProcesses(besides owner: String, at now: Timestamp) async throws -> Int {
        try await database.read { connection in
            let row = try connection.row(
                """
                SELECT COUNT(*) FROM processes WHERE lease_until > \(now.milliseconds) AND owner <> \(owner)
                """)
            return Int(try row?.integer(0) ?? 0)
        }
    }
}

extension SQLConnection {
    /// Sets secrets and takes secrets away, inside a `change(.vaults)`.
    ///
    /// The change counter, which `change` raises first, lets one such transaction through at a time: the data key that is read
    /// here is the one that holds at the commit.
    /// - Parameter seal: makes the sealed bytes by name; `nil` takes a secret away.
    /// - Returns: for each name, whether it was set before, and whether it is now.
    @discardableResult
    func changeSecrets(
        in vault: VaultID,
        at now: Timestamp,
        _ seal: (_ wrappedKey: [UInt8]) throws -> [String: [UInt8]?]
    ) throws -> [(name: String, wasSet: Bool, isSet: Bool)] {
        let changes = try seal(try wrappedDataKey(of: vault)).sorted { $0.key < $1.key }
        let known = Set(
            try rows("SELECT name FROM vault_secrets WHERE vault_id = \(vault.text)").map { try $0.text(0) })
        for (name, sealed) in changes {
            guard let sealed else {
                try send("DELETE FROM vault_secrets WHERE vault_id = \(vault.text) AND name = \(name)")
                continue
            }
            try send(
                """
                INSERT INTO vault_secrets (vault_id, name, sealed, updated_at)
                VALUES (\(vault.text), \(name), \(sealed), \(now.milliseconds))
                ON CONFLICT (vault_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at
                """)
        }
        return changes.map { ($0.key, known.contains($0.key), $0.value != nil) }
    }

    fileprivate func wrappedDataKey(of vault: VaultID) throws -> [UInt8] {
        guard let row = try row("SELECT data_key FROM vaults WHERE id = \(vault.text)") else {
            throw PosternError(.notFound, "there is no such vault")
        }
        return try row.blob(0)
    }

    fileprivate func replaceDataKey(of vault: VaultID, with wrappedKey: [UInt8]) throws(SQLError) {
        try send("UPDATE vaults SET data_key = \(wrappedKey) WHERE id = \(vault.text)")
    }
}
