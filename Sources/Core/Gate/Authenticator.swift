// Finds out who is asking: by API key, or by SMTP user and password; and whether they may ask from where they are.

package import Logging
package import Model
package import SQL
package import Sealing
package import Store
import Synchronization

package final class Authenticator: Sendable {
    private struct State {
        /// Keys by the public part of a text they go by, as the database has them; dropped when a key changes.
        var keys: [String: KeyRepository.Presented] = [:]
        /// Logins that were right, under a code that only this process can make: scrypt runs once, not once a connection.
        var logins: [String: (code: [UInt8], user: SMTPUser)] = [:]
        var keyUses: [KeyID: Timestamp] = [:]
        var userUses: [SMTPUserID: Timestamp] = [:]
        /// Counts what was forgotten: a row that was read before something was forgotten is not remembered after it.
        var generation = 0
    }

    /// Entries of each cache; beyond it is emptied and fills again.
    private static let cacheLimit = 10_000
    /// How often a sign-in looks again because something changed while it looked.
    private static let looks = 100

    private let keys: KeyRepository
    private let users: SMTPUserRepository
    private let clock: any WallClock
    private let logger: Logger
    private let verifier = PasswordVerifier()
    private let mac = EphemeralMAC()
    private let register = SignInRegister()
    private let state = Mutex(State())

    package init(
        database: any SQLDatabase,
        clock: any WallClock,
        logger: Logger = Logger(label: "postern.authenticator")
    ) {
        keys = KeyRepository(database: database)
        users = SMTPUserRepository(database: database)
        self.clock = clock
        self.logger = logger
    }

    /// - Parameter address: where the caller is; a key with a list of networks is of no use where that is not known.
    /// - Throws: `unauthorized` with one sentence for every reason, or `SQLError`.
    package func authenticate(key text: Secret<String>, from address: String? = nil) async throws -> Caller {
        let now = clock.now()
        guard let prefix = KeyText.prefix(of: text) else { throw Self.badKey }
        guard let known = try await key(prefix: prefix),
            constantTimeEquals(Digest.sha256(text.reveal()), known.digest), known.key.isAlive(at: now),
            known.endsAt.map({ $0 > now }) ?? true
        else { throw Self.badKey }
        guard isExpected(known.key.allowedIPs, address, known.key.id.text) else { throw Self.badKey }
        state.withLock { $0.keyUses[known.key.id] = now }
        var caller = known.key.caller
        caller.isRetiring = known.endsAt != nil
        return caller
    }

    /// - Parameter address: where the caller is, as for a key.
    /// - Throws: `unauthorized` with one sentence for every reason, `overloaded`, or `SQLError`.
    package func authenticate(
        username: String,
        password: Secret<String>,
        from address: String? = nil
    ) async throws -> Caller {
        try await user(username, password, address).user.caller
    }

    /// As `authenticate`, for what lasts longer than one decision.
    package func signIn(
        username: String,
        password: Secret<String>,
        from address: String? = nil
    ) async throws -> SignIn {
        var (user, generation) = try await user(username, password, address)
        for _ in 0..<Self.looks {
            // Whatever is forgotten from here on ends the sign-in as well.
            let signIn = register.begin(user)
            let now = state.withLock { $0.generation }
            if now == generation { return signIn }
            generation = now
            guard let fresh = try await users.all(of: [user.id])[user.id], fresh.continues(user) else {
                throw Self.badLogin
            }
            user = fresh
        }
        throw PosternError(.overloaded, "the callers of this instance change too quickly to sign in")
    }

    /// Forgets keys that were changed or revoked.
    package func forget(keys ids: Set<KeyID>) {
        state.withLock { state in
            state.keys = state.keys.filter { !ids.contains($0.value.key.id) }
            state.generation += 1
        }
    }

    /// Forgets a login that was changed, and ends the sign-ins that may not go on.
    package func forget(_ user: SMTPUser, isGone: Bool) {
        state.withLock { state in
            state.logins[user.username] = nil
            state.generation += 1
        }
        register.compare([user.id: isGone ? nil : user])
    }

    /// Forgets everything that is remembered, because another process changed something; sign-ins whose login is not as it was
    /// end here too.
    package func forgetAll() async throws {
        state.withLock { state in
            state.keys = [:]
            state.logins = [:]
            state.generation += 1
        }
        let signedIn = register.users
        guard !signedIn.isEmpty else { return }
        let existing = try await users.all(of: signedIn)
        register.compare(Dictionary(uniqueKeysWithValues: signedIn.map { ($0, existing[$0]) }))
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

    private func key(prefix: String) async throws -> KeyRepository.Presented? {
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

    /// - Returns: the user, and the count of what was forgotten before its row was read.
    private func user(
        _ username: String,
        _ password: Secret<String>,
        _ address: String?
    ) async throws -> (user: SMTPUser, generation: Int) {
        let code = mac.code(for: password, context: username)
        let (known, generation) = state.withLock { ($0.logins[username], $0.generation) }
        if let known, constantTimeEquals(known.code, code) { return (try admit(known.user, address), generation) }
        let user = try await users.find(username: username)
        // A name that nobody has costs the same time as a wrong password.
        let matches = try await verifier.matches(password, hash: user?.passwordHash) { [self] in
            guard let known = state.withLock({ $0.logins[username] }), let user else { return false }
            return known.user.continues(user) && constantTimeEquals(known.code, code)
        } remember: { [self] in
            guard let user else { return }
            state.withLock { state in
                guard state.generation == generation else { return }
                if state.logins.count >= Self.cacheLimit { state.logins = [:] }
                state.logins[username] = (code, user)
            }
        }
        guard matches, let user else { throw Self.badLogin }
        return (try admit(user, address), generation)
    }

    private func admit(_ user: SMTPUser, _ address: String?) throws(PosternError) -> SMTPUser {
        guard isExpected(user.allowedIPs, address, user.id.text) else { throw Self.badLogin }
        state.withLock { $0.userUses[user.id] = clock.now() }
        return user
    }

    /// Whether a caller may come from there. Who may not learns no more than with a wrong key; the operator does.
    private func isExpected(_ networks: [IPNetwork]?, _ address: String?, _ id: String) -> Bool {
        guard let networks, !networks.contain(peer: address) else { return true }
        logger.notice(
            "a caller was refused, because its allowed_ips do not hold the address that it came from",
            metadata: ["caller": "\(id)", "address": "\(address ?? "unknown")"])
        return false
    }

    private static let badKey = PosternError(.unauthorized, "the API key is not valid, has expired or was revoked")
    private static let badLogin = PosternError(
        .unauthorized, "the user name or the password is wrong",
        fix: "Check both against the SMTP user that POST /v1/smtp-users answered with.")
}
