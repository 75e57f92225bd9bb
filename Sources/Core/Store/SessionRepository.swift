// Sessions in the database: begun, found by what shows them, renewed, ended.

package import Model
package import SQL

/// Instance level throughout: sessions belong to people, and people to no vault.
package struct SessionRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// What a new session goes by; the texts themselves are never kept.
    package struct Texts: Sendable {
        /// Digests.
        package let cookie: [UInt8]
        package let refresh: [UInt8]

        package init(cookie: [UInt8], refresh: [UInt8]) {
            self.cookie = cookie
            self.refresh = refresh
        }
    }

    /// Live sessions of one user; beyond them the one that was used longest ago ends.
    package static let limit = 100

    /// Begins a session, in one commit with everything that the sign-in changes besides.
    /// - Parameters:
    ///   - refreshUntil: when its refresh tokens end, this one and those that it is exchanged for.
    ///   - consume: judges the user and what they showed as both are at the moment of the commit, and uses up what works once.
    ///     Throws where there must be no session.
    /// - Returns: `nil` where there is no such user.
    package func begin(
        _ session: SessionRecord,
        texts: Texts,
        refreshUntil: Timestamp,
        settling settlement: SignInSettlement? = nil,
        audit: @escaping @Sendable (_ user: User, _ failuresBefore: Int) -> AuditEntry,
        _ consume: @escaping @Sendable (UserCredentials, SignInEvidence) throws -> Void
    ) async throws -> SessionStanding? {
        let at = session.createdAt
        let (standing, hasEnded) = try await database.write { connection -> (SessionStanding?, Bool) in
            // Changes of people wait for this and it for them, but nobody remembers anything of a session that is new.
            try connection.raise(.people, by: 0)
            guard let credentials = try connection.lockedCredentials(session.user) else { return (nil, false) }
            try consume(credentials, SignInEvidence(connection: connection, user: session.user, at: at))
            let failures = try settlement.map { try connection.settle($0) } ?? 0
            try connection.insert(session, texts, refreshUntil: refreshUntil)
            let hasEnded = try connection.hasSessions(of: session.user, beyond: Self.limit, at: at)
            if hasEnded {
                try connection.endOldest(of: session.user, beyond: Self.limit, at: at)
                try connection.raise(.people, by: 1)
            }
            try connection.send(
                "UPDATE users SET last_sign_in_at = \(at.milliseconds) WHERE id = \(session.user.text)")
            try connection.record(audit(credentials.user, failures), in: nil)
            return (try connection.standing("sessions.id = \(session.id.text)"), hasEnded)
        }
        if hasEnded { database.announce(Announcement.changes) }
        return standing
    }

    package func find(_ id: SessionID) async throws -> SessionStanding? {
        try await database.read { connection in try connection.standing("sessions.id = \(id.text)") }
    }

    package func find(cookie digest: [UInt8]) async throws -> SessionStanding? {
        try await database.read { connection in try connection.standing("sessions.digest = \(digest)") }
    }

    /// The sessions that live, newest first.
    package func alive(of user: UserID, at now: Timestamp) async throws -> [SessionRecord] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(SessionRecord.columns) FROM sessions
                WHERE user_id = \(user.text) AND ended_at IS NULL AND expires_at > \(now.milliseconds)
                ORDER BY id DESC LIMIT \(Self.limit * 2)
                """
            ).map { try SessionRecord(row: $0) }
        }
    }

    /// Says that somebody showed again who they are. The session goes by new texts from then on.
    /// - Parameter consume: as for `begin`.
    /// - Returns: `nil` where the session does not live.
    package func renew(
        _ id: SessionID,
        as method: Person.Method,
        texts: Texts,
        authenticatedAt: Timestamp,
        at now: Timestamp,
        settling settlement: SignInSettlement? = nil,
        audit: @escaping @Sendable (User) -> AuditEntry,
        _ consume: @escaping @Sendable (UserCredentials, SignInEvidence) throws -> Void
    ) async throws -> SessionStanding? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let session = try connection.lockedSession(id), session.isAlive(at: now),
                let credentials = try connection.lockedCredentials(session.user), credentials.user.isActive
            else { return nil }
            try consume(credentials, SignInEvidence(connection: connection, user: session.user, at: now))
            if let settlement { _ = try connection.settle(settlement) }
            try connection.send(
                """
                UPDATE sessions SET digest = \(texts.cookie), method = \(method.rawValue),
                    authenticated_at = \(authenticatedAt.milliseconds), last_used_at = \(now.milliseconds)
                WHERE id = \(id.text)
                """)
            let until = try connection.refreshEnd(of: session)
            // The old ones work no more, and whoever comes with one of them is found out.
            try connection.send(
                """
                UPDATE refresh_tokens SET used_at = \(now.milliseconds)
                WHERE session_id = \(id.text) AND used_at IS NULL
                """)
            try connection.insertRefreshToken(texts.refresh, of: id, at: now, expiresAt: until)
            try connection.record(audit(credentials.user), in: nil)
            return try connection.standing("sessions.id = \(id.text)")
        }
    }

    /// Ends a session.
    /// - Returns: the session as it was; `nil` where there is no such one of this user, or it had ended.
    package func end(
        _ id: SessionID,
        of user: UserID,
        reason: String,
        at now: Timestamp,
        audit: @escaping @Sendable (_ user: User, _ session: SessionRecord) -> AuditEntry
    ) async throws -> SessionRecord? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let session = try connection.lockedSession(id), session.user == user, session.isAlive(at: now),
                let owner = try connection.user(user)
            else { return nil }
            try connection.end(id, reason: reason, at: now)
            try connection.record(audit(owner, session), in: nil)
            return session
        }
    }

    /// Ends all sessions of a user, but one.
    /// - Parameter audit: makes the entry, with the number of sessions as what was before; none is written where none ended.
    /// - Returns: how many ended.
    package func endAll(
        of user: UserID,
        except kept: SessionID?,
        reason: String,
        at now: Timestamp,
        audit: @escaping @Sendable (_ ended: Int) -> AuditEntry
    ) async throws -> Int {
        try await database.change(.people, unless: { $0 == 0 }) { connection in
            let ended = try connection.endSessions(of: user, except: kept, reason: reason, at: now)
            if ended > 0 { try connection.record(audit(ended), in: nil) }
            return ended
        }
    }

    /// Remembers uses that were counted in memory. Nothing that anybody remembers is out of date by it.
    package func recordUses(_ uses: [SessionID: Timestamp]) async throws {
        try await database.write { connection in
            for (id, at) in uses.sorted(by: { $0.key < $1.key }) {
                try connection.send(
                    """
                    UPDATE sessions SET last_used_at = \(at.milliseconds)
                    WHERE id = \(id.text) AND last_used_at < \(at.milliseconds)
                    """)
            }
        }
    }

    /// Deletes sessions that ended or expired before a time, at most so many.
    /// - Returns: how many went.
    package func deleteEnded(before time: Timestamp, limit: Int) async throws -> Int {
        try await database.write { connection in
            let ids = try connection.rows(
                """
                SELECT id FROM sessions
                WHERE expires_at < \(time.milliseconds) OR ended_at < \(time.milliseconds)
                ORDER BY id LIMIT \(limit) /* skip locked */
                """
            ).map { try $0.text(0) }
            guard !ids.isEmpty else { return 0 }
            try connection.send("DELETE FROM refresh_tokens WHERE session_id IN \(list: ids)")
            try connection.send("DELETE FROM sessions WHERE id IN \(list: ids)")
            return ids.count
        }
    }
}

extension SQLConnection {
    fileprivate func hasSessions(of user: UserID, beyond limit: Int, at now: Timestamp) throws(SQLError) -> Bool {
        try row(
            """
            SELECT 1 FROM sessions WHERE user_id = \(user.text) AND ended_at IS NULL
                AND expires_at > \(now.milliseconds) LIMIT 1 OFFSET \(limit)
            """) != nil
    }
}
