// Reading what many messages are made of at once, for routes that hand over batches of messages of all vaults.

import JSON
package import Model
import SQL

/// A message with what was submitted: all that a route needs to write it down in another form.
package struct StoredMessage: Sendable {
    package let id: MessageID
    package let vault: VaultID
    package let correlation: CorrelationID
    package let sender: String
    package let recipient: String
    package let priority: Int
    package let tags: [String]
    package let attempts: Int
    package let sendAt: Timestamp?
    package let deadline: Timestamp
    package let createdAt: Timestamp
    package let payload: PayloadID
    package let format: Acceptance.PayloadFormat
    /// Messages of one submission share them.
    package let bytes: [UInt8]
    /// The envelope in JSON without its body, where the payload is a finished message.
    package let envelopeJSON: String?
}

extension MessageRepository {
    /// Reads messages with their payloads in two statements of one transaction.
    /// - Parameters:
    ///   - wanted: each with the vault that it must be of; one of another vault is not there.
    ///   - budget: bytes of payloads at most, each counted as often as it is wanted; the first is read in any case.
    /// - Returns: what was found, and how many of `wanted`, from the front, were looked for.
    package func stored(
        _ wanted: [(id: MessageID, vault: VaultID)],
        budget: Int
    ) async throws -> (found: [MessageID: StoredMessage], count: Int) {
        try await database.read { connection in
            let ids = OutboxRepository.padded(wanted.map(\.id))
            let rows = try connection.rows(
                """
                SELECT id, vault_id, size, payload_id, correlation_id, sender, recipient, priority, tags, attempts,
                    send_at, deadline_at, created_at, envelope
                FROM smtp_relay_logs WHERE id IN \(list: ids)
                """)
            let byID = Dictionary(try rows.map { (try $0.text(0), $0) }, uniquingKeysWith: { first, _ in first })
            var taken: [SQLRow] = []
            var bytes = 0
            var count = 0
            for (id, vault) in wanted {
                if let row = byID[id.text], try row.text(1) == vault.text {
                    let size = Int(try row.integer(2))
                    guard taken.isEmpty || bytes + size <= budget else { break }
                    bytes += size
                    taken.append(row)
                }
                count += 1
            }
            let payloads = try Self.payloads(of: taken, paddedTo: ids.count, connection)
            var found: [MessageID: StoredMessage] = [:]
            for row in taken {
                guard let payload = payloads[try row.text(3)] else { continue }
                let message = try Self.stored(row, payload)
                found[message.id] = message
            }
            return (found, count)
        }
    }

    private typealias Payload = (format: Acceptance.PayloadFormat, bytes: [UInt8])

    /// - Parameter length: of the list in the statement, so that a few statements are prepared, not one a length.
    private static func payloads(
        of messages: [SQLRow],
        paddedTo length: Int,
        _ connection: any SQLConnection
    ) throws -> [String: Payload] {
        let ids = Set(try messages.map { try $0.text(3) })
        guard let any = ids.first else { return [:] }
        let padded = Array(ids) + repeatElement(any, count: length - ids.count)
        let rows = try connection.rows("SELECT id, format, bytes FROM payloads WHERE id IN \(list: padded)")
        var payloads: [String: Payload] = [:]
        for row in rows {
            guard let format = Acceptance.PayloadFormat(rawValue: try row.text(1)) else {
                throw SQLError(.unexpectedValue, "a payload's format is unknown")
            }
            payloads[try row.text(0)] = (format, try row.blob(2))
        }
        return payloads
    }

    private static func stored(_ row: SQLRow, _ payload: Payload) throws -> StoredMessage {
        StoredMessage(
            id: MessageID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)),
            correlation: CorrelationID(stored: try row.text(4)), sender: try row.text(5),
            recipient: try row.text(6), priority: Int(try row.integer(7)),
            tags: try row.optionalText(8).map(StoredList.texts) ?? [], attempts: Int(try row.integer(9)),
            sendAt: try row.optionalInteger(10).map(Timestamp.init(milliseconds:)),
            deadline: Timestamp(milliseconds: try row.integer(11)),
            createdAt: Timestamp(milliseconds: try row.integer(12)), payload: PayloadID(stored: try row.text(3)),
            format: payload.format, bytes: payload.bytes, envelopeJSON: try row.optionalText(13))
    }
}
