// What people sign in with: their passwords, second factors and recovery codes, as the database keeps them.

package import Model
package import SQL

/// What a sign-in may use up inside its own transaction. Valid only there.
package struct SignInEvidence {
    let connection: any SQLConnection
    let user: UserID
    let at: Timestamp

    /// Remembers that the code of a step was used; a step never goes back.
    /// - Returns: false where that step, or a later one, was used before.
    package func use(totpStep step: Int64) throws(SQLError) -> Bool {
        try connection.execute(
            """
            UPDATE users SET totp_step = \(step)
            WHERE id = \(user.text) AND totp_secret IS NOT NULL AND (totp_step IS NULL OR totp_step < \(step))
            """) == 1
    }

    /// - Returns: false where the user has no such code, or it was used before.
    package func use(recoveryCode digest: [UInt8]) throws(SQLError) -> Bool {
        try connection.execute(
            """
            UPDATE recovery_codes SET used_at = \(at.milliseconds)
            WHERE user_id = \(user.text) AND digest = \(digest) AND used_at IS NULL
            """) == 1
    }
}

/// A change of what somebody signs in with. What is `nil` stays.
package struct CredentialChange: Sendable {
    package enum SecondFactor: Sendable {
        /// A secret that waits for its first code.
        case candidate([UInt8])
        /// The candidate, from now on; the step whose code showed that it works, and the digests of the recovery codes.
        case confirmed([UInt8], step: Int64, recovery: [[UInt8]])
        /// Other recovery codes in place of those that there are.
        case recovery([[UInt8]])
        case none
    }

    package var passwordHash: String?
    package var secondFactor: SecondFactor?
    /// Why the user's other sessions end.
    package var endReason: String?
    /// The session that goes on all the same, and how its user showed who they are, where that changes.
    package var keeping: SessionID?
    package var method: Person.Method?
    /// Whether failed attempts are forgotten.
    package var unlocks = false

    package init() {}
}

package struct UserCredentialRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    package func find(email: String) async throws -> UserCredentials? {
        try await find("email_key = \(User.key(of: email))")
    }

    package func find(_ id: UserID) async throws -> UserCredentials? { try await find("id = \(id.text)") }

    /// Whether somebody signs in by single sign-on as well.
    package func hasIdentity(_ id: UserID) async throws -> Bool {
        try await database.read { connection in
            try connection.row("SELECT 1 FROM user_identities WHERE user_id = \(id.text) LIMIT 1") != nil
        }
    }

    /// Recovery codes that were not used yet.
    package func recoveryCodesLeft(of id: UserID) async throws -> Int {
        try await database.read { connection in
            Int(
                try connection.row(
                    "SELECT COUNT(*) FROM recovery_codes WHERE user_id = \(id.text) AND used_at IS NULL")?
                    .integer(0) ?? 0)
        }
    }

    /// - Parameters:
    ///   - token: the digest of a link that is used up by it, and its purpose.
    ///   - settlement: what the attempt gives back that this comes from.
    ///   - judge: says what to change, of the credentials as they are at the moment of the commit; throws where it must not.
    /// - Returns: the user as it is now; `nil` where there is none, or the link works no more.
    package func change(
        _ id: UserID,
        using token: (digest: [UInt8], purpose: String)? = nil,
        settling settlement: SignInSettlement? = nil,
        at now: Timestamp,
        audit: @escaping @Sendable (_ before: User, _ after: User) -> AuditEntry,
        _ judge: @escaping @Sendable (UserCredentials) throws -> CredentialChange
    ) async throws -> User? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let old = try connection.lockedCredentials(id) else { return nil }
            if let token, try connection.consume(token.digest, purpose: token.purpose, at: now)?.user != id {
                return nil
            }
            try connection.apply(try judge(old), to: old.user, at: now)
            if let settlement { _ = try connection.settle(settlement) }
            guard let new = try connection.user(id) else { return nil }
            try connection.record(audit(old.user, new), in: nil)
            return new
        }
    }

    private func find(_ condition: SQLStatement) async throws -> UserCredentials? {
        try await database.read { connection in
            try connection.row("SELECT \(UserCredentials.columns) FROM users WHERE \(condition)")
                .map { try UserCredentials(row: $0) }
        }
    }
}

extension SQLConnection {
    fileprivate func apply(_ change: CredentialChange, to user: User, at now: Timestamp) throws(SQLError) {
        if let hash = change.passwordHash {
            try send(
                """
                UPDATE users SET password_hash = \(hash), password_changed_at = \(now.milliseconds)
                WHERE id = \(user.id.text)
                """)
            // A link that was asked for before would set it once more.
            try deleteOneTimeTokens(of: user.id)
        }
        if let factor = change.secondFactor { try apply(factor, to: user.id, at: now) }
        if let reason = change.endReason {
            try endSessions(of: user.id, except: change.keeping, reason: reason, at: now)
        }
        if let session = change.keeping, let method = change.method {
            try send(
                """
                UPDATE sessions SET method = \(method.rawValue) WHERE id = \(session.text) AND user_id = \(user.id.text)
                """)
        }
        if change.unlocks { try unlock(user) }
        try send("UPDATE users SET updated_at = \(now.milliseconds) WHERE id = \(user.id.text)")
    }

    private func apply(
        _ factor: CredentialChange.SecondFactor,
        to user: UserID,
        at now: Timestamp
    ) throws(SQLError) {
        switch factor {
        case .candidate(let secret):
            try send("UPDATE users SET totp_candidate = \(secret) WHERE id = \(user.text)")
        case .confirmed(let secret, let step, let codes):
            try send(
                """
                UPDATE users SET totp_secret = \(secret), totp_candidate = NULL, totp_step = \(step),
                    totp_since = \(now.milliseconds)
                WHERE id = \(user.text)
                """)
            try replaceRecoveryCodes(of: user, with: codes)
        case .recovery(let codes): try replaceRecoveryCodes(of: user, with: codes)
        case .none:
            try send(
                """
                UPDATE users SET totp_secret = NULL, totp_candidate = NULL, totp_step = NULL, totp_since = NULL
                WHERE id = \(user.text)
                """)
            try replaceRecoveryCodes(of: user, with: [])
        }
    }

    private func replaceRecoveryCodes(of user: UserID, with digests: [[UInt8]]) throws(SQLError) {
        try send("DELETE FROM recovery_codes WHERE user_id = \(user.text)")
        for digest in digests {
            try send("INSERT INTO recovery_codes (user_id, digest) VALUES (\(user.text), \(digest))")
        }
    }
}
