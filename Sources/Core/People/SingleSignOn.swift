// Single sign-on by OpenID Connect: sends browsers to the provider, and begins sessions for those who come back with its word.

import Gate
import JSON
package import Logging
package import Model
package import OpenID
package import SQL
package import Sealing
import Store
package import Vaults

package final class SingleSignOn: Sendable {
    /// Where to send a browser, and what it has to bring back in a cookie.
    package struct Start: Sendable {
        package let url: String
        package let browser: Secret<String>
    }

    /// How a sign-in ended that was ours, and where the browser goes now.
    package struct Finish: Sendable {
        package enum Result: Sendable {
            case signedIn(SignedIn, page: String)
            /// To a program, with a code or with an error.
            case program(url: String)
            /// - Parameter retry: the page that was wanted.
            case refused(PosternError, retry: String)
        }

        package let result: Result
    }

    /// Seconds for which a browser may take its time at the provider.
    package static let patience = Int(SingleSignOnTicket.Question.lifetime)

    package let configuration: SingleSignOnConfiguration
    let provider: OpenIDProvider
    let claims: SingleSignOnClaims
    let repository: SingleSignOnRepository
    let users: UserRepository
    let attempts: SignInAttemptRepository
    let records: SignInRecords
    let vaults: VaultDirectory
    let sessions: SessionKeeper
    let directory: PeopleDirectory
    let clock: any WallClock
    let ids: IdentifierGenerator
    let logger: Logger
    private let desk: SignInDesk
    private let ticket: SingleSignOnTicket

    package init(
        configuration: SingleSignOnConfiguration, provider: OpenIDProvider, database: any SQLDatabase,
        instanceKey: InstanceKey, vaults: VaultDirectory, sessions: SessionKeeper, desk: SignInDesk,
        directory: PeopleDirectory, clock: any WallClock, ids: IdentifierGenerator, logger: Logger
    ) {
        self.configuration = configuration
        self.provider = provider
        claims = SingleSignOnClaims(configuration: configuration)
        repository = SingleSignOnRepository(database: database)
        users = UserRepository(database: database)
        attempts = SignInAttemptRepository(database: database)
        records = SignInRecords(clock: clock, ids: ids)
        self.vaults = vaults
        self.sessions = sessions
        self.desk = desk
        self.directory = directory
        self.clock = clock
        self.ids = ids
        self.logger = logger
        ticket = SingleSignOnTicket(key: instanceKey, tokens: OneTimeTokenRepository(database: database))
    }

    /// Begins a sign-in.
    /// - Parameters:
    ///   - isAgain: the person has to show the provider who they are, though it may know.
    ///   - person: who is signed in already and has to be the one who does; the session is renewed then.
    ///   - browser: what the browser has in its cookie from another sign-in of its own, if anything.
    /// - Throws: `sign_in_unavailable`.
    package func begin(
        to destination: SingleSignOnDestination,
        isAgain: Bool = false,
        person: Person? = nil,
        browser: Secret<String>? = nil
    ) async throws -> Start {
        // Two sign-ins at once in one browser share what binds them to it.
        let binding = browser.flatMap { Self.isBinding($0.reveal()) ? $0 : nil } ?? Secret(RandomToken.text(43))
        let verifier = Base64URL.encode(RandomToken.bytes(32))
        let question = SingleSignOnTicket.Question(
            nonce: Base64URL.encode(RandomToken.bytes(24)), verifier: Secret(verifier),
            browser: Self.digest(binding), destination: destination, isAgain: isAgain || person != nil,
            person: person?.id, session: person?.session, askedAt: clock.now())
        let request = AuthorizationRequest(
            state: try ticket.seal(question), nonce: question.nonce, challenge: ProofKey.challenge(for: verifier),
            redirect: configuration.redirect, scopes: configuration.scopes, prompt: question.isAgain ? .login : nil,
            maxAge: question.isAgain ? 0 : configuration.maxAge, loginHint: person?.email)
        do throws(OpenIDError) {
            return Start(url: try await provider.authorizationURL(request), browser: binding)
        } catch {
            throw describe(error)
        }
    }

    /// What a browser came back with.
    package struct Answer: Sendable {
        package let state: String
        package let code: Secret<String>?
        /// The provider's word for why there is no code (RFC 6749 §4.1.2.1).
        package let error: String?
        /// RFC 9207.
        package let issuer: String?

        package init(state: String, code: Secret<String>?, error: String?, issuer: String?) {
            self.state = state
            self.code = code
            self.error = error
            self.issuer = issuer
        }
    }

    /// Ends a sign-in.
    /// - Parameters:
    ///   - browser: what the browser has in its cookie.
    ///   - person: who is signed in in it.
    /// - Throws: `sign_in_refused` for an answer to a question that this browser did not ask, or not now, or answered before.
    package func finish(
        _ answer: Answer,
        browser: Secret<String>?,
        person: Person?,
        visit: Visit
    ) async throws -> Finish {
        let now = clock.now()
        guard let question = ticket.question(answer.state) else { throw Self.foreign }
        guard let browser, constantTimeEquals(Array(Self.digest(browser).utf8), Array(question.browser.utf8)) else {
            throw Self.foreign
        }
        let end = question.askedAt.adding(seconds: SingleSignOnTicket.Question.lifetime)
        guard now < end, question.askedAt.adding(seconds: -60) <= now else { throw Self.late }
        do {
            // Every answer costs a row and a question to the provider, so that a stranger's have an end.
            try await count(limit(of: visit))
        } catch let error as PosternError {
            return Finish(result: Self.refusal(error, question.destination))
        }
        guard try await ticket.spend(answer.state, until: end, at: now) else { throw Self.used }
        do {
            let token = try await token(answer, question)
            return try await finish(question, token, person, visit)
        } catch let error as PosternError {
            return Finish(result: Self.refusal(error, question.destination))
        }
    }

    /// Gives a program the session that it asked for.
    /// - Throws: `sign_in_refused`.
    package func redeem(code text: Secret<String>, verifier: Secret<String>, visit: Visit) async throws -> SignedIn {
        let now = clock.now()
        let refusal = PosternError(
            .signInRefused, "the code is not one of ours, has expired, was used, or is not yours to use",
            fix: "Begin again: postern login --sso.")
        guard let code = ticket.code(text) else { throw refusal }
        let end = code.madeAt.adding(seconds: SingleSignOnTicket.Code.lifetime)
        guard now < end, ProofKey.matches(verifier.reveal(), code.challenge),
            try await ticket.spend(text.reveal(), until: end, at: now), let user = try await users.find(code.user)
        else { throw refusal }
        return try await begin(user, code.authenticatedAt, visit)
    }

    /// The provider's word, once it is certain.
    private func token(
        _ answer: Answer,
        _ question: SingleSignOnTicket.Question
    ) async throws -> IDToken {
        do throws(OpenIDError) {
            guard try await provider.isAnswer(from: answer.issuer) else {
                throw OpenIDError(.invalidToken, "the answer is of another provider than was asked")
            }
        } catch {
            throw describe(error)
        }
        guard let code = answer.code else { throw Self.error(named: answer.error) }
        do throws(OpenIDError) {
            let token = try await provider.exchange(
                code: code, verifier: question.verifier, redirect: configuration.redirect, nonce: question.nonce,
                authenticatedSince: question.isAgain ? question.askedAt.seconds : nil, isComplete: claims.isComplete)
            return token
        } catch {
            throw describe(error)
        }
    }

    private func finish(
        _ question: SingleSignOnTicket.Question,
        _ token: IDToken,
        _ person: Person?,
        _ visit: Visit
    ) async throws -> Finish {
        let user = try await admit(token, expecting: question.person, visit: visit)
        if let limit = limit(of: visit) {
            try await attempts.settle(SignInSettlement(cleared: nil, returned: [limit]))
        }
        // A provider that does not say when somebody signed in there may have let them through on an old sign-in of theirs:
        // that opens a session, and is not enough for what wants a fresh one.
        let since = Timestamp(milliseconds: (token.authenticatedAt ?? 0) * 1000)
        switch question.destination {
        case .program(let program):
            let code = try ticket.seal(
                SingleSignOnTicket.Code(
                    user: user.id, challenge: program.challenge, issuer: token.issuer, authenticatedAt: since,
                    madeAt: clock.now()))
            return Finish(result: .program(url: program.url(["code": code.reveal()])))
        case .page(let page):
            if let person, person.id == user.id, person.id == question.person, person.session == question.session {
                let renewed = try await sessions.renew(person, method: .openID, authenticatedAt: since, visit: visit)
                return Finish(result: .signedIn(renewed, page: page))
            }
            return Finish(result: .signedIn(try await begin(user, since, visit), page: page))
        }
    }

    private func begin(_ user: User, _ since: Timestamp, _ visit: Visit) async throws -> SignedIn {
        try await desk.begin(
            user, method: .openID, authenticatedAt: since, visit: visit,
            detail: .object(JSONObject(["issuer": .string(provider.issuer)])))
    }

    private func limit(of visit: Visit) -> SignInLimit? {
        visit.address.map { .address($0, purpose: "openid", attempts: configuration.addressAttempts) }
    }

    private func count(_ limit: SignInLimit?) async throws {
        guard let limit else { return }
        let now = clock.now()
        let count = try await attempts.count(
            [limit], window: configuration.attemptWindow, at: now, tally: records.tally)
        if case .refused(let until) = count {
            throw PosternError(
                .tooManyAttempts, "there were too many failed sign-ins from this address",
                retryAfter: max(1, Int((until.milliseconds - now.milliseconds + 999) / 1000)))
        }
    }

    private func describe(_ error: OpenIDError) -> PosternError {
        logger.warning(
            "single sign-on failed", metadata: ["code": "\(error.code.rawValue)", "reason": "\(error.message)"])
        switch error.code {
        case .unreachable, .misconfigured: return PosternError(.signInUnavailable, error.message)
        case .refused, .invalidToken:
            return PosternError(
                .signInRefused, error.message, fix: "Sign in again; if it happens again, tell the operator.")
        }
    }

    private static func error(named name: String?) -> PosternError {
        switch name {
        case "access_denied":
            PosternError(.signInRefused, "the sign-in was refused or given up at the provider", fix: "Sign in again.")
        case "server_error", "temporarily_unavailable":
            PosternError(.signInUnavailable, "the provider cannot sign anybody in at the moment")
        case "login_required", "interaction_required", "account_selection_required", "consent_required":
            PosternError(.signInRefused, "the provider wants more of you than it got", fix: "Sign in again.")
        default:
            PosternError(
                .signInUnavailable, "the provider does not accept what it was asked",
                fix: "The operator compares POSTERN_OIDC_… with what is registered at the provider.")
        }
    }

    private static func refusal(_ error: PosternError, _ destination: SingleSignOnDestination) -> Finish.Result {
        switch destination {
        case .page(let page): .refused(error, retry: page)
        case .program(let program):
            .program(
                url: program.url([
                    "error": error.code == .signInUnavailable ? "temporarily_unavailable" : "access_denied",
                    "error_description": error.detail,
                ]))
        }
    }

    private static func digest(_ binding: Secret<String>) -> String {
        Base64URL.encode(Digest.sha256("browser:\(binding.reveal())"))
    }

    private static func isBinding(_ text: String) -> Bool {
        text.utf8.count == 43
            && text.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            }
    }

    private static let foreign = PosternError(
        .signInRefused, "this browser did not begin this sign-in",
        fix: "Sign in again from the start, in one browser, with cookies allowed.")
    private static let late = PosternError(
        .signInRefused, "the sign-in took longer than \(patience / 60) minutes", fix: "Sign in again.")
    private static let used = PosternError(
        .signInRefused, "the sign-in was finished before", fix: "Sign in again.")
}
