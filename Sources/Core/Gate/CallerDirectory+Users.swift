// Makes, changes and ends SMTP users.

package import Model
import SQL
package import Sealing
package import Store

extension CallerDirectory {
    /// The users within the caller's sight.
    package func users(for caller: Caller, page: Page) async throws -> [SMTPUser] {
        try await users.list(in: caller.vault, labelPrefix: caller.labelPrefix, page: page)
    }

    /// - Throws: `not_found`, also for a user out of the caller's sight.
    package func user(_ id: SMTPUserID, for caller: Caller) async throws -> SMTPUser {
        guard let user = try await users.find(id, in: caller.vault), caller.sees(label: user.label) else {
            throw Self.noUser
        }
        return user
    }

    /// Makes a login. One that a key asks for sends for no other domains and signs in from nowhere else than the key; a key
    /// that expires, has a rate limit of its own or is an agent's makes none, for a login would outlive and outrun it.
    /// - Throws: `conflict` where the name is taken, `forbidden` with every field that reaches too far.
    package func addUser(
        _ request: UserRequest,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> (user: SMTPUser, password: Secret<String>) {
        try caller?.checkText()
        let name = request.username ?? "smtp-\(RandomToken.text(8).lowercased())"
        let label = request.label ?? name
        try caller?.checkSight(label)
        let password = Secret(RandomToken.text(24))
        var asker: APIKey?
        if let key = caller?.key { asker = try await keys.find(key, in: vault) }
        let user = SMTPUser(
            id: ids.next(), vault: vault, username: name, label: label,
            passwordHash: try await verifier.hash(password), createdAt: clock.now(),
            allowedIPs: request.allowedIPs ?? asker?.allowedIPs,
            senderDomains: request.senderDomains ?? asker?.senderDomains, ipPool: request.ipPool ?? asker?.ipPool)
        do {
            try await users.insert(user, askedBy: caller?.key, in: vault, audit: audit) { asker in
                if let caller, caller.person == nil { try Self.check(user, asker, at: user.createdAt) }
            }
        } catch let error as SQLError where error.code == .constraint {
            throw PosternError(.conflict, "the user name is taken", fix: "Choose another user name.")
        }
        return (user, password)
    }

    /// Changes a login. Sessions that signed in before end where it is bound otherwise now.
    package func changeUser(
        _ id: SMTPUserID,
        _ change: UserChange,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> SMTPUser {
        try caller?.checkText()
        if let label = change.label { try caller?.checkSight(label) }
        return try await edit(id, by: caller, in: vault, audit: audit) { user in
            if let label = change.label { user.label = label }
            if let networks = change.allowedIPs { user.allowedIPs = networks }
            if let domains = change.senderDomains { user.senderDomains = domains }
            if let pool = change.ipPool { user.ipPool = pool }
        }
    }

    /// Gives a login a new password. The old one and the sessions that it opened end at once.
    package func rotateUser(
        _ id: SMTPUserID,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws -> (user: SMTPUser, password: Secret<String>) {
        try caller?.checkText()
        let password = Secret(RandomToken.text(24))
        let hash = try await verifier.hash(password)
        let user = try await edit(id, by: caller, in: vault, audit: audit) { $0.passwordHash = hash }
        return (user, password)
    }

    package func deleteUser(
        _ id: SMTPUserID,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker
    ) async throws {
        try caller?.checkText()
        let user = try await users.delete(id, in: vault, audit: audit) { user in
            if let caller, !caller.sees(label: user.label) { throw Self.noUser }
        }
        guard let user else { throw Self.noUser }
        authenticator.forget(user, isGone: true)
    }

    private func edit(
        _ id: SMTPUserID,
        by caller: Caller?,
        in vault: VaultID,
        audit: @escaping AuditMaker,
        _ edit: @escaping @Sendable (inout SMTPUser) -> Void
    ) async throws -> SMTPUser {
        let now = clock.now()
        let user = try await users.change(id, askedBy: caller?.key, in: vault, audit: audit) { old, asker in
            if let caller, !caller.sees(label: old.label) { throw Self.noUser }
            var new = old
            edit(&new)
            if let caller, caller.person == nil { try Self.check(new, asker, at: now) }
            return new
        }
        guard let user else { throw Self.noUser }
        authenticator.forget(user, isGone: false)
        return user
    }

    private static func check(_ user: SMTPUser, _ key: APIKey?, at now: Timestamp) throws(PosternError) {
        let asker = try Asker(key, at: now)
        try asker.check(Reach(user, under: asker.key), "an SMTP user")
    }

    private static let noUser = PosternError(.notFound, "there is no such SMTP user")
}
