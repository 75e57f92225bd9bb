// The seals of the audit log: where a chain ended, under a key that is not in the database. What they are worth says Core/Audit.

package import Model
package import SQL

package struct AuditSeal: Sendable, Equatable {
    package enum Kind: String, Sendable {
        /// A chain had come to here.
        case head
        /// A chain begins after this record: what came before was taken away when its time was over.
        case floor
    }

    /// What stands in a chain's place in the one seal over all others' newest ones.
    package static let roster = "chains"

    package let chain: String
    package let kind: Kind
    package let link: AuditChain.Link
    package let at: Timestamp
    package let seal: [UInt8]

    package init(chain: String, kind: Kind, link: AuditChain.Link, at: Timestamp, seal: [UInt8]) {
        self.chain = chain
        self.kind = kind
        self.link = link
        self.at = at
        self.seal = seal
    }
}

extension SQLConnection {
    /// The seals of one chain, oldest first.
    package func auditSeals(of chain: String) throws(SQLError) -> [AuditSeal] {
        try seals(
            "SELECT chain, kind, sequence, digest, at, seal FROM audit_seals WHERE chain = \(chain) ORDER BY sequence")
    }

    /// The newest seal of each kind of every chain, in order, without the roster.
    package func newestAuditSeals() throws(SQLError) -> [AuditSeal] {
        try seals(
            """
            SELECT audit_seals.chain, audit_seals.kind, audit_seals.sequence, digest, at, seal
            FROM audit_seals JOIN (
                SELECT chain, kind, max(sequence) AS sequence FROM audit_seals GROUP BY chain, kind
            ) AS newest ON newest.chain = audit_seals.chain AND newest.kind = audit_seals.kind
                AND newest.sequence = audit_seals.sequence
            WHERE audit_seals.chain <> \(AuditSeal.roster) ORDER BY audit_seals.chain, audit_seals.kind
            """)
    }

    /// The seal over all others, held until the commit in a write.
    package func auditRoster() throws(SQLError) -> AuditSeal? {
        try seals(
            """
            SELECT chain, kind, sequence, digest, at, seal FROM audit_seals WHERE chain = \(AuditSeal.roster)
            ORDER BY sequence DESC LIMIT 1 /* lock */
            """
        ).first
    }

    /// - Throws: `SQLError` with `.constraint` where another process has made it meanwhile.
    package func insert(_ seal: AuditSeal) throws(SQLError) {
        try send(
            """
            INSERT INTO audit_seals (chain, sequence, kind, digest, at, seal)
            VALUES (\(seal.chain), \(seal.link.sequence), \(seal.kind.rawValue), \(seal.link.digest),
                \(seal.at.milliseconds), \(seal.seal))
            """)
    }

    /// Of the seals of a kind that are older than one, keeps one a day, and no more than a few.
    package func thinAuditSeals(before seal: AuditSeal, keeping count: Int) throws(SQLError) {
        let day = seal.at.milliseconds - seal.at.milliseconds % 86_400_000
        try send(
            """
            DELETE FROM audit_seals WHERE chain = \(seal.chain) AND kind = \(seal.kind.rawValue)
                AND sequence < \(seal.link.sequence) AND (at >= \(day) OR sequence <= (
                    SELECT sequence FROM audit_seals WHERE chain = \(seal.chain) AND kind = \(seal.kind.rawValue)
                    ORDER BY sequence DESC LIMIT 1 OFFSET \(count)))
            """)
    }

    /// Takes away the seals below a floor: what they sealed is gone.
    package func dropAuditSeals(of chain: String, below sequence: Int64) throws(SQLError) {
        try send(
            """
            DELETE FROM audit_seals WHERE chain = \(chain) AND (sequence < \(sequence)
                OR (sequence = \(sequence) AND kind = 'head'))
            """)
    }

    /// Takes away all seals of a chain that is no more.
    package func dropAuditSeals(of chain: String) throws(SQLError) {
        try send("DELETE FROM audit_seals WHERE chain = \(chain)")
    }

    /// Puts a seal over all others into the place of the one before.
    package func replaceAuditRoster(_ seal: AuditSeal) throws(SQLError) {
        try send("DELETE FROM audit_seals WHERE chain = \(AuditSeal.roster) AND sequence < \(seal.link.sequence)")
        try insert(seal)
    }

    private func seals(_ statement: SQLStatement) throws(SQLError) -> [AuditSeal] {
        var seals: [AuditSeal] = []
        for row in try rows(statement) {
            guard let kind = AuditSeal.Kind(rawValue: try row.text(1)) else {
                throw SQLError(.unexpectedValue, "a seal of the audit log is of no kind")
            }
            seals.append(
                AuditSeal(
                    chain: try row.text(0), kind: kind,
                    link: AuditChain.Link(sequence: try row.integer(2), digest: try row.blob(3)),
                    at: Timestamp(milliseconds: try row.integer(4)), seal: try row.blob(5)))
        }
        return seals
    }
}
