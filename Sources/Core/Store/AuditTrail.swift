// What verification reads of the audit log: chains, their ends, and records in the order of their numbers, whatever somebody
// may have put into the tables.

import Model
package import SQL

/// A row as it was found, for whoever does not believe it.
package struct FoundAuditRecord: Sendable {
    /// `nil` where a column holds what we never write.
    package let record: AuditRecord?
    package let sequence: Int64
    /// As the row says, which the digest does not cover.
    package let vault: String?
    /// `nil` where there is none.
    package let digest: [UInt8]?

    /// Where the chain goes on, if the row is believed.
    package var link: AuditChain.Link? { digest.map { AuditChain.Link(sequence: sequence, digest: $0) } }
}

extension SQLConnection {
    /// Every chain that has a head, a record or a seal.
    package func auditChains() throws(SQLError) -> [String] {
        var chains: Set<String> = []
        let statements: [SQLStatement] = [
            "SELECT chain FROM audit_heads",
            // One step along the index for each chain, however many records it has.
            """
            WITH RECURSIVE chains (name) AS (
                SELECT min(chain) FROM audit_records
                UNION ALL
                SELECT (SELECT min(chain) FROM audit_records WHERE chain > chains.name)
                FROM chains WHERE chains.name IS NOT NULL
            )
            SELECT name FROM chains WHERE name IS NOT NULL
            """,
            "SELECT DISTINCT chain FROM audit_seals",
        ]
        for statement in statements {
            for row in try rows(statement) { chains.insert(try row.text(0)) }
        }
        chains.remove(AuditSeal.roster)
        return chains.sorted()
    }

    package func auditHeads() throws(SQLError) -> [String: AuditChain.Link] {
        var heads: [String: AuditChain.Link] = [:]
        for row in try rows("SELECT chain, sequence, digest FROM audit_heads") {
            heads[try row.text(0)] = AuditChain.Link(sequence: try row.integer(1), digest: try row.blob(2))
        }
        return heads
    }

    package func auditHead(of chain: String) throws(SQLError) -> AuditChain.Link? {
        guard let row = try row("SELECT sequence, digest FROM audit_heads WHERE chain = \(chain)") else { return nil }
        return try AuditChain.link(row)
    }

    /// The records after a number, in order.
    package func auditRecords(of chain: String, after sequence: Int64, limit: Int) throws(SQLError)
        -> [FoundAuditRecord]
    {
        let rows = try rows(
            """
            SELECT \(AuditRecord.Fields.columns), sequence, digest, vault_id FROM audit_records
            WHERE chain = \(chain) AND sequence > \(sequence) ORDER BY sequence LIMIT \(limit)
            """)
        var found: [FoundAuditRecord] = []
        found.reserveCapacity(rows.count)
        for row in rows { found.append(FoundAuditRecord(row, in: chain)) }
        return found
    }

    /// Records that have no place in their chain: none of ours.
    package func strayAuditRecords(of chain: String, limit: Int) throws(SQLError) -> [String] {
        var ids: [String] = []
        for row in try rows(
            "SELECT id FROM audit_records WHERE chain = \(chain) AND sequence IS NULL ORDER BY id LIMIT \(limit)")
        {
            ids.append((try? row.text(0)) ?? "?")
        }
        return ids
    }

    /// Takes away the records up to a number.
    package func dropAuditRecords(of chain: String, through sequence: Int64) throws(SQLError) -> Int {
        try execute("DELETE FROM audit_records WHERE chain = \(chain) AND sequence <= \(sequence)")
    }
}

extension FoundAuditRecord {
    fileprivate init(_ row: SQLRow, in chain: String) {
        let fields = try? AuditRecord.Fields(row)
        let isSound = fields != nil && (row.values[15] == .null || (try? row.text(15)) != nil)
        sequence = (try? row.integer(13)) ?? 0
        digest = try? row.blob(14)
        vault = try? row.optionalText(15)
        if isSound, let fields, let digest {
            record = AuditRecord(chain: chain, sequence: sequence, fields: fields, digest: digest)
        } else {
            record = nil
        }
    }
}

extension SQLConnection {
    /// Chains of vaults that were deleted: their records go with everything else of the vault.
    package func purgedAuditChains() throws(SQLError) -> Set<String> {
        var chains: Set<String> = []
        for row in try rows("SELECT id FROM vaults WHERE state = 'deleted'") { chains.insert(try row.text(0)) }
        return chains
    }

    /// Whether nothing is left of a deleted vault's chain, and the instance's chain says that it was deleted.
    package func isPurgeOver(of chain: String) throws(SQLError) -> Bool {
        let rest: [SQLStatement] = [
            "SELECT 1 FROM audit_records WHERE chain = \(chain) LIMIT 1",
            "SELECT 1 FROM audit_heads WHERE chain = \(chain)",
        ]
        for statement in rest where try row(statement) != nil { return false }
        return try row(
            """
            SELECT 1 FROM audit_records WHERE chain = \(AuditChain.instance) AND resource = \(chain)
                AND action = 'vault.delete' AND after_value LIKE '%"purged":true%' LIMIT 1
            """) != nil
    }
}
