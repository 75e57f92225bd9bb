// The message log: what is in it. Writing it on acceptance, moving it on and searching it stand in files of their own.

import JSON
package import Model
package import SQL

package struct MessageRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    static let columns: SQLStatement = """
        id, correlation_id, vault_id, caller_id, caller_label, door, sender, recipient, subject, status, route, tags, size,
        attempts, last_reply, send_at, deadline_at, created_at, updated_at
        """

    package func find(_ id: MessageID, in vault: VaultID) async throws -> Message? {
        try await database.read { connection in try Self.find(id, in: vault, connection) }
    }

    /// The message's story in order.
    package func events(of id: MessageID, in vault: VaultID) async throws -> [MessageEvent] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT id, type, at, attempt, route, detail FROM message_events
                WHERE message_id = \(id.text) AND vault_id = \(vault.text) ORDER BY id
                """
            ).map(Self.event)
        }
    }

    /// What was submitted: the payload's format and bytes, and the envelope's JSON where it stands apart.
    package func payload(
        of id: MessageID,
        in vault: VaultID
    ) async throws -> (format: Acceptance.PayloadFormat, bytes: [UInt8], envelopeJSON: String?, metadata: String?)? {
        try await database.read { connection in
            guard
                let row = try connection.row(
                    """
                    SELECT payloads.format, payloads.bytes, smtp_relay_logs.envelope, smtp_relay_logs.metadata
                    FROM smtp_relay_logs JOIN payloads ON payloads.id = smtp_relay_logs.payload_id
                    WHERE smtp_relay_logs.id = \(id.text) AND smtp_relay_logs.vault_id = \(vault.text)
                    """)
            else { return nil }
            guard let format = Acceptance.PayloadFormat(rawValue: try row.text(0)) else {
                throw SQLError(.unexpectedValue, "a payload's format is unknown")
            }
            return (format, try row.blob(1), try row.optionalText(2), try row.optionalText(3))
        }
    }

    static func find(_ id: MessageID, in vault: VaultID, _ connection: any SQLConnection) throws -> Message? {
        try connection.row(
            "SELECT \(columns) FROM smtp_relay_logs WHERE id = \(id.text) AND vault_id = \(vault.text)"
        ).map(message)
    }

    static func message(_ row: SQLRow) throws -> Message {
        guard let status = MessageStatus(rawValue: try row.text(9)), let route = RouteName(rawValue: try row.text(10)),
            let door = Door(rawValue: try row.text(5))
        else { throw SQLError(.unexpectedValue, "a message's status, route or door is unknown") }
        let tags = try row.optionalText(11).map(StoredList.texts) ?? []
        return Message(
            id: MessageID(stored: try row.text(0)), correlation: CorrelationID(stored: try row.text(1)),
            vault: VaultID(stored: try row.text(2)), callerID: try row.text(3), callerLabel: try row.text(4),
            door: door,
            sender: try row.text(6), recipient: try row.text(7), subject: try row.optionalText(8).map(Foreign.init),
            status: status, route: route, tags: tags, size: Int(try row.integer(12)),
            attempts: Int(try row.integer(13)),
            lastReply: try row.optionalText(14).map(Foreign.init),
            sendAt: try row.optionalInteger(15).map(Timestamp.init(milliseconds:)),
            deadline: Timestamp(milliseconds: try row.integer(16)),
            createdAt: Timestamp(milliseconds: try row.integer(17)),
            updatedAt: Timestamp(milliseconds: try row.integer(18)))
    }

    private static func event(_ row: SQLRow) throws -> MessageEvent {
        guard let type = EventType(rawValue: try row.text(1)) else {
            throw SQLError(.unexpectedValue, "an event's type is unknown")
        }
        return MessageEvent(
            id: EventID(stored: try row.text(0)), type: type, at: Timestamp(milliseconds: try row.integer(2)),
            attempt: Int(try row.integer(3)), route: try row.optionalText(4).flatMap(RouteName.init(rawValue:)),
            detail: try row.optionalText(5).map(Foreign.init))
    }
}
