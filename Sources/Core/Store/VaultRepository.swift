// Tenants. The instance-level methods, the few that take no `VaultID`, say so.

package import Model
package import SQL

package struct Vault: Sendable {
    package let id: VaultID
    package let slug: String
    package let name: String
    /// The vault's data key, sealed by the master key under the vault's id.
    package let wrappedDataKey: [UInt8]
    package let createdAt: Timestamp

    package init(id: VaultID, slug: String, name: String, wrappedDataKey: [UInt8], createdAt: Timestamp) {
        self.id = id
        self.slug = slug
        self.name = name
        self.wrappedDataKey = wrappedDataKey
        self.createdAt = createdAt
    }
}

package struct VaultRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Instance level: makes a tenant.
    package func insert(_ vault: Vault) async throws {
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO vaults (id, slug, name, data_key, created_at)
                VALUES (\(vault.id.text), \(vault.slug), \(vault.name), \(vault.wrappedDataKey),
                    \(vault.createdAt.milliseconds))
                """)
        }
    }

    /// Instance level: all tenants by slug.
    package func all() async throws -> [Vault] {
        try await database.read { connection in
            try connection.rows("SELECT id, slug, name, data_key, created_at FROM vaults ORDER BY slug").map(Self.vault)
        }
    }

    package func find(_ id: VaultID) async throws -> Vault? {
        try await database.read { connection in
            try connection.row("SELECT id, slug, name, data_key, created_at FROM vaults WHERE id = \(id.text)")
                .map(Self.vault)
        }
    }

    private static func vault(_ row: SQLRow) throws(SQLError) -> Vault {
        Vault(
            id: VaultID(stored: try row.text(0)), slug: try row.text(1), name: try row.text(2),
            wrappedDataKey: try row.blob(3), createdAt: Timestamp(milliseconds: try row.integer(4)))
    }
}
