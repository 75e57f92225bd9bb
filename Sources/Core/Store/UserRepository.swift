// People in the database: found, made, changed and deleted; each change sees what else it may depend on.

import JSON
package import Model
package import SQL

/// Instance level throughout: people belong to no vault.
package struct UserRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// In the order of their ids, which is that of time.
    /// - Parameter query: only users whose address or name holds this, in any case.
    package func list(
        page: Page,
        query: String? = nil,
        role: InstanceRole? = nil,
        isActive: Bool? = nil
    ) async throws -> [User] {
        let conditions = Self.condition(query, role, isActive)
        return try await database.read { connection in
            try connection.rows(
                """
                SELECT \(User.columns) FROM users WHERE id > \(page.after) AND \(conditions)
                ORDER BY id LIMIT \(page.limit)
                """
            ).map { try User(row: $0) }
        }
    }

    package func find(_ id: UserID) async throws -> User? {
        try await database.read { connection in try connection.user(id) }
    }

    package func find(email: String) async throws -> User? {
        try await database.read { connection in try connection.user(key: User.key(of: email)) }
    }

    package func count() async throws -> Int {
        try await database.read { connection in
            Int(try connection.row("SELECT COUNT(*) FROM users")?.integer(0) ?? 0)
        }
    }

    package func memberships(of id: UserID) async throws -> [VaultID: VaultRole] {
        try await database.read { connection in try connection.roles(of: id) }
    }

    /// A user as the gate would see them after a sign-in with all that they have, though they are not signed in: to say what
    /// they may do.
    /// - Returns: `nil` for who is unknown or not active.
    package func person(_ id: UserID, at now: Timestamp) async throws -> Person? {
        try await database.read { connection in
            guard let user = try connection.user(id), user.isActive else { return nil }
            let byPassword: Person.Method = user.hasSecondFactor ? .secondFactor : .password
            return Person(
                user, memberships: try connection.roles(of: id), session: SessionID(high: 0, low: 0),
                method: user.hasPassword ? byPassword : .openID, authenticatedAt: now)
        }
    }

    /// - Parameter judge: throws where there must be no such user.
    /// - Throws: what `judge` threw; `SQLError` with `.constraint` when somebody has the address.
    package func insert(
        _ user: User,
        passwordHash: String?,
        by asker: UserID? = nil,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (UserScene) throws -> Void = { _ in }
    ) async throws -> User {
        try await database.change(.people) { connection in
            try judge(try connection.scene(of: user.id, askedBy: asker))
            // Who was kept out since their account was deleted is let in again by this.
            try connection.unbar(user.emailKey)
            try connection.insert(user, passwordHash: passwordHash)
            let made = try connection.user(user.id) ?? user
            try connection.record(audit(user.id.text, nil, .object(made.document)), in: nil)
            return made
        }
    }

    /// Changes a user's name, role or whether they are active; who is no longer has no sessions.
    /// - Parameters:
    ///   - asker: who wants it, to be judged as they are at the moment of the commit.
    ///   - edit: returns the user as it is to be, or throws where it must not be so.
    /// - Returns: the user as it is now; `nil` where there is none.
    package func change(
        _ id: UserID,
        by asker: UserID? = nil,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ edit: @escaping @Sendable (User, UserScene) throws -> User
    ) async throws -> User? {
        let answer: (user: User, isChanged: Bool)? = try await database.change(
            .people, unless: { $0?.isChanged != true }
        ) { connection in
            guard let old = try connection.lockedUser(id) else { return nil }
            var new = try edit(old, try connection.scene(of: id, askedBy: asker))
            guard new != old else { return (user: old, isChanged: false) }
            new.updatedAt = now
            try connection.send(
                """
                UPDATE users SET name = \(new.name), role = \(new.role.rawValue), is_active = \(new.isActive),
                    updated_at = \(now.milliseconds)
                WHERE id = \(id.text)
                """)
            if !new.isActive {
                try connection.endSessions(of: id, reason: SessionRecord.EndReason.disabled, at: now)
            }
            // Whoever holds a link for the account as it was must not get into one that may more, nor into one that ended.
            if !new.isActive || new.role > old.role { try connection.deleteOneTimeTokens(of: id) }
            try connection.record(audit(id.text, .object(old.document), .object(new.document)), in: nil)
            return (user: new, isChanged: true)
        }
        return answer?.user
    }

    /// Deletes a user with all that is theirs; what the audit log says of them stays, and single sign-on lets them in no more.
    /// - Parameter judge: throws where they must stay.
    /// - Returns: the user as it was; `nil` where there was none.
    package func delete(
        _ id: UserID,
        by asker: UserID? = nil,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (User, UserScene) throws -> Void
    ) async throws -> User? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let user = try connection.lockedUser(id) else { return nil }
            try judge(user, try connection.scene(of: id, askedBy: asker))
            let entry = audit(id.text, .object(user.document), nil)
            try connection.bar(user, at: entry.at)
            try connection.removeMemberships(of: user, audit: audit)
            try connection.send(
                """
                DELETE FROM refresh_tokens WHERE session_id IN (SELECT id FROM sessions WHERE user_id = \(id.text))
                """)
            for table: SQLStatement in ["sessions", "recovery_codes", "user_identities", "one_time_tokens"] {
                try connection.send("DELETE FROM \(table) WHERE user_id = \(id.text)")
            }
            try connection.send("DELETE FROM users WHERE id = \(id.text)")
            try connection.record(entry, in: nil)
            return user
        }
    }

    private static func condition(_ query: String?, _ role: InstanceRole?, _ isActive: Bool?) -> SQLStatement {
        var conditions: SQLStatement = "1 = 1"
        if let role { conditions = "\(conditions) AND role = \(role.rawValue)" }
        if let isActive { conditions = "\(conditions) AND is_active = \(isActive)" }
        if let query, !query.isEmpty {
            let escaped = query.lowercased().reduce(into: "") { text, character in
                if "%_\\".contains(character) { text.append("\\") }
                text.append(character)
            }
            let pattern = "%\(escaped)%"
            conditions = """
                \(conditions) AND (email_key LIKE \(pattern) ESCAPE '\\' OR lower(name) LIKE \(pattern) ESCAPE '\\')
                """
        }
        return conditions
    }
}

/// What the rules for a change of a user depend on, at the moment of the commit. Changes of people wait for each other, so
/// that it stays so until then.
package struct UserScene: Sendable {
    /// Who asks; `nil` where that is no user (any more), or one who is not active.
    package let asker: User?
    /// Owners of the instance beside the user who are active and have something to sign in with.
    package let otherOwners: Int
    /// Vaults that have no other active owner than the user.
    package let soleOwnerOf: [VaultID]
}
