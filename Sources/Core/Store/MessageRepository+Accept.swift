// The accept path: log, payload, events, outbox and idempotency record in one commit.

import JSON
import MIME
package import Model
import SQL

extension MessageRepository {
    /// Accepts the messages of a submission, all or none. Returns after the commit is on disk.
    /// - Parameter idempotency: the submission's key, if it has one.
    /// - Throws: `SQLError`; nothing was accepted then.
    package func accept(
        _ acceptances: [Acceptance],
        idempotency: Acceptance.Idempotency? = nil
    ) async throws -> AcceptanceOutcome {
        let cost = acceptances.reduce(0) { $0 + $1.payload.count + 1024 * $1.entries.count }
        return try await database.write(cost: cost) { connection in
            if let idempotency, let first = acceptances.first,
                let earlier = try Self.claim(idempotency, of: first, connection)
            {
                return earlier
            }
            for acceptance in acceptances { try Self.write(acceptance, connection) }
            return .committed
        }
    }

    /// The answer to the same key and body that still counts, without writing anything.
    package func earlierAnswer(key: String, digest: [UInt8], caller: Caller, at now: Timestamp) async throws
        -> AcceptanceOutcome?
    {
        try await database.read { connection in
            guard
                let row = try connection.row(
                    """
                    SELECT digest, answer FROM idempotency_keys WHERE caller_id = \(caller.idempotencySpace)
                        AND key = \(key) AND expires_at > \(now.milliseconds)
                    """)
            else { return nil }
            return try row.blob(0) == digest ? .replayed(answer: try row.text(1)) : .conflict
        }
    }

    /// Takes the key for this submission, or says what came of the one that has it.
    private static func claim(
        _ idempotency: Acceptance.Idempotency,
        of acceptance: Acceptance,
        _ connection: any SQLConnection
    ) throws -> AcceptanceOutcome? {
        let caller = acceptance.caller.idempotencySpace
        let taken = try connection.execute(
            """
            INSERT INTO idempotency_keys (caller_id, key, digest, answer, expires_at)
            VALUES (\(caller), \(idempotency.key), \(idempotency.digest), \(idempotency.answer),
                \(idempotency.expiresAt.milliseconds))
            ON CONFLICT (caller_id, key) DO UPDATE SET digest = excluded.digest, answer = excluded.answer,
                expires_at = excluded.expires_at
            WHERE idempotency_keys.expires_at <= \(acceptance.createdAt.milliseconds)
            """)
        if taken == 1 { return nil }
        guard
            let row = try connection.row(
                "SELECT digest, answer FROM idempotency_keys WHERE caller_id = \(caller) AND key = \(idempotency.key)")
        else { throw SQLError(.unexpectedValue, "an idempotency key vanished inside a transaction") }
        return try row.blob(0) == idempotency.digest ? .replayed(answer: try row.text(1)) : .conflict
    }

    private static func write(_ acceptance: Acceptance, _ connection: any SQLConnection) throws(SQLError) {
        let vault = acceptance.caller.vault.text
        let now = acceptance.createdAt.milliseconds
        let status: MessageStatus = acceptance.isScheduled ? .scheduled : .queued
        let due = acceptance.isScheduled ? acceptance.sendAt?.milliseconds ?? now : now
        try connection.send(
            """
            INSERT INTO payloads (id, vault_id, format, bytes, created_at) VALUES (\(acceptance.payloadID.text),
                \(vault), \(acceptance.payloadFormat.rawValue), \(acceptance.payload), \(now))
            """)
        for (index, entry) in acceptance.entries.enumerated() {
            let envelope = entry.envelope
            let tags: String? =
                envelope.tags.isEmpty
                ? nil : String(decoding: JSONWriter.write(envelope.tags.json), as: UTF8.self)
            try connection.send(
                """
                INSERT INTO smtp_relay_logs (\(columns), priority, payload_id, metadata, envelope) VALUES (\(entry.id.text),
                    \(acceptance.correlation.text), \(vault), \(acceptance.caller.identity.id),
                    \(acceptance.caller.label), \(acceptance.door.rawValue), \(envelope.sender.description),
                    \(envelope.recipient.description), \(envelope.content.subject), \(status.rawValue),
                    \(entry.route.rawValue), \(tags), \(acceptance.payload.count), \(0), NULL,
                    \(acceptance.sendAt?.milliseconds), \(acceptance.deadline.milliseconds), \(now), \(now),
                    \(envelope.priority), \(acceptance.payloadID.text), \(acceptance.metadata), \(entry.envelopeJSON))
                """)
            try connection.send(
                """
                INSERT INTO message_events (message_id, id, vault_id, type, at, attempt, route, detail) VALUES
                    (\(entry.id.text), \(acceptance.eventIDs[2 * index].text), \(vault), 'accepted', \(now), 0, NULL, NULL),
                    (\(entry.id.text), \(acceptance.eventIDs[2 * index + 1].text), \(vault), \(status.rawValue), \(now), 0,
                    \(entry.route.rawValue), NULL)
                """)
            try connection.send(
                """
                INSERT INTO outbox (message_id, vault_id, route, priority, ready, due_at, lease_owner) VALUES
                    (\(entry.id.text), \(vault), \(entry.route.rawValue), \(envelope.priority),
                    \(!acceptance.isScheduled), \(due), NULL)
                """)
        }
    }
}
