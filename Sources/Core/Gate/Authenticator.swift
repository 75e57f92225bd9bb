// Finds out who is asking: by API key, or by SMTP user and password.

package import Model
package import SQL
package import Sealing
package import Store
import Synchronization

package final class Authenticator: Sendable {
    private struct State {
        /// Keys by their public part, as the database has them; dropped when a key changes.
        var keys: [String: APIKey] = [:]
        /// Logins that were right, under a code that only this process can make: scrypt runs once, not once a connection.
        var logins: [String: (code: [UInt8], user: SMTPUser)] = [:]
        /// Users that were deleted while this process ran.
        var ended: Set<SMTPUserID> = []
        var keyUses: [KeyID: Timestamp] = [:]
        var userUses: [SMTPUserID: Timestamp] = [:]
        /// Counts what was forgotten: a row that was read before something was forgotten is not remembered after it.
        var generation = 0
    }

    /// Entries of each cache; beyond it is emptied and fills again.
    private static let cacheLimit = 10_000

    private let keys: KeyRepository
    private let users: SMTPUserRepository
    private let clock: any WallClock
    private let verifier = PasswordVerifier()
    private let mac = EphemeralMAC()
    private let state = Mutex(State())

    package init(database: any SQLDatabase, clock: any WallClock) {
        keys = KeyRepository(database: database)
        users = SMTPUserRepository(database: database)
        self.clock = clock
    }

    /// - Throws: `unauthorized` with one sentence for every reason, or `SQLError`.
    package func authenticate(key text: Secret<String>) async throws -> Caller {
        let now = clock.now()
        guard let prefix = KeyText.prefix(of: text) else { throw Self.badKey }
        guard let key = try await key(prefix: prefix),
            constantTimeEquals(Digest.sha256(text.reveal()), key.digest), key.revokedAt == nil,
            key.expiresAt.map({ $0 > now }) ?? true
        else { throw Self.badKey }
        state.withLock { $0.keyUses[key.id] = now }
        return key.caller
    }

    /// - Throws: `unauthorized` with one sentence for every reason, `overloaded`, or `SQLError`.
    package func authenticate(username: String, password: Secret<String>) async throws -> Caller {
        let now = clock.now()
        let code = mac.code(for: password, context: username)
        let (known, generation) = state.withLock { ($0.logins[username], $0.generation) }
        if let known, constantTimeEquals(known.code, code) {
            state.withLock { $0.userUses[known.user.id] = now }
            return known.user.caller
        }
        let user = try await users.find(username: username)
        // A name that nobody has costs the same time as a wrong password.
        let matches = try await verifier.matches(password, hash: user?.passwordHash) { [self] in
            guard let known = state.withLock({ $0.logins[username] }) else { return false }
            return known.user.id == user?.id && constantTimeEquals(known.code, code)
        } remember: { [self] in
            guard let user else { return }
            state.withLock { state in
                guard state.generation == generation else { return }
                if state.logins.count >= Self.cacheLimit { state.logins = [:] }
                state.logins[username] = (code, user)
            }
        }
        guard matches, let user else { throw Self.badLogin }
        state.withLock { $0.userUses[user.id] = now }
        return user.caller
    }

    /// Forgets a key that was changed or revoked.
    package func forget(key prefix: String) {
        state.withLock { state in
            state.keys[prefix] = nil
            state.generation += 1
        }
    }

    /// Forgets a login that was deleted.
    package func forget(_ user: SMTPUser) {
        state.withLock { state in
            state.logins[user.username] = nil
            state.ended.insert(user.id)
            state.generation += 1
        }
    }

    /// Forgets everything that is remembered, because another process changed something; logins that are gone end here too.
    package func forgetAll() async throws {
        let known = state.withLock { state in
            let known = state.logins.values.map(\.user.id)
            state.keys = [:]
            state.logins = [:]
            state.generation += 1
            return known
        }
        guard !known.isEmpty else { return }
        let existing = try await users.existing(among: known)
        state.withLock { $0.ended.formUnion(Set(known).subtracting(existing)) }
    }

    /// Whether a login that was right once still is: sessions last longer than decisions.
    package func isStillValid(_ caller: Caller) -> Bool {
        guard case .smtpUser(let id) = caller.identity else { return true }
        return state.withLock { !$0.ended.contains(id) }
    }

    /// Writes down when keys and logins were last used: one write for all, not one a request.
    package func flushUses() async throws {
        let (keyUses, userUses) = state.withLock { state in
            defer { (state.keyUses, state.userUses) = ([:], [:]) }
            return (state.keyUses, state.userUses)
        }
        if !keyUses.isEmpty { try await keys.recordUses(keyUses) }
        if !userUses.isEmpty { try await users.recordUses(userUses) }
    }

    private func key(prefix: String) async throws -> APIKey? {
        let (known, generation) = state.withLock { ($0.keys[prefix], $0.generation) }
        if let known { return known }
        guard let key = try await keys.find(prefix: prefix) else { return nil }
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.keys.count >= Self.cacheLimit { state.keys = [:] }
            state.keys[prefix] = key
        }
        return key
    }

    private static let badKey = PosternError(.unauthorized, "the API key is not valid, has expired or was revoked")
    private static let badLogin = PosternError(
        .unauthorized, "the user name or the password is wrong",
        fix: "Check both against the SMTP user that POST /v1/smtp-users answered with.")
}
