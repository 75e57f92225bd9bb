// The durable queue between yes and the route: claimed by leases, in batches, fairly among vaults.

package import Model
package import SQL

/// A message that could go now.
package struct ReadyMessage: Sendable {
    package let id: MessageID
    package let vault: VaultID
    package let route: RouteName
    /// Attempts so far.
    package let attempts: Int
}

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

    /// How a message is taken up.
    package enum Claim: Sendable {
        /// Leased to this process, in flight from now on; the event says that an attempt begins.
        case attempt(MessageEvent)
        /// Nothing is left to do but this step: no lease, no second transaction.
        case settle(MessageMove)
    }

    /// Takes up ready messages: fairly among vaults, the highest priority of each first.
    ///
    /// A lease that runs out makes its message ready again: a crash loses nothing.
    /// - Parameters:
    ///   - limit: messages in all.
    ///   - share: messages of one vault at most, less what it has in hand already (`inHand`).
    ///   - except: messages that this process has in hand still, though their lease ran out.
    ///   - decide: how to take up one message.
    /// - Returns: what was leased, and how many messages were taken up in all.
    package func claim(
        at now: Timestamp,
        lease: Timestamp,
        limit: Int,
        share: Int,
        inHand: [VaultID: Int],
        except: Set<MessageID> = [],
        decide: @escaping @Sendable (ReadyMessage) -> Claim
    ) async throws -> (leased: [ClaimedMessage], count: Int) {
        try await database.write { [owner] connection in
            try connection.execute(
                """
                UPDATE outbox SET ready = 1, lease_owner = NULL
                WHERE ready = 0 AND due_at <= \(now.milliseconds)
                """)
            var leased: [ClaimedMessage] = []
            var count = 0
            for vault in try Self.readyVaults(connection) {
                let room = min(limit - count, share - inHand[vault, default: 0])
                guard room > 0 else { continue }
                for ready in try Self.ready(in: vault, limit: room, connection) where !except.contains(ready.id) {
                    count += 1
                    switch decide(ready) {
                    case .attempt(let event):
                        if let message = try Self.lease(ready, to: owner, at: now, until: lease, event, connection) {
                            leased.append(message)
                        }
                    case .settle(let move):
                        if try !MessageRepository.apply(move, connection) { try Self.drop(ready.id, connection) }
                    }
                }
            }
            return (leased, count)
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

    private static func ready(
        in vault: VaultID,
        limit: Int,
        _ connection: any SQLConnection
    ) throws -> [ReadyMessage] {
        try connection.rows(
            """
            SELECT outbox.message_id, smtp_relay_logs.route, smtp_relay_logs.attempts
            FROM outbox JOIN smtp_relay_logs ON smtp_relay_logs.id = outbox.message_id
            WHERE outbox.vault_id = \(vault.text) AND outbox.ready = 1
            ORDER BY outbox.priority DESC, outbox.due_at LIMIT \(limit)
            """
        ).map { row in
            guard let route = RouteName(rawValue: try row.text(1)) else {
                throw SQLError(.unexpectedValue, "a message's route is unknown")
            }
            return ReadyMessage(
                id: MessageID(stored: try row.text(0)), vault: vault, route: route, attempts: Int(try row.integer(2)))
        }
    }

    private static func lease(
        _ ready: ReadyMessage,
        to owner: String,
        at now: Timestamp,
        until lease: Timestamp,
        _ event: MessageEvent,
        _ connection: any SQLConnection
    ) throws -> ClaimedMessage? {
        guard
            let row = try connection.row(
                """
                UPDATE smtp_relay_logs SET status = 'in_flight', attempts = attempts + 1,
                    updated_at = \(now.milliseconds)
                WHERE id = \(ready.id.text) AND status IN ('scheduled', 'queued', 'in_flight')
                RETURNING sender, recipient, payload_id, attempts, deadline_at, created_at
                """)
        else {
            try drop(ready.id, connection)
            return nil
        }
        try connection.execute(
            """
            UPDATE outbox SET ready = 0, due_at = \(lease.milliseconds), lease_owner = \(owner)
            WHERE message_id = \(ready.id.text)
            """)
        try MessageRepository.insert(event, of: ready.id, in: ready.vault, connection)
        return ClaimedMessage(
            id: ready.id, vault: ready.vault, route: ready.route, sender: try row.text(0), recipient: try row.text(1),
            payload: PayloadID(stored: try row.text(2)), attempt: Int(try row.integer(3)),
            deadline: Timestamp(milliseconds: try row.integer(4)),
            createdAt: Timestamp(milliseconds: try row.integer(5)))
    }

    /// The log is the truth: an entry whose message has ended has no business in the outbox.
    private static func drop(_ id: MessageID, _ connection: any SQLConnection) throws(SQLError) {
        try connection.execute("DELETE FROM outbox WHERE message_id = \(id.text)")
    }
}
