// Makes, changes and ends API keys. What it returns once is never shown again. `CallerDirectory+Users` does so for logins.

package import Model
package import SQL
package import Sealing
package import Store

/// `caller` is who asks, and bounds what comes of it; `nil` is the operator, who acts on the instance's own machine. Who
/// signed in by a retiring text of a key is refused everything that writes (`forbidden`).
package final class CallerDirectory: Sendable {
    package let keys: KeyRepository
    package let users: SMTPUserRepository
    let authenticator: Authenticator
    package let clock: any WallClock
    package let ids: IdentifierGenerator
    let verifier = PasswordVerifier()

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

    /// The keys within the caller's sight.
    package func keys(for caller: Caller, page: Page) async throws -> [APIKey] {
        try await keys.list(in: caller.vault, labelPrefix: caller.labelPrefix, page: page)
    }

    /// - Throws: `not_found`, also for a key out of the caller's sight.
    package func key(_ id: KeyID, for caller: Caller) async throws -> APIKey {
        guard let key = try await keys.find(id, in: caller.vault), caller.sees(label: key.label) else {
            throw Self.noKey
        }
        return key
    }

    /// Makes a key. One that a key asks for is its child: it can do no more, and ends with it.
    /// - Throws: `forbidden`, with every field that reaches too far, or `validation_failed`.
    package func issueKey(
        _ request: KeyRequest,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> (key: APIKey, text: Secret<String>) {
        try caller?.checkText()
        let (fresh, id, now) = (KeyText.make(), ids.next() as KeyID, clock.now())
        let key = try await keys.insert(under: caller?.key, in: vault, audit: audit) { parent in
            if let caller, caller.person == nil { _ = try Asker(parent?.key, at: now) }
            let key = try request.key(id, fresh, under: parent, in: vault, at: now)
            try caller?.checkRole(Reach(key), "a key")
            return key
        }
        return (key, fresh.text)
    }

    /// Gives a key a new text. It stays the same caller, by its id: in the log, for its idempotency keys, and for whoever
    /// revokes it later.
    /// - Parameter overlap: seconds for which the old text goes on; 0 ends it with the commit. One that was going on from an
    ///   earlier rotation ends now.
    /// - Throws: `not_found`, `conflict` for a key that has ended or is temporary, `forbidden` for a key that may do more than
    ///   the caller's: who renews a key's text holds it.
    package func rotateKey(
        _ id: KeyID,
        overlap: Int64 = 0,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> (key: APIKey, text: Secret<String>) {
        try caller?.checkText()
        let (fresh, now) = (KeyText.make(), clock.now())
        let rotated = try await keys.rotate(id, askedBy: caller?.key, in: vault, at: now, audit: audit) { key, asker in
            if let caller, !caller.sees(label: key.label) { throw Self.noKey }
            try key.checkRenewable(at: now)
            if let caller, caller.person != nil {
                try caller.checkRole(Reach(key), "a key that is rotated")
            } else if let caller, caller.key != id {
                try Asker(asker, at: now).check(Reach(key), "a key that is rotated")
            }
            let end = now.adding(seconds: Double(overlap))
            return KeyRepository.Renewal(
                prefix: fresh.prefix, digest: fresh.digest,
                oldEndsAt: overlap > 0 ? min(end, key.expiresAt ?? end) : nil)
        }
        guard let rotated else { throw Self.noKey }
        authenticator.forget(keys: [id])
        return (rotated, fresh.text)
    }

    /// Ends a key at once, with all that came from it. Ending it twice is no error.
    package func revokeKey(
        _ id: KeyID,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws {
        try caller?.checkText()
        let ended = try await keys.revoke(id, in: vault, at: clock.now(), audit: audit) { key in
            if let caller, !caller.sees(label: key.label) { throw Self.noKey }
        }
        guard let ended else { throw Self.noKey }
        authenticator.forget(keys: Set(ended).union([id]))
    }

    /// Gives a key another label, and changes nothing that it may do.
    package func relabelKey(
        _ id: KeyID,
        as label: String,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> APIKey {
        try caller?.checkText()
        let key = try await keys.relabel(id, as: label, in: vault, at: clock.now(), audit: audit) { key in
            if let caller, !caller.sees(label: key.label) { throw Self.noKey }
            try caller?.checkSight(label)
            try key.checkLabel(label)
        }
        guard let key else { throw Self.noKey }
        authenticator.forget(keys: [id])
        return key
    }

    private static let noKey = PosternError(.notFound, "there is no such key")
}
