// What works once and only for a time: links that set a password, states of a single sign-on.

package import Model
package import SQL

package struct OneTimeToken: Sendable {
    package let digest: [UInt8]
    package let purpose: String
    package let user: UserID?
    package let detail: String?
    package let createdAt: Timestamp
    package let expiresAt: Timestamp

    /// - Parameter detail: what whoever made it wants to know again; never a secret in the clear.
    package init(
        digest: [UInt8], purpose: String, user: UserID?, detail: String? = nil, createdAt: Timestamp,
        expiresAt: Timestamp
    ) {
        self.digest = digest
        self.purpose = purpose
        self.user = user
        self.detail = detail
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }
}

package struct OneTimeTokenRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    package func insert(_ token: OneTimeToken) async throws {
        try await database.write { connection in try connection.insert(token) }
    }

    /// For a user who is there and active. Others of theirs for the purpose work no more.
    /// - Parameter audit: makes the entry.
    /// - Returns: the user; `nil` where there is none to make it for.
    package func insert(
        _ token: OneTimeToken,
        for id: UserID,
        audit: @escaping @Sendable (User) -> AuditEntry
    ) async throws -> User? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let user = try connection.lockedUser(id), user.isActive else { return nil }
            try connection.send(
                "DELETE FROM one_time_tokens WHERE user_id = \(id.text) AND purpose = \(token.purpose)")
            try connection.insert(token)
            try connection.record(audit(user), in: nil)
            return user
        }
    }

    /// A token that still works, left as it is.
    package func find(_ digest: [UInt8], purpose: String, at now: Timestamp) async throws -> OneTimeToken? {
        try await database.read { connection in try connection.token(digest, purpose, at: now, locked: false) }
    }

    /// Uses a token up.
    /// - Returns: `nil` where there is none that still works; of two who come at once, one has it.
    package func consume(_ digest: [UInt8], purpose: String, at now: Timestamp) async throws -> OneTimeToken? {
        try await database.write { connection in try connection.consume(digest, purpose: purpose, at: now) }
    }

    /// Deletes tokens that expired before a time.
    /// - Returns: how many went.
    package func delete(before time: Timestamp, limit: Int) async throws -> Int {
        try await database.write { connection in
            let digests = try connection.rows(
                """
                SELECT digest FROM one_time_tokens WHERE expires_at < \(time.milliseconds)
                ORDER BY expires_at LIMIT \(limit) /* skip locked */
                """
            ).map { try $0.blob(0) }
            guard !digests.isEmpty else { return 0 }
            return try connection.execute("DELETE FROM one_time_tokens WHERE digest IN \(list: digests)")
        }
    }
}

extension SQLConnection {
    func insert(_ token: OneTimeToken) throws(SQLError) {
        try send(
            """
            INSERT INTO one_time_tokens (digest, purpose, user_id, detail, created_at, expires_at)
            VALUES (\(token.digest), \(token.purpose), \(token.user?.text), \(token.detail),
                \(token.createdAt.milliseconds), \(token.expiresAt.milliseconds))
            """)
    }

    func consume(_ digest: [UInt8], purpose: String, at now: Timestamp) throws(SQLError) -> OneTimeToken? {
        guard let token = try token(digest, purpose, at: now, locked: true) else { return nil }
        try send("UPDATE one_time_tokens SET used_at = \(now.milliseconds) WHERE digest = \(digest)")
        return token
    }

    fileprivate func token(
        _ digest: [UInt8],
        _ purpose: String,
        at now: Timestamp,
        locked: Bool
    ) throws(SQLError) -> OneTimeToken? {
        let lock: SQLStatement = locked ? " /* lock */" : ""
        guard
            let row = try row(
                """
                SELECT user_id, detail, created_at, expires_at FROM one_time_tokens
                WHERE digest = \(digest) AND purpose = \(purpose) AND used_at IS NULL
                    AND expires_at > \(now.milliseconds)\(lock)
                """)
        else { return nil }
        return OneTimeToken(
            digest: digest, purpose: purpose, user: try row.optionalText(0).map(UserID.init(stored:)),
            detail: try row.optionalText(1), createdAt: Timestamp(milliseconds: try row.integer(2)),
            expiresAt: Timestamp(milliseconds: try row.integer(3)))
    }
}
