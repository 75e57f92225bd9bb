// Instance-level upkeep: messages past their deadline, idempotency keys past their time, the process's number.

package import Model
package import SQL

package struct HousekeepingRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Messages that have not ended and should have, oldest deadline first; not those that somebody has in hand.
    package func overdue(at now: Timestamp, limit: Int) async throws -> [Message] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(MessageRepository.columns) FROM smtp_relay_logs
                WHERE status IN ('scheduled', 'queued', 'in_flight') AND deadline_at <= \(now.milliseconds)
                    AND NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.message_id = smtp_relay_logs.id
                        AND outbox.lease_owner IS NOT NULL AND outbox.due_at > \(now.milliseconds))
                ORDER BY deadline_at LIMIT \(limit)
                """
            ).map(MessageRepository.message)
        }
    }

    /// - Returns: how many idempotency keys were dropped.
    package func dropExpiredKeys(at now: Timestamp, limit: Int) async throws -> Int {
        try await database.write { connection in
            try connection.execute(
                """
                DELETE FROM idempotency_keys WHERE (caller_id, key) IN (SELECT caller_id, key FROM idempotency_keys
                    WHERE expires_at <= \(now.milliseconds) ORDER BY expires_at LIMIT \(limit))
                """)
        }
    }

    /// Takes the lowest free process number (0–1023) for a time.
    /// - Returns: `nil` when all are taken.
    package func claimProcessNumber(owner: String, at now: Timestamp, until lease: Timestamp) async throws -> Int? {
        try await database.write { connection in
            let taken = try connection.rows(
                "SELECT number FROM processes WHERE lease_until > \(now.milliseconds) ORDER BY number"
            ).map { Int(try $0.integer(0)) }
            guard let number = (0..<1024).first(where: { !taken.contains($0) }) else { return nil }
            try connection.execute(
                """
                INSERT INTO processes (number, owner, lease_until) VALUES (\(number), \(owner), \(lease.milliseconds))
                ON CONFLICT (number) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
                """)
            return number
        }
    }

    /// - Returns: false when the number belongs to another process by now.
    package func renewProcessNumber(_ number: Int, owner: String, until lease: Timestamp) async throws -> Bool {
        try await database.write { connection in
            try connection.execute(
                """
                UPDATE processes SET lease_until = \(lease.milliseconds) WHERE number = \(number) AND owner = \(owner)
                """) == 1
        }
    }

    package func releaseProcessNumber(_ number: Int, owner: String) async throws {
        try await database.write { connection in
            try connection.execute("DELETE FROM processes WHERE number = \(number) AND owner = \(owner)")
        }
    }

    /// Whether the database answers.
    package func ping() async throws {
        _ = try await database.read { connection in try connection.row("SELECT 1") }
    }
}
