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

    /// What the audit log shows.
    var audited: JSONValue {
        .object(JSONObject(["domain": .string(domain), "pool": .string(pool), "ips": .array(ips.map { .string($0) })]))
    }
}

package struct IPPoolRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = "id, vault_id, domain, pool, ips, created_at, updated_at"

    /// - Throws: `SQLError` with `.constraint` when the domain has a pool already.
    package func insert(_ pool: IPPool, in vault: VaultID, audit: @escaping AuditMaker) async throws {
        let ips = Self.text(pool.ips)
        try await database.change(.vaults) { connection in
            try connection.execute(
                """
                INSERT INTO mailerq_ip_pools (\(Self.columns)) VALUES (\(pool.id.text), \(vault.text), \(pool.domain),
                    \(pool.pool), \(ips), \(pool.createdAt.milliseconds), \(pool.updatedAt.milliseconds))
                """)
            try connection.record(audit(pool.id.text, nil, pool.audited), in: vault)
        }
    }

    /// What has to hold of the vault's own settings and its pools, before and after.
    package typealias Rule =
        @Sendable (_ own: OwnSettings, _ before: IPPools, _ after: IPPools) throws -> Void

    /// Changes a pool as it is at that moment.
    /// - Returns: the pool as it is now; `nil` when it is not there.
    /// - Throws: what the rule threw; `SQLError` with `.constraint` when the domain has a pool already.
    package func update(
        _ id: PoolID,
        in vault: VaultID,
        at now: Timestamp,
        rule: @escaping Rule = { _, _, _ in },
        audit: @escaping AuditMaker,
        _ change: @escaping @Sendable (inout IPPool) throws -> Void
    ) async throws -> IPPool? {
        try await database.change(.vaults, unless: { $0 == nil }) { connection in
            let all = try Self.all(in: vault, connection)
            guard let index = all.firstIndex(where: { $0.id == id }) else { return nil }
            var after = all
            try change(&after[index])
            after[index].updatedAt = now
            let pool = after[index]
            try Self.check(rule, all, after, in: vault, connection)
            try connection.execute(
                """
                UPDATE mailerq_ip_pools SET domain = \(pool.domain), pool = \(pool.pool), ips = \(Self.text(pool.ips)),
                    updated_at = \(pool.updatedAt.milliseconds)
                WHERE id = \(pool.id.text) AND vault_id = \(vault.text)
                """)
            try connection.record(audit(id.text, all[index].audited, pool.audited), in: vault)
            return pool
        }
    }

    /// - Returns: whether it was there.
    /// - Throws: what the rule threw.
    package func delete(
        _ id: PoolID,
        in vault: VaultID,
        rule: @escaping Rule = { _, _, _ in },
        audit: @escaping AuditMaker
    ) async throws -> Bool {
        try await database.change(.vaults, unless: { !$0 }) { connection in
            let all = try Self.all(in: vault, connection)
            guard let pool = all.first(where: { $0.id == id }) else { return false }
            try Self.check(rule, all, all.filter { $0.id != id }, in: vault, connection)
            try connection.execute(
                "DELETE FROM mailerq_ip_pools WHERE id = \(id.text) AND vault_id = \(vault.text)")
            try connection.record(audit(id.text, pool.audited, nil), in: vault)
            return true
        }
    }

    private static func check(
        _ rule: Rule,
        _ before: [IPPool],
        _ after: [IPPool],
        in vault: VaultID,
        _ connection: any SQLConnection
    ) throws {
        try rule(try SettingsRepository.own(in: vault, connection), IPPools(before), IPPools(after))
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

    /// In the order of creation.
    static func all(in vault: VaultID, _ connection: any SQLConnection) throws -> [IPPool] {
        try connection.rows(
            "SELECT \(columns) FROM mailerq_ip_pools WHERE vault_id = \(vault.text) ORDER BY id"
        ).map(pool)
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

extension IPPools {
    init(_ pools: [IPPool]) { self.init(pools.map { ($0.domain, $0.pool, $0.ips) }) }
}
