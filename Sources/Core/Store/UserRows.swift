// Statements on people that several repositories need inside their own transactions.

import Model
import SQL

extension SQLConnection {
    func user(_ id: UserID) throws(SQLError) -> User? {
        guard let row = try row("SELECT \(User.columns) FROM users WHERE id = \(id.text)") else { return nil }
        return try User(row: row)
    }

    /// - Parameter key: an address, as `User.key(of:)` makes it.
    func user(key: String) throws(SQLError) -> User? {
        guard let row = try row("SELECT \(User.columns) FROM users WHERE email_key = \(key)") else { return nil }
        return try User(row: row)
    }

    /// Of two that change a user at the same moment, the second sees what the first did.
    func lockedUser(_ id: UserID) throws(SQLError) -> User? {
        guard let row = try row("SELECT \(User.columns) FROM users WHERE id = \(id.text) /* lock */") else {
            return nil
        }
        return try User(row: row)
    }

    func lockedCredentials(_ id: UserID) throws(SQLError) -> UserCredentials? {
        guard let row = try row("SELECT \(UserCredentials.columns) FROM users WHERE id = \(id.text) /* lock */")
        else { return nil }
        return try UserCredentials(row: row)
    }

    func insert(_ user: User, passwordHash: String?) throws(SQLError) {
        let changedAt = passwordHash == nil ? nil : user.createdAt.milliseconds
        try execute(
            """
            INSERT INTO users (id, email, email_key, name, role, is_active, password_hash, password_changed_at, created_at,
                updated_at)
            VALUES (\(user.id.text), \(user.email), \(user.emailKey), \(user.name), \(user.role.rawValue),
                \(user.isActive), \(passwordHash), \(changedAt), \(user.createdAt.milliseconds),
                \(user.updatedAt.milliseconds))
            """)
    }

    func roles(of id: UserID) throws(SQLError) -> [VaultID: VaultRole] {
        var memberships: [VaultID: VaultRole] = [:]
        let all = try rows(
            """
            SELECT vault_id, role FROM memberships WHERE user_id = \(id.text) AND NOT EXISTS (SELECT 1 FROM vaults
                WHERE vaults.id = memberships.vault_id AND vaults.state = 'deleted')
            """)
        for row in all {
            guard let role = VaultRole(rawValue: try row.text(1)) else {
                throw SQLError(.unexpectedValue, "a membership has a role that this program does not know")
            }
            memberships[VaultID(stored: try row.text(0))] = role
        }
        return memberships
    }

    /// Owners of the instance beside this user who are active and have something to sign in with.
    func activeOwners(except id: UserID) throws(SQLError) -> Int {
        let row = try row(
            """
            SELECT COUNT(*) FROM users WHERE role = 'owner' AND is_active = 1 AND id <> \(id.text)
                AND (password_hash IS NOT NULL
                    OR EXISTS (SELECT 1 FROM user_identities WHERE user_identities.user_id = users.id))
            """)
        return Int(try row?.integer(0) ?? 0)
    }

    func scene(of id: UserID, askedBy asker: UserID?) throws(SQLError) -> UserScene {
        var asking: User?
        if let asker, let user = try user(asker), user.isActive { asking = user }
        let vaults = try rows(
            """
            SELECT memberships.vault_id FROM memberships JOIN vaults ON vaults.id = memberships.vault_id
            WHERE memberships.user_id = \(id.text) AND memberships.role = 'owner' AND vaults.state <> 'deleted'
                AND NOT EXISTS (SELECT 1 FROM memberships others JOIN users ON users.id = others.user_id
                    WHERE others.vault_id = memberships.vault_id AND others.role = 'owner'
                        AND others.user_id <> \(id.text) AND users.is_active = 1)
            ORDER BY memberships.vault_id
            """)
        var soleOwnerOf: [VaultID] = []
        for row in vaults { soleOwnerOf.append(VaultID(stored: try row.text(0))) }
        return UserScene(asker: asking, otherOwners: try activeOwners(except: id), soleOwnerOf: soleOwnerOf)
    }

    func deleteOneTimeTokens(of id: UserID) throws(SQLError) {
        try send("DELETE FROM one_time_tokens WHERE user_id = \(id.text)")
    }
}

extension Person {
    init(
        _ user: User, memberships: [VaultID: VaultRole], session: SessionID, method: Method, authenticatedAt: Timestamp
    ) {
        self.init(
            id: user.id, email: user.email, name: user.name, role: user.role, memberships: memberships,
            session: session, method: method, authenticatedAt: authenticatedAt,
            hasSecondFactor: user.hasSecondFactor)
    }
}
