// Reading a chain of the audit log, newest first, in a time that does not depend on how long it is.

package import Model
package import SQL

package struct AuditQuery: Sendable, Equatable {
    /// The id or the label of who did it.
    package var actor: String?
    /// An action; one that ends in a dot stands for all that begin so: `key.`.
    package var action: String?
    package var resource: String?
    package var outcome: AuditEntry.Outcome?
    package var since: Timestamp?
    package var until: Timestamp?
    /// The cursor of the page before.
    package var before: AuditID?
    /// 1–200.
    package var limit: Int

    package init(limit: Int = 50) { self.limit = limit }
}

package struct AuditPage: Sendable {
    package let records: [AuditRecord]
    /// Where the next page begins; `nil` where nothing follows. A page with few records, even with none, may have one: the
    /// search goes through a bounded number of records at a time.
    package let next: AuditID?
}

package struct AuditRepository: Sendable {
    private let database: any SQLDatabase
    /// Records that match one of several filters, and are looked at for the others, in one page.
    private let reach: Int

    package init(database: any SQLDatabase, reach: Int = 5_000) {
        self.database = database
        self.reach = reach
    }

    /// Appends an entry of its own, for an act outside of this database.
    package func append(_ entry: AuditEntry, in vault: VaultID?) async throws {
        try await database.write { connection in try connection.record(entry, in: vault) }
    }

    /// Appends entries in one commit.
    ///
    /// Two processes must not wait for each other's chains. Everything locks in one order: change counters as `ChangeTopic`
    /// names the topics after vaults (vaults, callers, people, rules), then rows, then heads of chains, the vaults' by name and
    /// the instance's last, which everybody writes to. What appends to several chains holds the counter of people besides,
    /// for some changes of people know only as they go which vaults they concern.
    package func append(_ entries: [(entry: AuditEntry, vault: VaultID?)]) async throws {
        let sorted = entries.sorted { one, other in
            guard let left = one.vault, let right = other.vault else { return one.vault != nil && other.vault == nil }
            return left.text < right.text
        }
        let hasSeveral = sorted.first?.vault != sorted.last?.vault
        try await database.write(cost: 512 * entries.count) { connection in
            if hasSeveral { try connection.raise(.people, by: 0) }
            for (entry, vault) in sorted { try connection.record(entry, in: vault) }
        }
    }

    package func list(_ query: AuditQuery, in vault: VaultID?) async throws -> AuditPage {
        let chain = AuditChain.name(of: vault)
        return try await database.read { [reach] connection in
            try AuditSearch(query, chain: chain, reach: reach).page(connection)
        }
    }

    /// The number of the last record.
    package func end(in vault: VaultID?) async throws -> Int64 {
        try await database.read { connection in
            let row = try connection.row(
                "SELECT max(sequence) FROM audit_records WHERE chain = \(AuditChain.name(of: vault))")
            return try row?.optionalInteger(0) ?? 0
        }
    }

    /// A page, and for each of its records the digest of the one before it, by that one's number.
    package func exported(
        _ query: AuditQuery, in vault: VaultID?
    ) async throws -> (page: AuditPage, previous: [Int64: [UInt8]]) {
        let chain = AuditChain.name(of: vault)
        return try await database.read { [reach] connection in
            let page = try AuditSearch(query, chain: chain, reach: reach).page(connection)
            var digests: [Int64: [UInt8]] = [0: AuditChain.genesis]
            for record in page.records { digests[record.sequence] = record.digest }
            let wanted = page.records.map { $0.sequence - 1 }.filter { $0 > 0 && digests[$0] == nil }
            if !wanted.isEmpty {
                let rows = try connection.rows(
                    """
                    SELECT sequence, digest FROM audit_records WHERE chain = \(chain) AND sequence IN \(list: wanted)
                    """)
                for row in rows { digests[try row.integer(0)] = try row.optionalBlob(1) }
                for seal in try connection.auditSeals(of: chain) where seal.kind == .floor {
                    digests[seal.link.sequence] = seal.link.digest
                }
            }
            return (page, digests)
        }
    }
}
