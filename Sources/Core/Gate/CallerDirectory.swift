// Makes and ends callers: API keys and SMTP users. What it returns once is never shown again.

package import Model
package import SQL
package import Sealing
package import Store

package final class CallerDirectory: Sendable {
    /// What a new key may do.
    package struct KeyRequest: Sendable {
        package var label: String
        package var kind: APIKey.Kind
        package var scopes: Scopes
        package var isReadOnly: Bool
        package var senderDomains: [DomainPattern]?
        package var expiresAt: Timestamp?

        package init(
            label: String, kind: APIKey.Kind, scopes: Scopes, isReadOnly: Bool = false,
            senderDomains: [DomainPattern]? = nil, expiresAt: Timestamp? = nil
        ) {
            self.label = label
            self.kind = kind
            self.scopes = scopes
            self.isReadOnly = isReadOnly
            self.senderDomains = senderDomains
            self.expiresAt = expiresAt
        }
    }

    package let keys: KeyRepository
    package let users: SMTPUserRepository
    private let authenticator: Authenticator
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let verifier = PasswordVerifier()

    package init(
        database: any SQLDatabase,
        authenticator: Authenticator,
        clock: any WallClock,
        ids: IdentifierGenerator
    ) {
        keys = KeyRepository(database: database)
        users = SMTPUserRepository(database: database)
        self.authenticator = authenticator
        self.clock = clock
        self.ids = ids
    }

    package func issueKey(_ request: KeyRequest, in vault: VaultID) async throws -> (key: APIKey, text: Secret<String>)
    {
        let fresh = KeyText.make()
        let key = APIKey(
            id: ids.next(), vault: vault, prefix: fresh.prefix, digest: fresh.digest, label: request.label,
            kind: request.kind, scopes: request.scopes, isReadOnly: request.isReadOnly,
            senderDomains: request.senderDomains, createdAt: clock.now(), expiresAt: request.expiresAt)
        try await keys.insert(key, in: vault)
        return (key, fresh.text)
    }

    /// Gives a key a new text; the old one ends with the same commit. It stays the same caller, by its id: in the log, for
    /// its idempotency keys, and for whoever revokes it later.
    /// - Throws: `not_found`, or `conflict` for a key that was revoked.
    package func rotateKey(_ id: KeyID, in vault: VaultID) async throws -> (key: APIKey, text: Secret<String>) {
        guard var key = try await keys.find(id, in: vault) else { throw Self.noKey }
        let old = key.prefix
        let fresh = KeyText.make()
        (key.prefix, key.digest) = (fresh.prefix, fresh.digest)
        guard try await keys.rotate(key, from: old, in: vault) else {
            throw PosternError(
                .conflict, "the key was revoked, or rotated at this very moment",
                fix: "Read the key; if it was revoked, issue a new one with POST /v1/keys.")
        }
        authenticator.forget(key: old)
        return (key, fresh.text)
    }

    /// Ends a key at once. Ending it twice is no error.
    package func revokeKey(_ id: KeyID, in vault: VaultID) async throws {
        _ = try await keys.revoke(id, in: vault, at: clock.now())
        // Read afterwards: a key that has ended is not rotated any more, so this is the text to forget.
        guard let key = try await keys.find(id, in: vault) else { throw Self.noKey }
        authenticator.forget(key: key.prefix)
    }

    /// - Parameter username: `nil` makes one up.
    package func addUser(
        username: String?,
        label: String?,
        in vault: VaultID
    ) async throws -> (user: SMTPUser, password: Secret<String>) {
        let name = username ?? "smtp-\(RandomToken.text(8).lowercased())"
        let password = Secret(RandomToken.text(24))
        let user = SMTPUser(
            id: ids.next(), vault: vault, username: name, label: label ?? name,
            passwordHash: try await verifier.hash(password), createdAt: clock.now())
        do {
            try await users.insert(user, in: vault)
        } catch let error as SQLError where error.code == .constraint {
            throw PosternError(.conflict, "the user name is taken", fix: "Choose another user name.")
        }
        return (user, password)
    }

    package func deleteUser(_ id: SMTPUserID, in vault: VaultID) async throws {
        guard let user = try await users.find(id, in: vault), try await users.delete(id, in: vault) else {
            throw PosternError(.notFound, "there is no such SMTP user")
        }
        authenticator.forget(user)
    }

    private static let noKey = PosternError(.notFound, "there is no such key")
}
