// The audit log as a chain: each record carries the digest of itself and of the record before it, so that none can be changed,
// taken out or put in without every later digest telling. One chain a vault, and one for the instance.

package import Model
package import SQL

package enum AuditChain {
    /// The chain of what belongs to no vault.
    package static let instance = "instance"

    package static func name(of vault: VaultID?) -> String { vault?.text ?? instance }

    /// What the first record of a chain names as the digest before it.
    package static let genesis = [UInt8](repeating: 0, count: 32)

    /// Where a chain ends: the number of its last record, and that record's digest.
    package struct Link: Sendable, Equatable {
        package let sequence: Int64
        package let digest: [UInt8]

        package init(sequence: Int64, digest: [UInt8]) {
            self.sequence = sequence
            self.digest = digest
        }

        /// Before the first record.
        package static let start = Link(sequence: 0, digest: genesis)
    }

    static func append(
        _ entry: AuditEntry, to chain: String, vault: VaultID?, on connection: any SQLConnection
    ) throws(SQLError) {
        let head = try lockedHead(of: chain, on: connection)
        let record = AuditRecord(entry, in: chain, after: head)
        let entry = record.fields
        try connection.send(
            """
            INSERT INTO audit_records (id, vault_id, at, actor_id, actor_label, door, address, request_id, action, resource,
                before_value, after_value, chain, sequence, digest, outcome, reason)
            VALUES (\(entry.id), \(vault?.text), \(entry.at), \(entry.actorID), \(entry.actorLabel), \(entry.door),
                \(entry.address), \(entry.requestID), \(entry.action), \(entry.resource), \(entry.before), \(entry.after),
                \(chain), \(record.sequence), \(record.digest), \(entry.outcome), \(entry.reason))
            """)
        try connection.send(
            """
            UPDATE audit_heads SET sequence = \(record.sequence), digest = \(record.digest) WHERE chain = \(chain)
            """)
    }

    /// The end of a chain, held until the commit: whoever else wants to append waits.
    package static func lockedHead(of chain: String, on connection: any SQLConnection) throws(SQLError) -> Link {
        let find: SQLStatement = "SELECT sequence, digest FROM audit_heads WHERE chain = \(chain) /* lock */"
        if let row = try connection.row(find) { return try link(row) }
        // A head that somebody took away must not keep acts from being recorded: the last record is where it was.
        let last = try connection.row(
            """
            SELECT sequence, digest FROM audit_records WHERE chain = \(chain) AND sequence > 0
            ORDER BY sequence DESC LIMIT 1
            """)
        let end = last.flatMap { try? link($0) } ?? .start
        // Two may begin a chain at once: the second waits here, and finds what the first has made.
        try connection.send(
            """
            INSERT INTO audit_heads (chain, sequence, digest) VALUES (\(chain), \(end.sequence), \(end.digest))
            ON CONFLICT (chain) DO NOTHING
            """)
        guard let row = try connection.row(find) else {
            throw SQLError(.unavailable, "the head of an audit chain is gone")
        }
        return try link(row)
    }

    static func link(_ row: SQLRow) throws(SQLError) -> Link {
        Link(sequence: try row.integer(0), digest: try row.blob(1))
    }
}

extension AuditChain {
    /// Records read at once.
    private static let batch = 500

    /// Puts the records from before there were chains into theirs, in the order in which they were made.
    package static func adopt(_ connection: any SQLConnection) throws {
        let chains = try connection.rows(
            "SELECT DISTINCT chain FROM audit_records WHERE sequence IS NULL ORDER BY chain")
        for row in chains {
            let chain = try row.text(0)
            var head = try lockedHead(of: chain, on: connection)
            while true {
                let rows = try connection.rows(
                    """
                    SELECT \(AuditRecord.Fields.columns) FROM audit_records
                    WHERE chain = \(chain) AND sequence IS NULL ORDER BY id LIMIT \(batch)
                    """)
                for row in rows {
                    let record = AuditRecord(try AuditRecord.Fields(row), in: chain, after: head)
                    try connection.send(
                        """
                        UPDATE audit_records SET sequence = \(record.sequence), digest = \(record.digest)
                        WHERE id = \(record.fields.id)
                        """)
                    head = record.link
                }
                if rows.count < batch { break }
            }
            try connection.send(
                "UPDATE audit_heads SET sequence = \(head.sequence), digest = \(head.digest) WHERE chain = \(chain)")
        }
    }
}
