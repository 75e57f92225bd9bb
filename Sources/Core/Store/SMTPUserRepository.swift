// SMTP logins in the database: a name is unique in the instance, because a login names no vault.

import JSON
package import Model
package import SQL

package struct SMTPUserRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = """
        id, vault_id, username, label, password_hash, created_at, last_used_at, allowed_ips, sender_domains, ip_pool
        """

    /// Names in one question to the database.
    private static let piece = 500

    /// - Parameters:
    ///   - asker: the key that makes the user, to be judged as it is at the moment of the commit.
    ///   - judge: throws where it may not.
    /// - Throws: what `judge` threw; `SQLError` with `.constraint` when the name is taken.
    package func insert(
        _ user: SMTPUser,
        askedBy asker: KeyID?,
        in vault: VaultID,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (_ asker: APIKey?) throws -> Void
    ) async throws {
        let (domains, networks) = (Self.list(user.senderDomains), Self.list(user.allowedIPs))
        try await database.write { connection in
            try judge(try asker.flatMap { try connection.lockedKey($0, in: vault) })
            try connection.send(
                """
                INSERT INTO smtp_relay_users (\(Self.columns)) VALUES (\(user.id.text), \(vault.text),
                    \(user.username), \(user.label), \(user.passwordHash), \(user.createdAt.milliseconds), NULL,
                    \(networks), \(domains), \(user.ipPool))
                """)
            try connection.record(audit(user.id.text, nil, .object(user.document)), in: vault)
        }
    }

    /// - Parameters:
    ///   - asker: the key that asks for it, to be judged as it is at the moment of the commit.
    ///   - change: judges and makes the user as it will be.
    /// - Returns: the user as it is now; `nil` where there is none.
    package func change(
        _ id: SMTPUserID,
        askedBy asker: KeyID?,
        in vault: VaultID,
        audit: @escaping AuditMaker,
        _ change: @escaping @Sendable (_ user: SMTPUser, _ asker: APIKey?) throws -> SMTPUser
    ) async throws -> SMTPUser? {
        try await database.change(.callers, unless: { $0 == nil }) { connection in
            guard let old = try Self.locked(id, in: vault, connection) else { return nil }
            let new = try change(old, try asker.flatMap { try connection.lockedKey($0, in: vault) })
            try connection.send(
                """
                UPDATE smtp_relay_users SET label = \(new.label), password_hash = \(new.passwordHash),
                    allowed_ips = \(Self.list(new.allowedIPs)), sender_domains = \(Self.list(new.senderDomains)),
                    ip_pool = \(new.ipPool)
                WHERE id = \(id.text) AND vault_id = \(vault.text)
                """)
            var (before, after) = (old.document, new.document)
            if old.passwordHash != new.passwordHash {
                (before["password"], after["password"]) = (.isSet(true), .object(JSONObject(["changed": .bool(true)])))
            }
            try connection.record(audit(id.text, .object(before), .object(after)), in: vault)
            return new
        }
    }

    /// - Parameter judge: throws where the user must not be deleted.
    /// - Returns: the user that was; `nil` where there is none.
    package func delete(
        _ id: SMTPUserID,
        in vault: VaultID,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (SMTPUser) throws -> Void
    ) async throws -> SMTPUser? {
        try await database.change(.callers, unless: { $0 == nil }) { connection in
            guard let user = try Self.locked(id, in: vault, connection) else { return nil }
            try judge(user)
            try connection.send("DELETE FROM smtp_relay_users WHERE id = \(id.text) AND vault_id = \(vault.text)")
            try connection.record(audit(id.text, .object(user.document), nil), in: vault)
            return user
        }
    }

    /// - Parameter labelPrefix: only users whose label begins so.
    package func list(in vault: VaultID, labelPrefix: String? = nil, page: Page) async throws -> [SMTPUser] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM smtp_relay_users
                WHERE vault_id = \(vault.text) AND id > \(page.after) AND \(LabelPrefix.condition(labelPrefix))
                ORDER BY id LIMIT \(page.limit)
                """
            ).map(Self.user)
        }
    }

    package func find(_ id: SMTPUserID, in vault: VaultID) async throws -> SMTPUser? {
        try await database.read { connection in
            try connection.row(
                "SELECT \(Self.columns) FROM smtp_relay_users WHERE id = \(id.text) AND vault_id = \(vault.text)"
            ).map(Self.user)
        }
    }

    /// Instance level: the user of this name; the vault is learnt from it.
    package func find(username: String) async throws -> SMTPUser? {
        try await database.read { connection in
            try connection.row("SELECT \(Self.columns) FROM smtp_relay_users WHERE username = \(username)").map(
                Self.user)
        }
    }

    /// Instance level: remembers uses that were counted in memory.
    package func recordUses(_ uses: [SMTPUserID: Timestamp]) async throws {
        try await database.write { connection in
            for (id, at) in uses.sorted(by: { $0.key < $1.key }) {
                try connection.execute(
                    "UPDATE smtp_relay_users SET last_used_at = \(at.milliseconds) WHERE id = \(id.text)")
            }
        }
    }

    /// Instance level: those of these users that still exist, as they are now.
    package func all(of ids: Set<SMTPUserID>) async throws -> [SMTPUserID: SMTPUser] {
        let names = ids.map(\.text).sorted()
        return try await database.read { connection in
            var users: [SMTPUserID: SMTPUser] = [:]
            for start in stride(from: 0, to: names.count, by: Self.piece) {
                let piece = Array(names[start..<min(start + Self.piece, names.count)])
                let rows = try connection.rows(
                    "SELECT \(Self.columns) FROM smtp_relay_users WHERE id IN \(list: piece)")
                for user in try rows.map(Self.user) { users[user.id] = user }
            }
            return users
        }
    }

    private static func locked(
        _ id: SMTPUserID,
        in vault: VaultID,
        _ connection: any SQLConnection
    ) throws -> SMTPUser? {
        try connection.row(
            """
            SELECT \(columns) FROM smtp_relay_users WHERE id = \(id.text) AND vault_id = \(vault.text) /* lock */
            """
        ).map(user)
    }

    private static func list(_ elements: (some SettingValue)?) -> String? {
        elements.map { StoredColumn.text($0.json) }
    }

    private static func user(_ row: SQLRow) throws -> SMTPUser {
        func list<Element: SettingElement>(_ index: Int) throws -> [Element]? {
            try row.optionalText(index).map { try [Element](json: JSONParser.parse($0)) }
        }
        return SMTPUser(
            id: SMTPUserID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)), username: try row.text(2),
            label: try row.text(3), passwordHash: try row.text(4),
            createdAt: Timestamp(milliseconds: try row.integer(5)),
            lastUsedAt: try row.optionalInteger(6).map(Timestamp.init(milliseconds:)), allowedIPs: try list(7),
            senderDomains: try list(8), ipPool: try row.optionalText(9))
    }
}
