// Results that belong to no message of ours: kept so that somebody can wonder about them, and never too many.

package import Model
package import SQL

package struct Orphan: Sendable {
    package let id: OrphanID
    /// The queue that it came from.
    package let queue: String
    /// Why it could not be matched, in our own words.
    package let reason: String
    /// The id that the result named, where it named one.
    package let reference: String?
    package let recipientDomain: String?
    package let code: Int?
    /// The result as it came, for whoever looks into the database; nothing shows it.
    package let body: [UInt8]?
    package let receivedAt: Timestamp

    package init(
        id: OrphanID, queue: String, reason: String, reference: String?, recipientDomain: String?, code: Int?,
        body: [UInt8]?, receivedAt: Timestamp
    ) {
        self.id = id
        self.queue = queue
        self.reason = reason
        self.reference = reference
        self.recipientDomain = recipientDomain
        self.code = code
        self.body = body
        self.receivedAt = receivedAt
    }
}

/// Instance level, all of it: an orphan has no vault.
package struct OrphanRepository: Sendable {
    /// The newest so many are kept.
    package static let limit = 10_000
    /// Bytes of a body, and of a reference: both are a stranger's.
    private static let bodyLimit = 64 * 1024
    private static let textLimit = 256

    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    package func insert(_ orphans: [Orphan]) async throws {
        try await database.write { connection in try Self.insert(orphans, connection) }
    }

    /// Within somebody's transaction.
    package static func insert(
        _ orphans: [Orphan],
        keeping limit: Int = OrphanRepository.limit,
        _ connection: any SQLConnection
    ) throws(SQLError) {
        guard !orphans.isEmpty else { return }
        for orphan in orphans.suffix(limit) {
            let body = orphan.body.map { Array($0.prefix(bodyLimit)) }
            try connection.send(
                """
                INSERT INTO orphan_results (id, queue, reason, reference, recipient_domain, code, body, received_at)
                VALUES (\(orphan.id.text), \(orphan.queue), \(orphan.reason), \(short(orphan.reference)),
                    \(short(orphan.recipientDomain)), \(orphan.code), \(body), \(orphan.receivedAt.milliseconds))
                """)
        }
        // Ids begin with their time, so the oldest are those beyond the limit.
        try connection.execute(
            """
            DELETE FROM orphan_results WHERE id <= (SELECT id FROM orphan_results ORDER BY id DESC
                LIMIT 1 OFFSET \(limit))
            """)
    }

    /// The newest first, without their bodies.
    /// - Parameter before: the last id of the page before.
    package func list(before: OrphanID?, limit: Int) async throws -> [Orphan] {
        try await database.read { connection in
            var conditions: SQLStatement = "1 = 1"
            if let before { conditions = "id < \(before.text)" }
            return try connection.rows(
                """
                SELECT id, queue, reason, reference, recipient_domain, code, received_at FROM orphan_results
                WHERE \(conditions) ORDER BY id DESC LIMIT \(limit)
                """
            ).map { row in
                Orphan(
                    id: OrphanID(stored: try row.text(0)), queue: try row.text(1), reason: try row.text(2),
                    reference: try row.optionalText(3), recipientDomain: try row.optionalText(4),
                    code: try row.optionalInteger(5).map { Int($0) }, body: nil,
                    receivedAt: Timestamp(milliseconds: try row.integer(6)))
            }
        }
    }

    package func count() async throws -> Int {
        try await database.read { connection in
            Int(try connection.row("SELECT COUNT(*) FROM orphan_results")?.integer(0) ?? 0)
        }
    }

    private static func short(_ text: String?) -> String? {
        // PostgreSQL takes no NUL in a text.
        text.map { String($0.unicodeScalars.filter { $0 != "\0" }.prefix(textLimit).map(Character.init)) }
    }
}
