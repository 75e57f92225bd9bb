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
        package let pools: IPPools
    }

    private let vaults: VaultRepository
    private let settings: SettingsRepository
    let secrets: SecretRepository
    let masterKey: SealingKey
    private let instanceDefaults: [String: any SettingValue]
    let clock: any WallClock
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
        secrets = SecretRepository(database: database)
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

    /// What the way of a message needs.
    /// - Throws: `setting_unset` where the vault has a value that cannot be read: its mail waits until somebody sets it again.
    package func snapshot(of vault: VaultID) async throws -> Snapshot {
        let snapshot = try await remembered(vault)
        try snapshot.settings.checkReadable()
        return snapshot
    }

    /// The settings for those who show or repair them, or need one of them only: also where another cannot be read.
    package func settings(of vault: VaultID) async throws -> SettingsSnapshot {
        try await remembered(vault).settings
    }

    private func remembered(_ vault: VaultID) async throws -> Snapshot {
        let (cached, generation) = cache.withLock { ($0.snapshots[vault], $0.generation) }
        if let cached { return cached }
        let (own, pools) = try await settings.read(in: vault)
        let snapshot = Snapshot(settings: Self.snapshot(own, instanceDefaults), pools: pools)
        cache.withLock { if $0.generation == generation { $0.snapshots[vault] = snapshot } }
        return snapshot
    }

    private static func snapshot(_ own: OwnSettings, _ instance: [String: any SettingValue]) -> SettingsSnapshot {
        SettingsSnapshot(vault: own.values, instance: instance, unreadable: own.unreadable)
    }

    /// The snapshot if it is in memory, and `snapshot(of:)` would not throw: for places that cannot wait.
    package func cachedSnapshot(of vault: VaultID) -> Snapshot? {
        guard let snapshot = cache.withLock({ $0.snapshots[vault] }) else { return nil }
        do throws(PosternError) { try snapshot.settings.checkReadable() } catch { return nil }
        return snapshot
    }

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
    /// - Throws: `validation_failed` naming each key that is unknown, has a value of the wrong kind, or does not go with the
    ///   others as they are after the change.
    package func change(
        _ document: JSONObject,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws {
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
        var change = SettingsChange(values: values)
        if !secrets.isEmpty {
            change.seal = { [self, secrets] wrappedKey in
                try secrets.reduce(into: [:]) { bytes, entry in
                    let (name, secret) = entry
                    bytes.updateValue(
                        try secret.map { try seal($0, name, in: vault, wrappedKey: wrappedKey) }, forKey: name)
                }
            }
        }
        let keys = Set(document.members.map(\.name))
        try await settings.change(
            change, in: vault, at: clock.now(),
            rule: { [instanceDefaults] own, pools in
                let problems = SettingRules.problems(
                    in: Self.snapshot(own, instanceDefaults), touching: keys, pools: pools)
                guard problems.isEmpty else { throw PosternError.validation(problems) }
            }, audit: audit)
        invalidate(vault)
    }

    /// When the vault last set a value or secret of its own; `nil` when it has none.
    package func updatedAt(_ key: String, in vault: VaultID) async throws -> Timestamp? {
        try await settings.updatedAt(key, in: vault)
    }

    /// A pool that `ip_pool_strategy` names must stay.
    package var poolRule: IPPoolRepository.Rule {
        { [instanceDefaults] own, before, after in
            let settings = Self.snapshot(own, instanceDefaults)
            guard case .fixed(let name) = settings.value(Settings.ipPoolStrategy) else { return }
            guard before.addresses(named: name) != nil, after.addresses(named: name) == nil else { return }
            throw PosternError(
                .conflict, "all mail of the vault leaves from the pool \"\(name)\": ip_pool_strategy is fixed:\(name)",
                fix: "Change ip_pool_strategy first (PATCH /v1/settings).")
        }
    }
}
