// Refresh tokens: each works once. One that comes a second time was stolen by somebody, and ends the session.

package import Model
import SQL

extension SessionRepository {
    package enum Refreshed: Sendable {
        case renewed(SessionStanding)
        /// The session is over now, and that is written down.
        case stolen(SessionRecord)
        /// There is no such token, or it and its session are no more.
        case refused
    }

    /// Uses a refresh token up for new texts.
    /// - Parameter audit: makes the entry of a theft.
    package func refresh(
        _ token: [UInt8],
        texts: Texts,
        at now: Timestamp,
        audit: @escaping @Sendable (_ user: User, _ session: SessionRecord) -> AuditEntry
    ) async throws -> Refreshed {
        // Texts that nobody has cost no write.
        guard try await isKnown(token) else { return .refused }
        return try await exchange(token, texts, now, audit)
    }

    private func isKnown(_ token: [UInt8]) async throws -> Bool {
        try await database.read { connection in
            try connection.row("SELECT 1 FROM refresh_tokens WHERE digest = \(token)") != nil
        }
    }

    private func exchange(
        _ token: [UInt8],
        _ texts: Texts,
        _ now: Timestamp,
        _ audit: @escaping @Sendable (_ user: User, _ session: SessionRecord) -> AuditEntry
    ) async throws -> Refreshed {
        try await database.change(.people, unless: { $0.isRefused }) { connection in
            guard
                let row = try connection.row(
                    """
                    SELECT session_id, expires_at, used_at FROM refresh_tokens WHERE digest = \(token) /* lock */
                    """),
                let session = try connection.lockedSession(SessionID(stored: try row.text(0))),
                session.isAlive(at: now), let user = try connection.user(session.user), user.isActive
            else { return .refused }
            if try row.optionalInteger(2) != nil {
                try connection.end(session.id, reason: SessionRecord.EndReason.refreshReuse, at: now)
                try connection.record(audit(user, session), in: nil)
                return .stolen(session)
            }
            let until = Timestamp(milliseconds: try row.integer(1))
            guard until > now else { return .refused }
            try connection.send(
                "UPDATE refresh_tokens SET used_at = \(now.milliseconds) WHERE digest = \(token)")
            try connection.insertRefreshToken(texts.refresh, of: session.id, at: now, expiresAt: until)
            try connection.send(
                """
                UPDATE sessions SET digest = \(texts.cookie), last_used_at = \(now.milliseconds)
                WHERE id = \(session.id.text)
                """)
            guard let standing = try connection.standing("sessions.id = \(session.id.text)") else { return .refused }
            return .renewed(standing)
        }
    }
}

extension SessionRepository.Refreshed {
    fileprivate var isRefused: Bool {
        if case .refused = self { true } else { false }
    }
}
