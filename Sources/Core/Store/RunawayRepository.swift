// Callers that were cut off because they ran away, and how often: what the alert about them reads.

package import Model
package import SQL

/// How often a caller was cut off for one reason, since it began.
package struct RunawayCut: Hashable, Sendable {
    package let vault: VaultID
    /// The caller's id.
    package let caller: String
    package let label: String
    /// `repeated_message` or `mail_loop`.
    package let reason: String
    package var cuts: Int
    /// A sentence about the last one.
    package var detail: String
    package var firstAt: Timestamp
    package var lastAt: Timestamp

    package init(
        vault: VaultID, caller: String, label: String, reason: String, cuts: Int, detail: String, firstAt: Timestamp,
        lastAt: Timestamp
    ) {
        self.vault = vault
        self.caller = caller
        self.label = label
        self.reason = reason
        self.cuts = cuts
        self.detail = detail
        self.firstAt = firstAt
        self.lastAt = lastAt
    }

    /// The same caller and reason, counted together.
    package func adding(_ other: RunawayCut) -> RunawayCut {
        var sum = other.lastAt >= lastAt ? other : self
        sum.cuts = cuts + other.cuts
        sum.firstAt = min(firstAt, other.firstAt)
        return sum
    }
}

package struct RunawayRepository: Sendable {
    /// Seconds without a cut-off after which it is over, and counted anew if it comes back. So long is the alert open.
    package static let episode: Double = 900
    /// Seconds that a row is kept after its last cut-off: 30 days.
    package static let retention: Double = 30 * 86_400

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Instance level: adds to what is written down.
    /// - Parameter cuts: one a caller and reason, in an order that all processes keep.
    package func record(_ cuts: [RunawayCut]) async throws {
        try await database.write { connection in
            for cut in cuts {
                let end = cut.firstAt.adding(seconds: -Self.episode).milliseconds
                try connection.execute(
                    """
                    INSERT INTO runaway_cuts (vault_id, caller_id, caller_label, reason, cuts, detail, first_at, last_at)
                    VALUES (\(cut.vault.text), \(cut.caller), \(cut.label), \(cut.reason), \(cut.cuts), \(cut.detail),
                        \(cut.firstAt.milliseconds), \(cut.lastAt.milliseconds))
                    ON CONFLICT (vault_id, caller_id, reason) DO UPDATE SET
                        caller_label = excluded.caller_label, detail = excluded.detail,
                        cuts = CASE WHEN runaway_cuts.last_at < \(end) THEN excluded.cuts
                            ELSE runaway_cuts.cuts + excluded.cuts END,
                        first_at = CASE WHEN runaway_cuts.last_at < \(end) THEN excluded.first_at
                            ELSE runaway_cuts.first_at END,
                        last_at = CASE WHEN runaway_cuts.last_at > excluded.last_at THEN runaway_cuts.last_at
                            ELSE excluded.last_at END
                    """)
            }
        }
    }

    /// Instance level: who was cut off since a time, the latest first.
    package func cuts(since time: Timestamp, limit: Int) async throws -> [RunawayCut] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT vault_id, caller_id, caller_label, reason, cuts, detail, first_at, last_at FROM runaway_cuts
                WHERE last_at > \(time.milliseconds) ORDER BY last_at DESC LIMIT \(limit)
                """
            ).map(Self.cut)
        }
    }

    /// Instance level: forgets what is over for long.
    /// - Returns: how many rows were forgotten.
    package func dropOld(at now: Timestamp, limit: Int) async throws -> Int {
        let time = now.adding(seconds: -Self.retention).milliseconds
        // Who is cut off at this moment keeps its row: others take the rows in another order than ours.
        return try await database.write { connection in
            try connection.execute(
                """
                DELETE FROM runaway_cuts WHERE (vault_id, caller_id, reason) IN (
                    SELECT vault_id, caller_id, reason FROM runaway_cuts WHERE last_at < \(time)
                    ORDER BY last_at LIMIT \(limit) /* skip locked */)
                """)
        }
    }

    private static func cut(_ row: SQLRow) throws(SQLError) -> RunawayCut {
        RunawayCut(
            vault: VaultID(stored: try row.text(0)), caller: try row.text(1), label: try row.text(2),
            reason: try row.text(3), cuts: Int(try row.integer(4)), detail: try row.text(5),
            firstAt: Timestamp(milliseconds: try row.integer(6)), lastAt: Timestamp(milliseconds: try row.integer(7)))
    }
}
