// Taking work from the outbox: several processes at a time, no message twice.

package import Model
import SQL

extension OutboxRepository {
    /// How a message is taken up.
    package enum Claim: Sendable {
        /// Leased to this process, in flight from now on; the event says that an attempt begins.
        case attempt(MessageEvent)
        /// Leased to this process, and queued until the next hop has it.
        case handOver
        /// Nothing is left to do but this step: no lease, no second transaction.
        case settle(MessageMove)
    }

    /// Takes up ready messages: fairly among vaults, the highest priority of each first.
    ///
    /// A lease that runs out makes its message ready again: a crash loses nothing.
    /// - Parameters:
    ///   - limit: messages in all.
    ///   - share: messages of one vault at most, less what it has in hand already (`inHand`).
    ///   - unavailable: routes that cannot take anything at the moment; what goes by them stays where it is.
    ///   - except: messages that this process has in hand still, though their lease ran out.
    ///   - decide: how to take up one message.
    /// - Returns: what was leased, and how many messages were taken up in all.
    package func claim(
        at now: Timestamp,
        lease: Timestamp,
        limit: Int,
        share: Int,
        inHand: [VaultID: Int],
        unavailable: Set<RouteName> = [],
        except: Set<MessageID> = [],
        decide: @escaping @Sendable (ReadyMessage) -> Claim
    ) async throws -> (leased: [ClaimedMessage], count: Int) {
        try await database.write { [owner] connection in
            try connection.execute(
                """
                UPDATE outbox SET ready = 1, lease_owner = NULL WHERE message_id IN (
                    SELECT message_id FROM outbox WHERE ready = 0 AND due_at <= \(now.milliseconds)
                    ORDER BY due_at LIMIT 10000 /* skip locked */)
                """)
            var leased: [ClaimedMessage] = []
            var handOvers: [ReadyMessage] = []
            var count = 0
            var taken = inHand
            for (vault, route) in try Self.readyRoutes(connection) where !unavailable.contains(route) {
                let room = min(limit - count, share - taken[vault, default: 0])
                guard room > 0 else { continue }
                for ready in try Self.ready(in: vault, by: route, limit: room, connection)
                where !except.contains(ready.id) {
                    taken[vault, default: 0] += 1
                    count += 1
                    switch decide(ready) {
                    case .attempt(let event):
                        if let message = try Self.lease(ready, to: owner, at: now, until: lease, event, connection) {
                            leased.append(message)
                        }
                    case .handOver: handOvers.append(ready)
                    case .settle(let move):
                        if try !MessageRepository.apply(move, connection) { try Self.drop(ready.id, connection) }
                    }
                }
            }
            leased += try Self.lease(handOvers, to: owner, at: now, until: lease, connection)
            return (leased, count)
        }
    }

    /// Each vault and route that has something ready, found by jumping along the index from one to the next. What a vault has
    /// that is not in use stays where it is; of an unknown vault, which there cannot be, all goes on.
    private static func readyRoutes(_ connection: any SQLConnection) throws -> [(VaultID, RouteName)] {
        var found: [(VaultID, RouteName)] = []
        var last = (vault: "", route: "")
        while let next = try connection.row(
            """
            SELECT vault_id, route, (SELECT state FROM vaults WHERE vaults.id = outbox.vault_id) FROM outbox
            WHERE ready = 1 AND (vault_id, route) > (\(last.vault), \(last.route))
            ORDER BY vault_id, route LIMIT 1
            """)
        {
            last = (try next.text(0), try next.text(1))
            if let state = try next.optionalText(2), state != VaultState.active.rawValue { continue }
            guard let route = RouteName(rawValue: last.route) else {
                throw SQLError(.unexpectedValue, "a message's route is unknown")
            }
            found.append((VaultID(stored: last.vault), route))
        }
        return found.shuffled()
    }

    private static func ready(
        in vault: VaultID,
        by route: RouteName,
        limit: Int,
        _ connection: any SQLConnection
    ) throws -> [ReadyMessage] {
        try connection.rows(
            """
            SELECT message_id, (SELECT attempts FROM smtp_relay_logs WHERE id = message_id)
            FROM outbox WHERE outbox.vault_id = \(vault.text) AND outbox.route = \(route.rawValue) AND outbox.ready = 1
            ORDER BY outbox.priority DESC, outbox.due_at LIMIT \(limit) /* skip locked */
            """
        ).map { row in
            ReadyMessage(
                id: MessageID(stored: try row.text(0)), vault: vault, route: route, attempts: Int(try row.integer(1)))
        }
    }

    /// That a message has not ended, put so that the planner does not take the index of all open messages for it: that one is
    /// for what is overdue, and may hold all that is in MailerQ's hands.
    private static let isOpen: SQLStatement =
        "status NOT IN ('delivered', 'bounced', 'failed', 'expired', 'captured', 'cancelled')"

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
                WHERE id = \(ready.id.text) AND \(isOpen)
                RETURNING sender, recipient, payload_id, attempts, deadline_at, created_at
                """)
        else {
            try drop(ready.id, connection)
            return nil
        }
        try connection.send(
            """
            UPDATE outbox SET ready = 0, due_at = \(lease.milliseconds), lease_owner = \(owner)
            WHERE message_id = \(ready.id.text)
            """)
        try MessageRepository.insert(event, of: ready.id, in: ready.vault, connection)
        return try message(ready, row)
    }

    /// Leases many messages with three statements, however many they are.
    private static func lease(
        _ ready: [ReadyMessage],
        to owner: String,
        at now: Timestamp,
        until lease: Timestamp,
        _ connection: any SQLConnection
    ) throws -> [ClaimedMessage] {
        guard !ready.isEmpty else { return [] }
        let ids = padded(ready.map(\.id))
        let places = Dictionary(
            uniqueKeysWithValues: ready.enumerated().map { place, ready in (ready.id.text, place) })
        // RETURNING gives its rows in any order, and the most urgent shall go first.
        let rows = try connection.rows(
            """
            UPDATE smtp_relay_logs SET attempts = attempts + 1, updated_at = \(now.milliseconds),
                status = CASE WHEN status = 'scheduled' THEN 'queued' ELSE status END
            WHERE id IN \(list: ids) AND \(isOpen)
            RETURNING sender, recipient, payload_id, attempts, deadline_at, created_at, id
            """
        )
        let claimed = try rows.compactMap { row in try places[row.text(6)].map { ($0, row) } }
            .sorted { $0.0 < $1.0 }
            .map { place, row in try message(ready[place], row) }
        try connection.send(
            """
            UPDATE outbox SET ready = 0, due_at = \(lease.milliseconds), lease_owner = \(owner)
            WHERE message_id IN \(list: ids)
            """)
        if claimed.count < ready.count {
            let taken = Set(claimed.map(\.id))
            for gone in ready where !taken.contains(gone.id) { try drop(gone.id, connection) }
        }
        return claimed
    }

    private static func message(_ ready: ReadyMessage, _ row: SQLRow) throws -> ClaimedMessage {
        ClaimedMessage(
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
