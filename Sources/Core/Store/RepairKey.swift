// The idempotency key of a repair: one row, in the same key space as submissions.

package import Model
import SQL

package struct RepairKey: Sendable {
    private let caller: String
    private let key: String
    /// SHA-256 of the path and the body.
    private let digest: [UInt8]
    private let now: Timestamp
    private let expiresAt: Timestamp

    package init(_ key: String, digest: [UInt8], caller: Caller, now: Timestamp, expiresAt: Timestamp) {
        self.caller = caller.idempotencySpace
        self.key = key
        self.digest = digest
        self.now = now
        self.expiresAt = expiresAt
    }

    /// What came of the call that had the key before, while that still counts.
    func earlier(_ connection: any SQLConnection) throws -> RepairOutcome? {
        let row = try connection.row(
            """
            SELECT digest, answer FROM idempotency_keys WHERE caller_id = \(caller) AND key = \(key)
                AND expires_at > \(now.milliseconds)
            """)
        guard let row else { return nil }
        return try row.blob(0) == digest ? .replayed(answer: try row.text(1)) : .conflict
    }

    func keep(_ answer: String, _ connection: any SQLConnection) throws {
        try connection.execute(
            """
            INSERT INTO idempotency_keys (caller_id, key, digest, answer, expires_at)
            VALUES (\(caller), \(key), \(digest), \(answer), \(expiresAt.milliseconds))
            ON CONFLICT (caller_id, key) DO UPDATE SET digest = excluded.digest, answer = excluded.answer,
                expires_at = excluded.expires_at
            """)
    }
}

extension Caller {
    /// Within which idempotency keys are the same key. Keys and logins belong to one vault; people act in several, and what they
    /// repeat in another vault is no repetition.
    var idempotencySpace: String {
        if case .member(let user) = identity { "\(user.text)/\(vault.text)" } else { identity.id }
    }
}
