// The durable queue between yes and the route: claimed by leases, in batches, fairly among vaults.

package import Model
package import SQL

/// A message that this process holds until its lease ends.
package struct ClaimedMessage: Sendable {
    package let id: MessageID
    package let vault: VaultID
    package let route: RouteName
    package let sender: String
    package let recipient: String
    package let payload: PayloadID
    /// The number of this attempt, from 1.
    package let attempt: Int
    package let deadline: Timestamp
    package let createdAt: Timestamp
}

package struct OutboxRepository: Sendable {
    private let database: any SQLDatabase
    /// The process that claims.
    private let owner: String

    package init(database: any SQLDatabase, owner: String) {
        self.database = database
        self.owner = owner
    }

    /// Claims ready messages for a time and marks them as in flight.
    ///
    /// A lease that runs out makes its message ready again: a crash loses nothing.
    /// - Parameters:
    ///   - limit: messages in all.
    ///   - share: messages of one vault at most, less what it has in hand already (`inHand`).
    ///   - makeEvent: the event for an attempt that begins.
    package func claim(
        at now: Timestamp,
        lease: Timestamp,
        limit: Int,
        share: Int,
        inHand: [VaultID: Int],
        makeEvent: @escaping @Sendable (RouteName, _ attempt: Int) -> MessageEvent
    ) async throws -> [ClaimedMessage] {
        try await database.write { [owner] connection in
            try connection.execute(
                """
                UPDATE outbox SET ready = 1, lease_owner = NULL
                WHERE ready = 0 AND due_at <= \(now.milliseconds)
                """)
            var claimed: [ClaimedMessage] = []
            for vault in try Self.readyVaults(connection) {
                let count = min(limit - claimed.count, share - inHand[vault, default: 0])
                guard count > 0 else { continue }
                let ids = try connection.rows(
                    """
                    UPDATE outbox SET ready = 0, due_at = \(lease.milliseconds), lease_owner = \(owner)
                    WHERE message_id IN (SELECT message_id FROM outbox WHERE vault_id = \(vault.text) AND ready = 1
                        ORDER BY priority DESC, due_at LIMIT \(count))
                    RETURNING message_id
                    """
                ).map { try $0.text(0) }
                claimed += try Self.take(ids, at: now, makeEvent, connection)
            }
            return claimed
        }
    }

    /// Holds on to messages that take longer than a lease.
    package func renew(_ messages: [MessageID], until lease: Timestamp) async throws {
        try await database.write { [owner] connection in
            for message in messages {
                try connection.execute(
                    """
                    UPDATE outbox SET due_at = \(lease.milliseconds)
                    WHERE message_id = \(message.text) AND lease_owner = \(owner)
                    """)
            }
        }
    }

    /// When the next waiting message becomes due.
    package func nextDue() async throws -> Timestamp? {
        try await database.read { connection in
            try connection.row("SELECT MIN(due_at) FROM outbox WHERE ready = 0")?.optionalInteger(0)
                .map(Timestamp.init(milliseconds:))
        }
    }

    /// Instance level: frees what other owners hold, when it is certain that none of them lives.
    package func releaseOthers() async throws {
        try await database.write { [owner] connection in
            try connection.execute(
                """
                UPDATE outbox SET ready = 1, lease_owner = NULL WHERE lease_owner IS NOT NULL AND lease_owner <> \(owner)
                """)
        }
    }

    /// Messages that wait for their time (or are in hand), and messages that could go now.
    package func depth() async throws -> (waiting: Int, ready: Int) {
        try await database.read { connection in
            let row = try connection.row("SELECT COUNT(*), COALESCE(SUM(ready), 0) FROM outbox")
            let all = Int(try row?.integer(0) ?? 0)
            let ready = Int(try row?.integer(1) ?? 0)
            return (all - ready, ready)
        }
    }

    /// Each vault that has something ready, found by jumping along the index from one to the next.
    private static func readyVaults(_ connection: any SQLConnection) throws -> [VaultID] {
        var vaults: [VaultID] = []
        var last = ""
        while let next = try connection.row(
            "SELECT vault_id FROM outbox WHERE ready = 1 AND vault_id > \(last) ORDER BY vault_id LIMIT 1")
        {
            last = try next.text(0)
            vaults.append(VaultID(stored: last))
        }
        return vaults.shuffled()
    }

    private static func take(
        _ ids: [String],
        at now: Timestamp,
        _ makeEvent: (RouteName, Int) -> MessageEvent,
        _ connection: any SQLConnection
    ) throws -> [ClaimedMessage] {
        var claimed: [ClaimedMessage] = []
        for id in ids {
            let message = MessageID(stored: id)
            guard
                let row = try connection.row(
                    """
                    UPDATE smtp_relay_logs SET status = 'in_flight', attempts = attempts + 1, updated_at = \(now.milliseconds)
                    WHERE id = \(id) AND status IN ('scheduled', 'queued', 'in_flight')
                    RETURNING vault_id, route, sender, recipient, payload_id, attempts, deadline_at, created_at
                    """)
            else {
                // The log is the truth: an entry whose message has ended has no business here.
                try connection.execute("DELETE FROM outbox WHERE message_id = \(id)")
                continue
            }
            guard let route = RouteName(rawValue: try row.text(1)) else {
                throw SQLError(.unexpectedValue, "a message's route is unknown")
            }
            let vault = VaultID(stored: try row.text(0))
            let attempt = Int(try row.integer(5))
            try MessageRepository.insert(makeEvent(route, attempt), of: message, in: vault, connection)
            claimed.append(
                ClaimedMessage(
                    id: message, vault: vault, route: route, sender: try row.text(2), recipient: try row.text(3),
                    payload: PayloadID(stored: try row.text(4)), attempt: attempt,
                    deadline: Timestamp(milliseconds: try row.integer(6)),
                    createdAt: Timestamp(milliseconds: try row.integer(7))))
        }
        return claimed
    }
}
