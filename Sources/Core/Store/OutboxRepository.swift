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

/// A message that the next hop has, and the event that says so.
package struct HandOver: Sendable {
    package let message: ClaimedMessage
    package let event: MessageEvent

    package init(message: ClaimedMessage, event: MessageEvent) {
        self.message = message
        self.event = event
    }
}

package struct OutboxRepository: Sendable {
    let database: any SQLDatabase
    /// The process that claims.
    let owner: String

    package init(database: any SQLDatabase, owner: String) {
        self.database = database
        self.owner = owner
    }

    /// Writes down that the next hop has these messages: in flight until its results come.
    ///
    /// A result may have been faster than this. Then the message stays where the result put it, and the fact is told already.
    package func handedOver(_ handOvers: [HandOver]) async throws {
        try await database.write { [owner] connection in
            let ids = Self.padded(handOvers.map(\.message.id))
            // The log's rows first, in the order of their ids, as whoever writes down results does.
            _ = try connection.rows("SELECT id FROM smtp_relay_logs WHERE id IN \(list: ids) ORDER BY id /* lock */")
            let at = handOvers.map(\.event.at).max()?.milliseconds ?? 0
            // `|| ''` keeps the planner at the primary key: the index of open messages would be read from end to end.
            try connection.send(
                """
                UPDATE smtp_relay_logs SET status = 'in_flight', updated_at = \(at)
                WHERE id IN \(list: ids) AND status || '' = 'queued'
                """)
            try connection.send(
                "DELETE FROM outbox WHERE message_id IN \(list: ids) AND lease_owner = \(owner)")
            for handOver in handOvers {
                try connection.send(
                    MessageRepository.insertion(
                        of: handOver.event, by: handOver.message.route.rawValue,
                        origin: MessageRepository.relayedOrigin(handOver.message.attempt), of: handOver.message.id,
                        in: handOver.message.vault))
            }
        }
    }

    /// Puts back what could not even be tried: not an attempt, and nothing for the timeline.
    package func giveBack(_ messages: [MessageID], until due: Timestamp) async throws {
        try await database.write { [owner] connection in
            let ids = Self.padded(messages)
            try connection.send(
                """
                UPDATE smtp_relay_logs SET attempts = attempts - 1 WHERE id IN (
                    SELECT message_id FROM outbox WHERE message_id IN \(list: ids) AND lease_owner = \(owner))
                """)
            try connection.send(
                """
                UPDATE outbox SET ready = 0, due_at = \(due.milliseconds), lease_owner = NULL
                WHERE message_id IN \(list: ids) AND lease_owner = \(owner)
                """)
        }
    }

    /// Holds on to messages that take longer than a lease.
    package func renew(_ messages: [MessageID], until lease: Timestamp) async throws {
        try await database.write { [owner] connection in
            for message in messages.sorted() {
                try connection.send(
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

    /// Ids for a list, with the last one repeated up to a power of two: a few statements are prepared, not one a length.
    static func padded(_ ids: [MessageID]) -> [String] {
        guard let last = ids.last else { return [] }
        var size = 1
        while size < ids.count { size *= 2 }
        return ids.map(\.text) + Array(repeating: last.text, count: size - ids.count)
    }
}
