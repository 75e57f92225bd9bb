// What is known of each vault: its settings, its pools, its secrets. Read from memory on the way of a message.

package import JSON
package import Model
package import SQL
package import Sealing
package import Store
import Synchronization

package final class VaultDirectory: Sendable {
    /// What the way of a message needs of a vault, read together.
    package struct Snapshot: Sendable {
        package let settings: SettingsSnapshot
        /// Sending addresses by domain.
        package let pools: [String: [String]]
    }

    private let vaults: VaultRepository
    private let settings: SettingsRepository
    private let pools: IPPoolRepository
    private let masterKey: SealingKey
    private let instanceDefaults: [String: any SettingValue]
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    /// `generation` counts what was forgotten: rows that were read before a change are not remembered after it.
    private let cache = Mutex<(snapshots: [VaultID: Snapshot], generation: Int)>(([:], 0))

    /// - Parameter instanceDefaults: values of `POSTERN_DEFAULT_…`, by setting key.
    package init(
        database: any SQLDatabase,
        masterKey: SealingKey,
        instanceDefaults: [String: any SettingValue],
        clock: any WallClock,
        ids: IdentifierGenerator
    ) {
        vaults = VaultRepository(database: database)
        settings = SettingsRepository(database: database)
        pools = IPPoolRepository(database: database)
        self.masterKey = masterKey
        self.instanceDefaults = instanceDefaults
        self.clock = clock
        self.ids = ids
    }

    /// Instance level: makes a vault with a data key of its own.
    package func create(slug: String, name: String) async throws -> Vault {
        let id: VaultID = ids.next()
        let vault = Vault(
            id: id, slug: slug, name: name,
            wrappedDataKey: try SealingKey.random().wrapped(by: masterKey, context: id.text), createdAt: clock.now())
        try await vaults.insert(vault)
        return vault
    }

    /// Instance level: all vaults by slug.
    package func all() async throws -> [Vault] { try await vaults.all() }

    package func snapshot(of vault: VaultID) async throws -> Snapshot {
        let (cached, generation) = cache.withLock { ($0.snapshots[vault], $0.generation) }
        if let cached { return cached }
        let own = try await settings.values(in: vault)
        let pools = try await pools.all(in: vault)
        let snapshot = Snapshot(
            settings: SettingsSnapshot(vault: own, instance: instanceDefaults),
            pools: Dictionary(pools.map { ($0.domain, $0.ips) }, uniquingKeysWith: { first, _ in first }))
        cache.withLock { if $0.generation == generation { $0.snapshots[vault] = snapshot } }
        return snapshot
    }

    /// The snapshot if it is in memory: for places that cannot wait.
    package func cachedSnapshot(of vault: VaultID) -> Snapshot? { cache.withLock { $0.snapshots[vault] } }

    /// Forgets all that is in memory, because another process changed something.
    package func invalidateAll() {
        cache.withLock { cache in
            cache.snapshots = [:]
            cache.generation += 1
        }
    }

    /// Forgets what is in memory, after a change.
    package func invalidate(_ vault: VaultID) {
        cache.withLock { cache in
            cache.snapshots[vault] = nil
            cache.generation += 1
        }
    }
}

extension VaultDirectory {
    /// Changes settings, all or none. JSON null, "" or [] takes a value away.
    /// - Throws: `validation_failed` naming each key that is unknown or has a value of the wrong kind.
    package func change(_ document: JSONObject, in vault: VaultID) async throws {
        var values: [String: (any SettingValue)?] = [:]
        var secrets: [String: Secret<String>?] = [:]
        var problems: [JSONProblem] = []
        for member in document.members {
            let pointer = "/" + JSONReader.escape(member.name)
            guard let declaration = Settings.declaration(member.name) else {
                problems.append(JSONProblem(pointer: pointer, message: "unknown setting"))
                continue
            }
            do throws(SettingProblem) {
                // An empty value is none: the instance's holds then (seed 000 §06).
                let isEmpty = [.null, .string(""), .array([])].contains(member.value)
                let value: (any SettingValue)? = isEmpty ? nil : try declaration.fromJSON(member.value)
                if declaration.isSecret {
                    secrets.updateValue((value as? String).map(Secret.init), forKey: member.name)
                } else {
                    values.updateValue(value, forKey: member.name)
                }
            } catch {
                problems.append(JSONProblem(pointer: pointer, message: error.message))
            }
        }
        guard problems.isEmpty else { throw PosternError.validation(problems) }
        var sealed: [String: [UInt8]?] = [:]
        if !secrets.isEmpty {
            let key = try await dataKey(of: vault)
            for (name, secret) in secrets {
                let bytes = try secret.map { secret in
                    try key.seal(Array(secret.reveal().utf8), context: Self.context(vault, name))
                }
                sealed.updateValue(bytes, forKey: name)
            }
        }
        try await settings.change(values, sealedSecrets: sealed, in: vault, at: clock.now())
        invalidate(vault)
    }

    package func secretNames(in vault: VaultID) async throws -> Set<String> {
        try await settings.secretNames(in: vault)
    }

    /// - Throws: `SealingError.wrongKey` when the master key is another one.
    package func secret(_ name: String, in vault: VaultID) async throws -> Secret<String>? {
        guard let sealed = try await settings.sealedSecret(name, in: vault) else { return nil }
        let bytes = try await dataKey(of: vault).open(sealed, context: Self.context(vault, name))
        return Secret(String(decoding: bytes, as: UTF8.self))
    }

    /// Whether the master key opens what the database holds.
    /// - Throws: `SealingError.wrongKey` when it does not.
    package func verifyMasterKey() async throws {
        for vault in try await vaults.all() {
            _ = try SealingKey(unwrapping: vault.wrappedDataKey, by: masterKey, context: vault.id.text)
        }
    }

    private func dataKey(of vault: VaultID) async throws -> SealingKey {
        guard let row = try await vaults.find(vault) else { throw PosternError(.notFound, "there is no such vault") }
        return try SealingKey(unwrapping: row.wrappedDataKey, by: masterKey, context: vault.text)
    }

    private static func context(_ vault: VaultID, _ name: String) -> String { "\(vault.text)/\(name)" }
}
