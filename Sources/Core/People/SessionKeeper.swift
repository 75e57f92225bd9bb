// Knows who is signed in: by cookie or access token, both of which are looked up, so that a session that ended is over.

import Gate
import JSON
package import Logging
package import Model
package import SQL
package import Sealing
import Store
import Synchronization
package import Vaults

package final class SessionKeeper: Sendable {
    private struct State {
        /// Sessions and their people, as the database has them; dropped when either changes.
        var standings: [SessionID: SessionStanding] = [:]
        /// Sessions by the digest of their cookie.
        var cookies: [[UInt8]: SessionID] = [:]
        var uses: [SessionID: Timestamp] = [:]
        /// Counts what was forgotten: what was read before something was forgotten is not remembered after it.
        var generation = 0
    }

    /// Entries of the cache; beyond it is emptied and fills again.
    private static let cacheLimit = 10_000
    static let cookieLength = 43
    static let refreshPrefix = "rt_"

    package let configuration: PeopleConfiguration
    package let clock: any WallClock
    let ids: IdentifierGenerator
    let repository: SessionRepository
    let records: SignInRecords
    let check: SignInCheck
    let factor: SecondFactor
    let database: any SQLDatabase
    let letters = AccountLetters()
    let logger: Logger
    private let tokens: AccessToken
    private let state = Mutex(State())

    package init(
        database: any SQLDatabase,
        instanceKey: InstanceKey,
        configuration: PeopleConfiguration,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger = Logger(label: "postern.people")
    ) async {
        self.database = database
        self.configuration = configuration
        self.clock = clock
        self.ids = ids
        self.logger = logger
        repository = SessionRepository(database: database)
        records = SignInRecords(clock: clock, ids: ids)
        factor = SecondFactor(key: instanceKey)
        check = SignInCheck(
            users: UserCredentialRepository(database: database),
            attempts: SignInAttemptRepository(database: database), verifier: PasswordVerifier(), factor: factor,
            configuration: configuration, records: records)
        tokens = await AccessToken(
            key: instanceKey.derived("access tokens"), lifetime: configuration.accessLifetime)
    }

    /// - Throws: `unauthorized` with one sentence for every reason, or `SQLError`.
    package func person(accessToken: Secret<String>) async throws -> Person {
        let now = clock.now()
        guard let claims = await tokens.verify(accessToken, at: now) else { throw Self.badSession }
        guard let standing = try await standing(claims.session), standing.user.id == claims.user,
            standing.user.isActive, standing.session.isAlive(at: now)
        else { throw Self.badSession }
        use(standing.session.id, at: now)
        return standing.person
    }

    /// - Throws: `unauthorized` with one sentence for every reason, or `SQLError`.
    package func person(cookie: Secret<String>) async throws -> Person {
        let now = clock.now()
        guard cookie.reveal().utf8.count == Self.cookieLength else { throw Self.badSession }
        let digest = Digest.sha256(cookie.reveal())
        guard var standing = try await standing(cookie: digest), standing.user.isActive,
            standing.session.isAlive(at: now)
        else { throw Self.badSession }
        if end(of: standing.session, at: now) != nil {
            // Another process may have seen it in use since we read it.
            forget(standing.session.id)
            guard let fresh = try await self.standing(cookie: digest), fresh.user.isActive,
                fresh.session.isAlive(at: now)
            else { throw Self.badSession }
            if let reason = end(of: fresh.session, at: now) {
                try await expire(fresh, reason, now)
                throw Self.badSession
            }
            standing = fresh
        }
        use(standing.session.id, at: now)
        return standing.person
    }

    /// Forgets what is remembered of these people. Whoever changes them, or their memberships, calls it after the commit.
    package func forget(_ users: Set<UserID>) {
        forget(where: { users.contains($0.user.id) })
    }

    func forget(_ session: SessionID) { forget(where: { $0.session.id == session }) }

    private func forget(where isOutdated: (SessionStanding) -> Bool) {
        state.withLock { state in
            for standing in state.standings.values where isOutdated(standing) {
                state.standings[standing.session.id] = nil
                state.cookies[standing.cookie] = nil
            }
            state.generation += 1
        }
    }

    /// Forgets everything that is remembered, because another process changed people.
    package func forgetAll() async throws {
        state.withLock { state in
            state.standings = [:]
            state.cookies = [:]
            state.generation += 1
        }
    }

    /// Writes down when sessions were last used: one write for all, not one a request.
    package func flushUses() async throws {
        let uses = state.withLock { state in
            defer { state.uses = [:] }
            return state.uses
        }
        if !uses.isEmpty { try await repository.recordUses(uses) }
    }

    /// Has somebody told what happened to their account.
    /// - Parameter address: where the request came from; `nil`: somebody else did it.
    func tell(_ user: UserID, _ notice: PeopleLetter.Notice, from address: String?) {
        letters.add(.notice(user, notice, address: address, at: clock.now()))
    }

    /// The texts that a session goes by from now on, and what is kept of them.
    static func makeTexts() -> (cookie: Secret<String>, refresh: Secret<String>, digests: SessionRepository.Texts) {
        let (cookie, refresh) = (RandomToken.text(cookieLength), refreshPrefix + RandomToken.text(cookieLength))
        return (
            Secret(cookie), Secret(refresh),
            SessionRepository.Texts(cookie: Digest.sha256(cookie), refresh: Digest.sha256(refresh))
        )
    }

    func signedIn(
        _ standing: SessionStanding,
        cookie: Secret<String>,
        refresh: Secret<String>
    ) async throws -> SignedIn {
        let person = standing.person
        return SignedIn(
            person: person, cookie: cookie, accessToken: try await tokens.make(for: person, at: clock.now()),
            refreshToken: refresh, expiresIn: configuration.accessLifetime)
    }

    private func use(_ session: SessionID, at now: Timestamp) {
        state.withLock { state in
            state.uses[session] = now
            state.standings[session]?.session.lastUsedAt = now
        }
    }

    private func standing(_ id: SessionID) async throws -> SessionStanding? {
        let (known, generation) = state.withLock { ($0.standings[id], $0.generation) }
        if let known { return known }
        guard let standing = try await repository.find(id) else { return nil }
        remember(standing, generation)
        return standing
    }

    private func standing(cookie digest: [UInt8]) async throws -> SessionStanding? {
        let (known, generation) = state.withLock { state in
            (state.cookies[digest].flatMap { state.standings[$0] }, state.generation)
        }
        // A session that goes by another cookie now is not remembered under this one.
        if let known, known.cookie == digest { return known }
        guard let standing = try await repository.find(cookie: digest) else { return nil }
        remember(standing, generation)
        return standing
    }

    private func remember(_ standing: SessionStanding, _ generation: Int) {
        state.withLock { state in
            guard state.generation == generation else { return }
            if state.standings.count >= Self.cacheLimit { (state.standings, state.cookies) = ([:], [:]) }
            state.standings[standing.session.id] = standing
            state.cookies[standing.cookie] = standing.session.id
        }
    }

    /// Why a cookie is good for nothing any more, though its session lives.
    private func end(of session: SessionRecord, at now: Timestamp) -> String? {
        let lastUse = state.withLock { state in max(session.lastUsedAt, state.uses[session.id] ?? session.lastUsedAt) }
        if session.createdAt.adding(seconds: Double(configuration.sessionLifetime)) <= now {
            return SessionRecord.EndReason.expired
        }
        if lastUse.adding(seconds: Double(configuration.sessionIdle)) <= now { return SessionRecord.EndReason.idle }
        return nil
    }

    /// A cookie that comes too late takes its session with it.
    private func expire(_ standing: SessionStanding, _ reason: String, _ now: Timestamp) async throws {
        let actor = Actor(id: standing.user.id.text, label: standing.user.email, door: "http")
        let records = records
        _ = try await repository.end(standing.session.id, of: standing.user.id, reason: reason, at: now) { _, session in
            records.entry(.sessionEnd, by: actor, of: session.id.text, ["reason": .string(reason)])
        }
        forget(standing.session.id)
    }

    static let badSession = PosternError(
        .unauthorized, "the sign-in is not valid, has expired or was ended",
        fix: "Sign in again (POST /auth/login, postern login).")
}
