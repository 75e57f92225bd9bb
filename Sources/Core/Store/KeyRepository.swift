// API keys in the database: found by their public part, made under their parents, ended with their children.

import JSON
package import Model
package import SQL

package struct KeyRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// The key that issues another, as it is at the moment of the commit.
    package struct Parent: Sendable {
        package let key: APIKey
        /// Keys from the first one down to this, both counted.
        package let depth: Int
    }

    /// A text that a key goes by, now or for a while still.
    package struct Presented: Sendable {
        package let key: APIKey
        package let digest: [UInt8]
        /// When this text ends, though the key does not.
        package let endsAt: Timestamp?
    }

    /// A new text for a key.
    package struct Renewal: Sendable {
        package let prefix: String
        package let digest: [UInt8]
        /// Until when the old text goes on; `nil` ends it with the commit.
        package let oldEndsAt: Timestamp?

        package init(prefix: String, digest: [UInt8], oldEndsAt: Timestamp?) {
            self.prefix = prefix
            self.digest = digest
            self.oldEndsAt = oldEndsAt
        }
    }

    /// Adds a key.
    /// - Parameters:
    ///   - parent: the key that issues it.
    ///   - make: judges the parent (`nil` where there is none of this id in the vault) and makes the key.
    /// - Throws: what `make` threw.
    package func insert(
        under parent: KeyID?,
        in vault: VaultID,
        audit: @escaping AuditMaker,
        _ make: @escaping @Sendable (Parent?) throws -> APIKey
    ) async throws -> APIKey {
        try await database.write { connection in
            // Held until the commit: a parent that is revoked at this moment takes the child with it, or refuses it.
            let key = try make(try parent.flatMap { try connection.parent($0, in: vault) })
            if key.agent == key.id { try connection.checkRoomForAgent(in: vault, at: key.createdAt) }
            try connection.insert(key)
            try connection.record(audit(key.id.text, nil, .object(key.document(at: key.createdAt))), in: vault)
            return key
        }
    }

    /// Gives a key a new text. The old one ends with the commit, or goes on for a while; one that was going on ends now.
    /// - Parameters:
    ///   - asker: the key that asks for it, to be judged as well.
    ///   - renew: judges both and makes the new text.
    /// - Returns: the key as it is now; `nil` where there is none.
    package func rotate(
        _ id: KeyID,
        askedBy asker: KeyID?,
        in vault: VaultID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ renew: @escaping @Sendable (_ key: APIKey, _ asker: APIKey?) throws -> Renewal
    ) async throws -> APIKey? {
        try await database.change(.callers, unless: { $0 == nil }) { connection in
            guard let old = try connection.lockedKey(id, in: vault) else { return nil }
            let renewal = try renew(old, try asker.flatMap { try connection.key($0, in: vault) })
            try connection.endOldTexts(of: id, in: vault)
            if let end = renewal.oldEndsAt {
                try connection.send(
                    """
                    INSERT INTO retiring_key_texts (prefix, key_id, digest, ends_at)
                    VALUES (\(old.prefix), \(id.text), \(old.digest), \(end.milliseconds))
                    """)
            }
            try connection.send(
                """
                UPDATE smtp_relay_api_keys SET prefix = \(renewal.prefix), digest = \(renewal.digest)
                WHERE id = \(id.text) AND vault_id = \(vault.text)
                """)
            var key = old
            (key.prefix, key.digest, key.retiringUntil) = (renewal.prefix, renewal.digest, renewal.oldEndsAt)
            try connection.record(
                audit(id.text, .object(old.document(at: now)), .object(key.document(at: now))), in: vault)
            return key
        }
    }

    /// Ends a key, the texts it goes by and every key that came from it, in one commit.
    /// - Parameter judge: throws where the key must not be ended.
    /// - Returns: the keys that ended now; `nil` where there is no such key, empty where it had ended before.
    package func revoke(
        _ id: KeyID,
        in vault: VaultID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (APIKey) throws -> Void = { _ in }
    ) async throws -> [KeyID]? {
        try await database.change(.callers, unless: { $0?.isEmpty ?? true }) { connection in
            guard let key = try connection.lockedKey(id, in: vault) else { return nil }
            try judge(key)
            var ended: [KeyID] = []
            var generation = key.revokedAt == nil ? [key] : []
            // Level by level: a child that is being made at this moment is waited for, because its parent's row is held.
            while !generation.isEmpty {
                for var key in generation {
                    try connection.end(key.id, in: vault, at: now)
                    let before = key.document(at: now)
                    (key.revokedAt, key.retiringUntil) = (now, nil)
                    try connection.record(
                        audit(key.id.text, .object(before), .object(key.document(at: now))), in: vault)
                }
                ended += generation.map(\.id)
                generation = try connection.children(of: generation.map(\.id), in: vault)
            }
            return ended
        }
    }

    /// - Parameter judge: throws where the label must not become this.
    /// - Returns: the key as it is now; `nil` where there is none.
    package func relabel(
        _ id: KeyID,
        as label: String,
        in vault: VaultID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (APIKey) throws -> Void
    ) async throws -> APIKey? {
        try await database.change(.callers, unless: { $0 == nil }) { connection in
            guard let old = try connection.lockedKey(id, in: vault) else { return nil }
            try judge(old)
            try connection.send(
                "UPDATE smtp_relay_api_keys SET label = \(label) WHERE id = \(id.text) AND vault_id = \(vault.text)")
            var key = old
            key.label = label
            try connection.record(
                audit(id.text, .object(old.document(at: now)), .object(key.document(at: now))), in: vault)
            return key
        }
    }

    /// - Parameter labelPrefix: only keys whose label begins so.
    package func list(in vault: VaultID, labelPrefix: String? = nil, page: Page) async throws -> [APIKey] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(APIKey.columns) FROM smtp_relay_api_keys
                WHERE vault_id = \(vault.text) AND id > \(page.after) AND \(LabelPrefix.condition(labelPrefix))
                ORDER BY id LIMIT \(page.limit)
                """
            ).map(APIKey.init(row:))
        }
    }

    package func find(_ id: KeyID, in vault: VaultID) async throws -> APIKey? {
        try await database.read { connection in try connection.key(id, in: vault) }
    }

    /// Instance level: the key that goes by this text, by its public part; the vault is learnt from it.
    package func find(prefix: String) async throws -> Presented? {
        try await database.read { connection in
            if let row = try connection.row(
                "SELECT \(APIKey.columns) FROM smtp_relay_api_keys WHERE prefix = \(prefix)")
            {
                let key = try APIKey(row: row)
                return Presented(key: key, digest: key.digest, endsAt: nil)
            }
            guard
                let text = try connection.row(
                    "SELECT key_id, digest, ends_at FROM retiring_key_texts WHERE prefix = \(prefix)"),
                let row = try connection.row(
                    "SELECT \(APIKey.columns) FROM smtp_relay_api_keys WHERE id = \(text.text(0))")
            else { return nil }
            return Presented(
                key: try APIKey(row: row), digest: try text.blob(1),
                endsAt: Timestamp(milliseconds: try text.integer(2)))
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
}

extension SQLConnection {
    fileprivate func key(_ id: KeyID, in vault: VaultID) throws -> APIKey? {
        try row(
            "SELECT \(APIKey.columns) FROM smtp_relay_api_keys WHERE id = \(id.text) AND vault_id = \(vault.text)"
        ).map(APIKey.init(row:))
    }

    /// Of two that change a key at the same moment, the second sees what the first did.
    func lockedKey(_ id: KeyID, in vault: VaultID) throws -> APIKey? {
        try row(
            """
            SELECT \(APIKey.columns) FROM smtp_relay_api_keys
            WHERE id = \(id.text) AND vault_id = \(vault.text) /* lock */
            """
        ).map(APIKey.init(row:))
    }

    fileprivate func parent(_ id: KeyID, in vault: VaultID) throws -> KeyRepository.Parent? {
        guard let key = try lockedKey(id, in: vault) else { return nil }
        var (depth, above) = (1, key.parent)
        while let next = above {
            depth += 1
            above = try row(
                "SELECT parent_id FROM smtp_relay_api_keys WHERE id = \(next.text) AND vault_id = \(vault.text)"
            )?.optionalText(0).map(KeyID.init(stored:))
        }
        return KeyRepository.Parent(key: key, depth: depth)
    }

    fileprivate func children(of parents: [KeyID], in vault: VaultID) throws -> [APIKey] {
        try rows(
            """
            SELECT \(APIKey.columns) FROM smtp_relay_api_keys
            WHERE vault_id = \(vault.text) AND parent_id IN \(list: parents.map(\.text)) AND revoked_at IS NULL
            ORDER BY id /* lock */
            """
        ).map(APIKey.init(row:))
    }

    fileprivate func end(_ id: KeyID, in vault: VaultID, at now: Timestamp) throws(SQLError) {
        try endOldTexts(of: id, in: vault)
        try send(
            """
            UPDATE smtp_relay_api_keys SET revoked_at = \(now.milliseconds)
            WHERE id = \(id.text) AND vault_id = \(vault.text)
            """)
    }

    fileprivate func endOldTexts(of id: KeyID, in vault: VaultID) throws(SQLError) {
        try send(
            """
            DELETE FROM retiring_key_texts WHERE key_id = \(id.text)
                AND key_id IN (SELECT id FROM smtp_relay_api_keys WHERE vault_id = \(vault.text) AND id = \(id.text))
            """)
    }
}
