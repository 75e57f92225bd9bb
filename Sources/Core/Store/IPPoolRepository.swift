// Sending addresses by From domain: what fills `ips` when a message names none.

import JSON
package import Model
package import SQL

package struct IPPool: Sendable {
    package let id: PoolID
    package let vault: VaultID
    /// Lower-case A-label form.
    package var domain: String
    package var pool: String
    /// IPv4 and IPv6 addresses in the order of preference.
    package var ips: [String]
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(
        id: PoolID, vault: VaultID, domain: String, pool: String, ips: [String], createdAt: Timestamp,
        updatedAt: Timestamp
    ) {
        self.id = id
        self.vault = vault
        self.domain = domain
        self.pool = pool
        self.ips = ips
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }
}

package struct IPPoolRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = "id, vault_id, domain, pool, ips, created_at, updated_at"

    /// - Throws: `SQLError` with `.constraint` when the domain has a pool already.
    package func insert(_ pool: IPPool, in vault: VaultID) async throws {
        let ips = Self.text(pool.ips)
        try await database.change(.vaults) { connection in
            try connection.execute(
                """
                INSERT INTO mailerq_ip_pools (\(Self.columns)) VALUES (\(pool.id.text), \(vault.text), \(pool.domain),
                    \(pool.pool), \(ips), \(pool.createdAt.milliseconds), \(pool.updatedAt.milliseconds))
                """)
        }
    }

    package func update(_ pool: IPPool, in vault: VaultID) async throws -> Bool {
        let ips = Self.text(pool.ips)
        return try await database.change(.vaults) { connection in
            try connection.execute(
                """
                UPDATE mailerq_ip_pools SET domain = \(pool.domain), pool = \(pool.pool), ips = \(ips),
                    updated_at = \(pool.updatedAt.milliseconds)
                WHERE id = \(pool.id.text) AND vault_id = \(vault.text)
                """) == 1
        }
    }

    package func delete(_ id: PoolID, in vault: VaultID) async throws -> Bool {
        try await database.change(.vaults) { connection in
            try connection.execute(
                "DELETE FROM mailerq_ip_pools WHERE id = \(id.text) AND vault_id = \(vault.text)") == 1
        }
    }

    package func list(in vault: VaultID, page: Page) async throws -> [IPPool] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM mailerq_ip_pools
                WHERE vault_id = \(vault.text) AND id > \(page.after) ORDER BY id LIMIT \(page.limit)
                """
            ).map(Self.pool)
        }
    }

    package func all(in vault: VaultID) async throws -> [IPPool] {
        try await database.read { connection in
            try connection.rows("SELECT \(Self.columns) FROM mailerq_ip_pools WHERE vault_id = \(vault.text)")
                .map(Self.pool)
        }
    }

    package func find(_ id: PoolID, in vault: VaultID) async throws -> IPPool? {
        try await database.read { connection in
            try connection.row(
                "SELECT \(Self.columns) FROM mailerq_ip_pools WHERE id = \(id.text) AND vault_id = \(vault.text)"
            ).map(Self.pool)
        }
    }

    private static func text(_ ips: [String]) -> String { String(decoding: JSONWriter.write(ips.json), as: UTF8.self) }

    private static func pool(_ row: SQLRow) throws -> IPPool {
        IPPool(
            id: PoolID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)), domain: try row.text(2),
            pool: try row.text(3), ips: try StoredList.texts(try row.text(4)),
            createdAt: Timestamp(milliseconds: try row.integer(5)),
            updatedAt: Timestamp(milliseconds: try row.integer(6)))
    }
}
