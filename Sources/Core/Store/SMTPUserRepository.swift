// SMTP logins: a name that is unique in the instance (a login names no vault) and a scrypt hash.

package import Model
package import SQL

package struct SMTPUser: Sendable {
    package let id: SMTPUserID
    package let vault: VaultID
    package let username: String
    package let label: String
    package let passwordHash: String
    package let createdAt: Timestamp
    package var lastUsedAt: Timestamp?

    package init(
        id: SMTPUserID, vault: VaultID, username: String, label: String, passwordHash: String, createdAt: Timestamp,
        lastUsedAt: Timestamp? = nil
    ) {
        self.id = id
        self.vault = vault
        self.username = username
        self.label = label
        self.passwordHash = passwordHash
        self.createdAt = createdAt
        self.lastUsedAt = lastUsedAt
    }

    package var caller: Caller {
        Caller(vault: vault, identity: .smtpUser(id), label: label, scopes: .send)
    }
}

package struct SMTPUserRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = "id, vault_id, username, label, password_hash, created_at, last_used_at"

    /// - Throws: `SQLError` with `.constraint` when the name is taken.
    package func insert(_ user: SMTPUser, in vault: VaultID) async throws {
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO smtp_relay_users (\(Self.columns)) VALUES (\(user.id.text), \(vault.text),
                    \(user.username), \(user.label), \(user.passwordHash), \(user.createdAt.milliseconds), NULL)
                """)
        }
    }

    package func delete(_ id: SMTPUserID, in vault: VaultID) async throws -> Bool {
        try await database.change(.callers) { connection in
            try connection.execute(
                "DELETE FROM smtp_relay_users WHERE id = \(id.text) AND vault_id = \(vault.text)") == 1
        }
    }

    package func list(in vault: VaultID, page: Page) async throws -> [SMTPUser] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM smtp_relay_users
                WHERE vault_id = \(vault.text) AND id > \(page.after) ORDER BY id LIMIT \(page.limit)
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

    /// Instance level: which of these users still exist.
    package func existing(among ids: [SMTPUserID]) async throws -> Set<SMTPUserID> {
        try await database.read { connection in
            Set(
                try connection.rows("SELECT id FROM smtp_relay_users WHERE id IN \(list: ids.map(\.text))").map {
                    SMTPUserID(stored: try $0.text(0))
                })
        }
    }

    private static func user(_ row: SQLRow) throws(SQLError) -> SMTPUser {
        SMTPUser(
            id: SMTPUserID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)), username: try row.text(2),
            label: try row.text(3), passwordHash: try row.text(4),
            createdAt: Timestamp(milliseconds: try row.integer(5)),
            lastUsedAt: try row.optionalInteger(6).map(Timestamp.init(milliseconds:)))
    }
}
