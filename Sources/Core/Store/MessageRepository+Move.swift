// Moving messages on: a new status, the event that says why, and the outbox entry, always in one commit.

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

    package init(
        message: MessageID,
        vault: VaultID,
        status: MessageStatus,
        event: MessageEvent,
        outbox: Outbox,
        reply: Foreign<String>? = nil
    ) {
        self.message = message
        self.vault = vault
        self.status = status
        self.event = event
        self.outbox = outbox
        self.reply = reply
    }
}

extension MessageRepository {
    /// Takes the steps that the state machine allows; a step that comes too late changes nothing.
    /// - Returns: the messages that moved.
    @discardableResult
    package func move(_ moves: [MessageMove]) async throws -> Set<MessageID> {
        try await database.write { connection in
            var moved: Set<MessageID> = []
            for move in moves where try Self.apply(move, connection) { moved.insert(move.message) }
            return moved
        }
    }

    /// Stops a message that has not left yet.
    /// - Returns: the message afterwards and whether it moved; `nil` when there is none of this id.
    package func cancel(
        _ id: MessageID,
        in vault: VaultID,
        event: MessageEvent
    ) async throws -> (message: Message, moved: Bool)? {
        try await database.write { connection in
            guard let before = try Self.find(id, in: vault, connection) else { return nil }
            let move = MessageMove(
                message: id, vault: vault, status: .cancelled, event: event.after(attempts: before.attempts),
                outbox: .remove)
            let moved = try Self.apply(move, connection)
            return try Self.find(id, in: vault, connection).map { ($0, moved) }
        }
    }

    /// Puts a message that did not arrive into the outbox again, with a new deadline.
    package func retry(
        _ id: MessageID,
        in vault: VaultID,
        event: MessageEvent,
        deadline: Timestamp
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
                if pulled == 1 { try Self.insert(event, of: id, in: vault, connection) }
                return (before, pulled == 1)
            }
            let move = MessageMove(message: id, vault: vault, status: .queued, event: event, outbox: .remove)
            guard before.status.isFinal, try Self.apply(move, connection) else { return (before, false) }
            try connection.execute(
                "UPDATE smtp_relay_logs SET deadline_at = \(deadline.milliseconds) WHERE id = \(id.text)")
            try connection.execute(
                """
                INSERT INTO outbox (message_id, vault_id, priority, ready, due_at, lease_owner)
                SELECT id, vault_id, priority, 1, \(event.at.milliseconds), NULL FROM smtp_relay_logs
                WHERE id = \(id.text)
                """)
            return try Self.find(id, in: vault, connection).map { ($0, true) }
        }
    }

    static func apply(_ move: MessageMove, _ connection: any SQLConnection) throws(SQLError) -> Bool {
        var origins = MessageStatus.allCases.filter { $0.canBecome(move.status) }
        var fence: SQLStatement = ""
        if case .retry(_, let attempt) = move.outbox {
            // What has ended is sent again only because a person says so, never because an attempt comes back late.
            origins.removeAll(where: \.isFinal)
            fence = "AND attempts = \(attempt)"
        }
        let moved = try connection.execute(
            """
            UPDATE smtp_relay_logs SET status = \(move.status.rawValue), updated_at = \(move.event.at.milliseconds),
                last_reply = COALESCE(\(move.reply?.asData()), last_reply)
            WHERE id = \(move.message.text) AND vault_id = \(move.vault.text) AND status IN \(list: origins.map(\.rawValue)) \(fence)
            """)
        guard moved == 1 else { return false }
        try insert(move.event, of: move.message, in: move.vault, connection)
        switch move.outbox {
        case .remove:
            try connection.execute("DELETE FROM outbox WHERE message_id = \(move.message.text)")
        case .retry(let time, _):
            try connection.execute(
                """
                UPDATE outbox SET ready = 0, due_at = \(time.milliseconds), lease_owner = NULL
                WHERE message_id = \(move.message.text)
                """)
        }
        return true
    }

    static func insert(
        _ event: MessageEvent,
        of message: MessageID,
        in vault: VaultID,
        _ connection: any SQLConnection
    ) throws(SQLError) {
        try connection.execute(
            """
            INSERT INTO message_events (message_id, id, vault_id, type, at, attempt, route, detail) VALUES
                (\(message.text), \(event.id.text), \(vault.text), \(event.type.rawValue), \(event.at.milliseconds),
                \(event.attempt), \(event.route?.rawValue), \(event.detail?.asData()))
            """)
    }
}
