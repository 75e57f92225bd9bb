// Instance-level upkeep: messages past their deadline, idempotency keys past their time, the process's number.

package import Model
package import SQL

package struct HousekeepingRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Messages that have not ended and should have, oldest deadline first; not those that somebody has in hand.
    /// - Parameter patience: seconds past the deadline that a next hop gets for its report of a message that it took over.
    package func overdue(at now: Timestamp, patience: Double, limit: Int) async throws -> [Message] {
        let reported = now.adding(seconds: -patience)
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT \(MessageRepository.columns) FROM smtp_relay_logs
                WHERE status IN ('scheduled', 'queued', 'in_flight') AND deadline_at <= \(now.milliseconds)
                    AND (deadline_at <= \(reported.milliseconds) OR status <> 'in_flight'
                        OR EXISTS (SELECT 1 FROM outbox WHERE outbox.message_id = smtp_relay_logs.id))
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
            _ = try Self.bury(at: now, connection)
            let taken = Set(
                try connection.rows("SELECT number FROM processes").map { Int(try $0.integer(0)) })
            // Two processes may see the same gap. The one that comes second waits for the first's commit, and gets nothing.
            for number in 0..<1024 where !taken.contains(number) {
                let inserted = try connection.execute(
                    """
                    INSERT INTO processes (number, owner, lease_until) VALUES (\(number), \(owner), \(lease.milliseconds))
                    ON CONFLICT (number) DO NOTHING
                    """)
                if inserted == 1 { return number }
            }
            return nil
        }
    }

    /// Frees what processes hold whose lease ran out: they were killed, or are cut off.
    /// - Returns: how many messages go back to the outbox.
    package func buryProcesses(at now: Timestamp) async throws -> Int {
        try await database.write { connection in try Self.bury(at: now, connection) }
    }

    private static func bury(at now: Timestamp, _ connection: any SQLConnection) throws(SQLError) -> Int {
        let dead = try connection.rows(
            "DELETE FROM processes WHERE lease_until <= \(now.milliseconds) RETURNING owner")
        var freed = 0
        for row in dead {
            freed += try connection.execute(
                "UPDATE outbox SET ready = 1, lease_owner = NULL WHERE ready = 0 AND lease_owner = \(row.text(0))")
        }
        return freed
    }

    /// Takes or keeps a duty that one process at a time may have, until the lease ends.
    /// - Returns: whether it is this owner's now.
    package func holdDuty(_ name: String, owner: String, at now: Timestamp, until lease: Timestamp) async throws -> Bool
    {
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO duties (name, owner, lease_until) VALUES (\(name), \(owner), \(lease.milliseconds))
                ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, lease_until = excluded.lease_until
                WHERE duties.owner = \(owner) OR duties.lease_until <= \(now.milliseconds)
                """) == 1
        }
    }

    /// Gives up every duty of this owner, so that another process need not wait for the leases.
    package func releaseDuties(of owner: String) async throws {
        try await database.write { connection in
            try connection.execute("DELETE FROM duties WHERE owner = \(owner)")
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
