// Moving messages on: a new status, the event that says why, and the outbox entry, always in one commit.

import JSON
package import Model
import SQL

/// A step that a message is to take.
package struct MessageMove: Sendable {
    package enum Outbox: Sendable {
        /// The message has come to its end.
        case remove
        /// The next try, not before this time; unless another attempt than this one has begun meanwhile.
        case retry(at: Timestamp, after: Int)
    }

    package let message: MessageID
    package let vault: VaultID
    package let status: MessageStatus
    package let event: MessageEvent
    package let outbox: Outbox
    package let reply: Foreign<String>?
    /// The SMTP reply code and the enhanced code behind a failure, where there was one.
    package let code: Int?
    package let enhancedCode: String?

    package init(
        message: MessageID,
        vault: VaultID,
        status: MessageStatus,
        event: MessageEvent,
        outbox: Outbox,
        reply: Foreign<String>? = nil,
        code: Int? = nil,
        enhancedCode: String? = nil
    ) {
        self.message = message
        self.vault = vault
        self.status = status
        self.event = event
        self.outbox = outbox
        self.reply = reply
        self.code = code
        self.enhancedCode = enhancedCode
    }
}

extension MessageRepository {
    /// Takes the steps that the state machine allows; a step that comes too late changes nothing.
    /// - Returns: the messages that moved.
    @discardableResult
    package func move(_ moves: [MessageMove]) async throws -> Set<MessageID> {
        try await database.write { connection in
            var moved: Set<MessageID> = []
            // In the order of their ids, as everyone takes the log's rows: two writers never wait for each other.
            for move in moves.sorted(by: { $0.message < $1.message }) where try Self.apply(move, connection) {
                moved.insert(move.message)
            }
            return moved
        }
    }

    /// Stops a message that has not left yet.
    /// - Returns: the message afterwards and whether it moved; `nil` when there is none of this id.
    package func cancel(
        _ id: MessageID,
        in vault: VaultID,
        event: MessageEvent,
        audit: @escaping AuditMaker
    ) async throws -> (message: Message, moved: Bool)? {
        try await database.write { connection in
            guard let before = try Self.find(id, in: vault, connection) else { return nil }
            // What a route has in hand may be on the wire already, though it is still called queued.
            guard try !Self.isInHand(id, connection) else { return (before, false) }
            let move = MessageMove(
                message: id, vault: vault, status: .cancelled, event: event.after(attempts: before.attempts),
                outbox: .remove)
            let moved = try Self.apply(move, connection)
            let after = try Self.find(id, in: vault, connection)
            if moved { try Self.record(before, after, audit, connection) }
            return after.map { ($0, moved) }
        }
    }

    /// Puts a message that did not arrive into the outbox again, with a new deadline.
    package func retry(
        _ id: MessageID,
        in vault: VaultID,
        event: MessageEvent,
        deadline: Timestamp,
        audit: @escaping AuditMaker
    ) async throws -> (message: Message, moved: Bool)? {
        try await database.write { connection in
            guard let before = try Self.find(id, in: vault, connection) else { return nil }
            let event = event.after(attempts: before.attempts)
            // A message on its way is pulled forward; one that ended starts again.
            if before.status == .queued {
                let pulled = try connection.execute(
                    """
                    UPDATE outbox SET ready = 1, due_at = \(event.at.milliseconds)
                    WHERE message_id = \(id.text) AND lease_owner IS NULL
                    """)
                if pulled == 1 {
                    try Self.insert(event, of: id, in: vault, connection)
                    try Self.record(before, before, audit, connection)
                }
                return (before, pulled == 1)
            }
            guard before.status.isFinal, try Self.restart(id, in: vault, event, deadline: deadline, connection) else {
                return (before, false)
            }
            let after = try Self.find(id, in: vault, connection)
            try Self.record(before, after, audit, connection)
            return after.map { ($0, true) }
        }
    }

    /// Writes down that somebody moved a message by hand.
    private static func record(
        _ before: Message,
        _ after: Message?,
        _ audit: AuditMaker,
        _ connection: any SQLConnection
    ) throws {
        func state(_ message: Message) -> JSONValue {
            .object(JSONObject(["status": .string(message.status.rawValue), "caller": .string(message.callerLabel)]))
        }
        try connection.record(audit(before.id.text, state(before), after.map(state)), in: before.vault)
    }

    /// Puts a message that ended into the outbox again.
    /// - Returns: false when it is not one that may be sent again.
    static func restart(
        _ id: MessageID,
        in vault: VaultID,
        _ event: MessageEvent,
        deadline: Timestamp,
        _ connection: any SQLConnection
    ) throws(SQLError) -> Bool {
        let move = MessageMove(message: id, vault: vault, status: .queued, event: event, outbox: .remove)
        guard try apply(move, connection) else { return false }
        try connection.execute("DELETE FROM failures WHERE message_id = \(id.text)")
        try connection.execute(
            "UPDATE smtp_relay_logs SET deadline_at = \(deadline.milliseconds) WHERE id = \(id.text)")
        try connection.execute(
            """
            INSERT INTO outbox (message_id, vault_id, route, priority, ready, due_at, lease_owner)
            SELECT id, vault_id, route, priority, 1, \(event.at.milliseconds), NULL FROM smtp_relay_logs
            WHERE id = \(id.text)
            """)
        return true
    }

    /// Whether a route holds a lease on the message.
    static func isInHand(_ id: MessageID, _ connection: any SQLConnection) throws -> Bool {
        try connection.row(
            "SELECT 1 FROM outbox WHERE message_id = \(id.text) AND lease_owner IS NOT NULL") != nil
    }

    static func apply(_ move: MessageMove, _ connection: any SQLConnection) throws(SQLError) -> Bool {
        var origins = MessageStatus.allCases.filter { $0.canBecome(move.status) }
        var fence: SQLStatement = ""
        if case .retry(_, let attempt) = move.outbox {
            // What has ended is sent again only because a person says so, never because an attempt comes back late.
            // A message that was to be handed over is queued still.
            origins.removeAll(where: \.isFinal)
            origins.append(.queued)
            fence = "AND attempts = \(attempt)"
        }
        guard try advance(move, from: origins, fence, connection) else { return false }
        try insert(move.event, of: move.message, in: move.vault, connection)
        return true
    }

    /// The step without its event.
    static func advance(
        _ move: MessageMove,
        from origins: [MessageStatus],
        _ fence: SQLStatement,
        _ connection: any SQLConnection
    ) throws(SQLError) -> Bool {
        // A next hop's report tells of a time that may lie before our last step.
        let at = move.event.at.milliseconds
        let moved = try connection.row(
            """
            UPDATE smtp_relay_logs SET status = \(move.status.rawValue),
                updated_at = CASE WHEN updated_at > \(at) THEN updated_at ELSE \(at) END,
                last_reply = COALESCE(\(move.reply?.asData()), last_reply)
            WHERE id = \(move.message.text) AND vault_id = \(move.vault.text) AND status IN \(list: origins.map(\.rawValue)) \(fence)
            RETURNING recipient, route
            """)
        guard let moved else { return false }
        switch move.outbox {
        case .remove:
            try connection.send("DELETE FROM outbox WHERE message_id = \(move.message.text)")
        case .retry(let time, _):
            try connection.send(
                """
                UPDATE outbox SET ready = 0, due_at = \(time.milliseconds), lease_owner = NULL
                WHERE message_id = \(move.message.text)
                """)
        }
        guard move.status == .bounced || move.status == .failed else { return true }
        let domain = AddressText.domain(of: try moved.text(0)) ?? ""
        try connection.send(
            """
            INSERT INTO failures (message_id, vault_id, code, enhanced_code, domain, route, reason, failed_at)
            VALUES (\(move.message.text), \(move.vault.text), \(move.code), \(move.enhancedCode), \(domain),
                \(try moved.text(1)), \(move.reply?.asData()), \(move.event.at.milliseconds))
            ON CONFLICT (message_id) DO UPDATE SET code = excluded.code, enhanced_code = excluded.enhanced_code,
                reason = excluded.reason, failed_at = excluded.failed_at
            """)
        return true
    }

    static func insert(
        _ event: MessageEvent,
        of message: MessageID,
        in vault: VaultID,
        _ connection: any SQLConnection
    ) throws(SQLError) {
        try connection.send(
            """
            INSERT INTO message_events (message_id, id, vault_id, type, at, attempt, route, detail) VALUES
                (\(message.text), \(event.id.text), \(vault.text), \(event.type.rawValue), \(event.at.milliseconds),
                \(event.attempt), \(event.route?.rawValue), \(event.detail?.asData()))
            """)
    }
}
