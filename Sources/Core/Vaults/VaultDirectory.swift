// What is known of each vault: how it stands, its settings, its pools, its secrets. Read from memory on the way of a message.

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
        package let standing: VaultStanding
        /// Of the plan, with what the vault has in its place.
        package let limits: PlanLimits
    }

    /// A vault with what is known of it.
    struct Entry: Sendable {
        let vault: Vault
        let snapshot: Snapshot
    }

    private struct Cache {
        var entries: [VaultID: Entry] = [:]
        /// By slug.
        var ids: [String: VaultID] = [:]
        /// Counts what was forgotten: rows that were read before a change are not remembered after it.
        var generation = 0
    }

    let vaults: VaultRepository
    let plans: PlanRepository
    let database: any SQLDatabase
    private let settings: SettingsRepository
    let secrets: SecretRepository
    let masterKey: SealingKey
    private let instanceDefaults: [String: any SettingValue]
    let clock: any WallClock
    let ids: IdentifierGenerator
    private let cache = Mutex(Cache())

    /// - Parameter instanceDefaults: values of `POSTERN_DEFAULT_…`, by setting key.
    package init(
        database: any SQLDatabase,
        masterKey: SealingKey,
        instanceDefaults: [String: any SettingValue],
        clock: any WallClock,
        ids: IdentifierGenerator
    ) {
        self.database = database
        vaults = VaultRepository(database: database)
        plans = PlanRepository(database: database)
        settings = SettingsRepository(database: database)
        secrets = SecretRepository(database: database)
        self.masterKey = masterKey
        self.instanceDefaults = instanceDefaults
        self.clock = clock
        self.ids = ids
    }

    /// Instance level: all vaults by slug, but those that are being deleted.
    package func all() async throws -> [Vault] { try await vaults.all() }

    /// Vaults by slug.
    /// - Parameter vaults: which alone are asked about; `nil` at instance level, for all.
    package func list(page: Page, among vaults: Set<VaultID>?) async throws -> [Vault] {
        try await self.vaults.list(page: page, among: vaults)
    }

    /// How the vault stands, and what its plan opens. From memory, unless something of some vault changed.
    /// - Throws: `not_found` where there is no such vault.
    package func standing(of vault: VaultID) async throws -> VaultStanding { try await entry(vault).snapshot.standing }

    /// What the vault may have: its plan's limits, or what was set for it in their place.
    package func limits(of vault: VaultID) async throws -> PlanLimits { try await entry(vault).snapshot.limits }

    /// - Parameter text: an id or a slug.
    /// - Returns: `nil` where there is none, and for one that is being deleted.
    package func find(_ text: String) async throws -> Vault? {
        let id = VaultID(text)
        let known = cache.withLock { cache in (id ?? cache.ids[text]).flatMap { cache.entries[$0] } }
        let entry: Entry?
        if let known {
            entry = known
        } else if let id {
            entry = try await read { try await self.vaults.record(id) }
        } else {
            guard VaultSlug.isValid(text) else { return nil }
            entry = try await read { try await self.vaults.record(slug: text) }
        }
        guard let entry, entry.vault.state != .deleted else { return nil }
        return entry.vault
    }

    /// What the way of a message needs.
    /// - Throws: `setting_unset` where the vault has a value that cannot be read: its mail waits until somebody sets it again;
    ///   `not_found` where there is no such vault.
    package func snapshot(of vault: VaultID) async throws -> Snapshot {
        let snapshot = try await entry(vault).snapshot
        try snapshot.settings.checkReadable()
        return snapshot
    }

    /// The settings for those who show or repair them, or need one of them only: also where another cannot be read.
    package func settings(of vault: VaultID) async throws -> SettingsSnapshot {
        try await entry(vault).snapshot.settings
    }

    func entry(_ vault: VaultID) async throws -> Entry {
        if let known = cache.withLock({ $0.entries[vault] }) { return known }
        guard let entry = try await read({ try await self.vaults.record(vault) }) else {
            throw PosternError(.notFound, "there is no such vault")
        }
        return entry
    }

    private func read(_ work: () async throws -> VaultRecord?) async throws -> Entry? {
        let generation = cache.withLock { $0.generation }
        guard let record = try await work() else { return nil }
        let (vault, plan) = (record.vault, record.plan)
        let snapshot = Snapshot(
            settings: Self.snapshot(record.own, instanceDefaults), pools: record.pools,
            standing: VaultStanding(
                state: vault.state, reason: vault.stateReason, plan: plan.name, features: plan.features),
            limits: vault.limits.applied(to: plan.limits))
        let entry = Entry(vault: vault, snapshot: snapshot)
        cache.withLock { cache in
            guard cache.generation == generation else { return }
            cache.entries[vault.id] = entry
            cache.ids[vault.slug] = vault.id
        }
        return entry
    }

    private static func snapshot(_ own: OwnSettings, _ instance: [String: any SettingValue]) -> SettingsSnapshot {
        SettingsSnapshot(vault: own.values, instance: instance, unreadable: own.unreadable)
    }

    /// The snapshot if it is in memory, and `snapshot(of:)` would not throw: for places that cannot wait.
    package func cachedSnapshot(of vault: VaultID) -> Snapshot? {
        guard let snapshot = cache.withLock({ $0.entries[vault]?.snapshot }) else { return nil }
        do throws(PosternError) { try snapshot.settings.checkReadable() } catch { return nil }
        return snapshot
    }

    /// Forgets all that is in memory, because another process changed something.
    package func invalidateAll() {
        cache.withLock { cache in
            cache.entries = [:]
            cache.ids = [:]
            cache.generation += 1
        }
    }

    /// Forgets what is in memory, after a change.
    package func invalidate(_ vault: VaultID) {
        cache.withLock { cache in
            if let entry = cache.entries.removeValue(forKey: vault) { cache.ids[entry.vault.slug] = nil }
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
