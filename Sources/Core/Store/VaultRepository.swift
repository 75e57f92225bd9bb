// Tenants. The instance-level methods, the few that take no `VaultID`, say so.

package import Model
package import SQL

package struct Vault: Sendable {
    package let id: VaultID
    package var slug: String
    package var name: String
    /// The vault's data key, sealed by the master key under the vault's id.
    package let wrappedDataKey: [UInt8]
    package let createdAt: Timestamp
    package var state: VaultState
    /// Why it is suspended, in the words of who did it.
    package var stateReason: String?
    /// The plan's name.
    package var plan: String
    /// What holds in place of the plan's limits.
    package var limits: PlanLimitChanges
    /// When its name, state, plan or limits last changed.
    package var updatedAt: Timestamp

    package init(
        id: VaultID, slug: String, name: String, wrappedDataKey: [UInt8], createdAt: Timestamp,
        state: VaultState = .active, stateReason: String? = nil, plan: String = "self_hosted",
        limits: PlanLimitChanges = PlanLimitChanges(), updatedAt: Timestamp? = nil
    ) {
        self.id = id
        self.slug = slug
        self.name = name
        self.wrappedDataKey = wrappedDataKey
        self.createdAt = createdAt
        self.state = state
        self.stateReason = stateReason
        self.plan = plan
        self.limits = limits
        self.updatedAt = updatedAt ?? createdAt
    }
}

/// All that the way of a message needs of a vault, of one moment: a setting may name a pool.
package struct VaultRecord: Sendable {
    package let vault: Vault
    package let plan: Plan
    package let own: OwnSettings
    package let pools: IPPools
}

package struct VaultRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    static let columns: SQLStatement = """
        id, slug, name, data_key, created_at, state, state_reason, plan, limits, updated_at
        """

    /// Instance level: all tenants by slug, but those that are being deleted.
    package func all() async throws -> [Vault] {
        try await database.read { connection in
            try connection.rows("SELECT \(Self.columns) FROM vaults WHERE state <> 'deleted' ORDER BY slug")
                .map(Self.vault)
        }
    }

    /// Instance level: tenants in the order of their slugs, but those that are being deleted.
    /// - Parameters:
    ///   - page: after a slug.
    ///   - vaults: which alone are asked about; `nil` for all.
    package func list(page: Page, among vaults: Set<VaultID>?) async throws -> [Vault] {
        let among: SQLStatement = vaults.map { "AND id IN \(list: $0.map(\.text).sorted())" } ?? ""
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM vaults WHERE state <> 'deleted' AND slug > \(page.after) \(among)
                ORDER BY slug LIMIT \(page.limit)
                """
            ).map(Self.vault)
        }
    }

    /// Also a vault that is being deleted.
    package func find(_ id: VaultID) async throws -> Vault? {
        try await database.read { connection in try Self.find(id, connection) }
    }

    /// Also of a vault that is being deleted.
    package func record(_ id: VaultID) async throws -> VaultRecord? { try await record("id = \(id.text)") }

    /// Instance level: also of a vault that is being deleted.
    package func record(slug: String) async throws -> VaultRecord? { try await record("slug = \(slug)") }

    private func record(_ condition: SQLStatement) async throws -> VaultRecord? {
        try await database.read { connection in
            guard let row = try connection.row("SELECT \(Self.columns) FROM vaults WHERE \(condition)") else {
                return nil
            }
            let vault = try Self.vault(row)
            return VaultRecord(
                vault: vault, plan: try connection.plan(vault.plan) ?? .unreadable(vault.plan),
                own: try SettingsRepository.own(in: vault.id, connection),
                pools: IPPools(try IPPoolRepository.all(in: vault.id, connection)))
        }
    }

    static func find(_ id: VaultID, _ connection: any SQLConnection) throws -> Vault? {
        try connection.row("SELECT \(columns) FROM vaults WHERE id = \(id.text)").map(vault)
    }

    static func vault(_ row: SQLRow) throws(SQLError) -> Vault {
        guard let state = VaultState(rawValue: try row.text(5)) else {
            throw SQLError(.unexpectedValue, "a vault's state is unknown")
        }
        return Vault(
            id: VaultID(stored: try row.text(0)), slug: try row.text(1), name: try row.text(2),
            wrappedDataKey: try row.blob(3), createdAt: Timestamp(milliseconds: try row.integer(4)), state: state,
            stateReason: try row.optionalText(6), plan: try row.text(7),
            limits: try row.optionalText(8).map(PlanLimitChanges.init(stored:)) ?? PlanLimitChanges(),
            updatedAt: Timestamp(milliseconds: try row.integer(9)))
    }
}
