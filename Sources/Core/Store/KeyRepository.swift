// API keys: the SHA-256 of each key, what it may do, and when it ends.

import JSON
import MIME
package import Model
package import SQL

package struct APIKey: Sendable {
    package enum Kind: String, Sendable, CaseIterable { case tool, agent }

    package let id: KeyID
    package let vault: VaultID
    /// The public part, `8` characters after `ak_`: finds the row, proves nothing.
    package var prefix: String
    /// SHA-256 of the whole key.
    package var digest: [UInt8]
    package let label: String
    package let kind: Kind
    package let scopes: Scopes
    package let isReadOnly: Bool
    package let senderDomains: [DomainPattern]?
    package let createdAt: Timestamp
    package let expiresAt: Timestamp?
    package var revokedAt: Timestamp?
    package var lastUsedAt: Timestamp?

    package init(
        id: KeyID, vault: VaultID, prefix: String, digest: [UInt8], label: String, kind: Kind, scopes: Scopes,
        isReadOnly: Bool, senderDomains: [DomainPattern]?, createdAt: Timestamp, expiresAt: Timestamp?,
        revokedAt: Timestamp? = nil, lastUsedAt: Timestamp? = nil
    ) {
        self.id = id
        self.vault = vault
        self.prefix = prefix
        self.digest = digest
        self.label = label
        self.kind = kind
        self.scopes = scopes
        self.isReadOnly = isReadOnly
        self.senderDomains = senderDomains
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.lastUsedAt = lastUsedAt
    }

    package var caller: Caller {
        Caller(
            vault: vault, identity: .key(id), label: label, scopes: scopes, isReadOnly: isReadOnly,
            senderDomains: senderDomains)
    }
}

package struct KeyRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    private static let columns: SQLStatement = """
        id, vault_id, prefix, digest, label, kind, scopes, read_only, sender_domains, created_at, expires_at, revoked_at,
        last_used_at
        """

    package func insert(_ key: APIKey, in vault: VaultID) async throws {
        let domains = key.senderDomains.map { String(decoding: JSONWriter.write($0.json), as: UTF8.self) }
        try await database.write { connection in
            try connection.execute(
                """
                INSERT INTO smtp_relay_api_keys (\(Self.columns)) VALUES (\(key.id.text), \(vault.text), \(key.prefix),
                    \(key.digest), \(key.label), \(key.kind.rawValue), \(key.scopes.stored), \(key.isReadOnly),
                    \(domains), \(key.createdAt.milliseconds), \(key.expiresAt?.milliseconds), NULL, NULL)
                """)
        }
    }

    /// Gives a key a new text; the old one ends in the same commit.
    /// - Parameters:
    ///   - old: the public part that is to end: of two that rotate a key at the same moment, one wins.
    ///   - key: the key with its new text.
    /// - Returns: false when the key is not there, has ended, or has another text by now; nothing was changed then.
    package func rotate(_ key: APIKey, from old: String, in vault: VaultID) async throws -> Bool {
        try await database.change(.callers) { connection in
            try connection.execute(
                """
                UPDATE smtp_relay_api_keys SET prefix = \(key.prefix), digest = \(key.digest)
                WHERE id = \(key.id.text) AND vault_id = \(vault.text) AND prefix = \(old) AND revoked_at IS NULL
                """) == 1
        }
    }

    /// - Returns: false when there is no such key, or it has ended already.
    package func revoke(_ id: KeyID, in vault: VaultID, at now: Timestamp) async throws -> Bool {
        try await database.change(.callers) { connection in
            try connection.execute(
                """
                UPDATE smtp_relay_api_keys SET revoked_at = \(now.milliseconds)
                WHERE id = \(id.text) AND vault_id = \(vault.text) AND revoked_at IS NULL
                """) == 1
        }
    }

    package func list(in vault: VaultID, page: Page) async throws -> [APIKey] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Self.columns) FROM smtp_relay_api_keys
                WHERE vault_id = \(vault.text) AND id > \(page.after) ORDER BY id LIMIT \(page.limit)
                """
            ).map(Self.key)
        }
    }

    package func find(_ id: KeyID, in vault: VaultID) async throws -> APIKey? {
        try await database.read { connection in
            try connection.row(
                """
                SELECT \(Self.columns) FROM smtp_relay_api_keys WHERE id = \(id.text) AND vault_id = \(vault.text)
                """
            ).map(Self.key)
        }
    }

    /// Instance level: the key whose public part this is; the vault is learnt from it.
    package func find(prefix: String) async throws -> APIKey? {
        try await database.read { connection in
            try connection.row("SELECT \(Self.columns) FROM smtp_relay_api_keys WHERE prefix = \(prefix)").map(Self.key)
        }
    }

    /// Instance level: remembers uses that were counted in memory.
    package func recordUses(_ uses: [KeyID: Timestamp]) async throws {
        try await database.write { connection in
            for (id, at) in uses.sorted(by: { $0.key < $1.key }) {
                try connection.execute(
                    "UPDATE smtp_relay_api_keys SET last_used_at = \(at.milliseconds) WHERE id = \(id.text)")
            }
        }
    }

    private static func key(_ row: SQLRow) throws -> APIKey {
        let domains = try row.optionalText(8).map { text in
            try [DomainPattern](json: JSONParser.parse(text))
        }
        return APIKey(
            id: KeyID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)), prefix: try row.text(2),
            digest: try row.blob(3), label: try row.text(4), kind: APIKey.Kind(rawValue: try row.text(5)) ?? .tool,
            scopes: Scopes(stored: try row.text(6)), isReadOnly: try row.bool(7), senderDomains: domains,
            createdAt: Timestamp(milliseconds: try row.integer(9)),
            expiresAt: try row.optionalInteger(10).map(Timestamp.init(milliseconds:)),
            revokedAt: try row.optionalInteger(11).map(Timestamp.init(milliseconds:)),
            lastUsedAt: try row.optionalInteger(12).map(Timestamp.init(milliseconds:)))
    }
}
