// Statements on sessions that several repositories need inside their own transactions.

import Model
import SQL

extension SQLConnection {
    /// - Parameter condition: picks one session.
    func standing(_ condition: SQLStatement) throws(SQLError) -> SessionStanding? {
        guard
            let row = try row(
                """
                SELECT \(SessionRecord.columns), sessions.digest, \(User.columns)
                FROM sessions JOIN users ON users.id = sessions.user_id
                WHERE \(condition)
                """)
        else { return nil }
        let session = try SessionRecord(row: row)
        return SessionStanding(
            session: session, user: try User(row: row, from: SessionRecord.columnCount + 1),
            memberships: try roles(of: session.user), cookie: try row.blob(SessionRecord.columnCount))
    }

    func lockedSession(_ id: SessionID) throws(SQLError) -> SessionRecord? {
        guard let row = try row("SELECT \(SessionRecord.columns) FROM sessions WHERE id = \(id.text) /* lock */")
        else { return nil }
        return try SessionRecord(row: row)
    }

    func insert(
        _ session: SessionRecord,
        _ texts: SessionRepository.Texts,
        refreshUntil: Timestamp
    ) throws(SQLError) {
        try send(
            """
            INSERT INTO sessions (id, user_id, digest, method, created_at, authenticated_at, last_used_at, expires_at,
                address, user_agent)
            VALUES (\(session.id.text), \(session.user.text), \(texts.cookie), \(session.method.rawValue),
                \(session.createdAt.milliseconds), \(session.authenticatedAt.milliseconds),
                \(session.lastUsedAt.milliseconds), \(session.expiresAt.milliseconds), \(session.address),
                \(session.userAgent))
            """)
        try insertRefreshToken(texts.refresh, of: session.id, at: session.createdAt, expiresAt: refreshUntil)
    }

    func insertRefreshToken(
        _ digest: [UInt8],
        of session: SessionID,
        at now: Timestamp,
        expiresAt: Timestamp
    ) throws(SQLError) {
        try send(
            """
            INSERT INTO refresh_tokens (digest, session_id, created_at, expires_at)
            VALUES (\(digest), \(session.text), \(now.milliseconds), \(expiresAt.milliseconds))
            """)
    }

    /// When the refresh tokens of a session end; a new one is good for no longer than the first was.
    func refreshEnd(of session: SessionRecord) throws(SQLError) -> Timestamp {
        let row = try row("SELECT MAX(expires_at) FROM refresh_tokens WHERE session_id = \(session.id.text)")
        return try row?.optionalInteger(0).map(Timestamp.init(milliseconds:)) ?? session.expiresAt
    }

    func end(_ id: SessionID, reason: String, at now: Timestamp) throws(SQLError) {
        try send(
            """
            UPDATE sessions SET ended_at = \(now.milliseconds), end_reason = \(reason)
            WHERE id = \(id.text) AND ended_at IS NULL
            """)
    }

    /// Ends all sessions of a user that live, but one.
    /// - Returns: how many.
    @discardableResult
    func endSessions(
        of user: UserID,
        except kept: SessionID? = nil,
        reason: String,
        at now: Timestamp
    ) throws(SQLError) -> Int {
        try execute(
            """
            UPDATE sessions SET ended_at = \(now.milliseconds), end_reason = \(reason)
            WHERE user_id = \(user.text) AND id <> \(kept?.text ?? "") AND ended_at IS NULL
                AND expires_at > \(now.milliseconds)
            """)
    }

    /// Ends those of a user's sessions that were used longest ago, so that at most so many live.
    func endOldest(of user: UserID, beyond limit: Int, at now: Timestamp) throws(SQLError) {
        try send(
            """
            UPDATE sessions SET ended_at = \(now.milliseconds), end_reason = \(SessionRecord.EndReason.tooMany)
            WHERE id IN (SELECT id FROM sessions
                WHERE user_id = \(user.text) AND ended_at IS NULL AND expires_at > \(now.milliseconds)
                ORDER BY last_used_at DESC, id DESC LIMIT 1000000 OFFSET \(limit))
            """)
    }
}
