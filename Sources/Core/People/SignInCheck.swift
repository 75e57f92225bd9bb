// Finds out whether somebody is who they say: attempts are counted first, then the password is looked at, then the code.

import Gate
import JSON
import Model
import SQL
import Sealing
import Store

/// Everything that asks for a password or a code goes through here, so that no way around the limits is left.
struct SignInCheck: Sendable {
    /// Somebody who showed who they are. It holds once `use` said so, inside the transaction of what they wanted.
    struct Passed: Sendable {
        let credentials: UserCredentials
        let method: Person.Method
        /// What the attempt gives back, in that same transaction.
        let settlement: SignInSettlement
        fileprivate let proof: SecondFactor.Proof?

        var user: User { credentials.user }

        /// Uses up the code, of the user as they are now.
        func use(_ now: UserCredentials, _ evidence: SignInEvidence) throws {
            guard now.user.isActive else { throw Refusal.disabled }
            guard now.passwordHash == credentials.passwordHash, now.totpSecret == credentials.totpSecret else {
                throw Refusal.changed
            }
            if let proof, !(try SecondFactor.use(proof, evidence)) { throw Refusal.usedCode }
        }
    }

    /// Why the transaction of a sign-in ended without one.
    enum Refusal: String, Error {
        case password
        case code
        case usedCode = "used_code"
        case disabled
        case changed
    }

    /// Whose attempts count, and what is needed.
    struct Question: Sendable {
        let email: String
        /// Who is signed in and shows it again: their attempts count apart, so that no stranger's lock keeps them from it.
        var person: UserID?
        let password: Secret<String>?
        let code: Secret<String>?
        /// Whether somebody with a second factor has to give a code.
        var wantsCode = true
        /// What is written down of a failure.
        let action: Action
        let visit: Visit
    }

    let users: UserCredentialRepository
    let attempts: SignInAttemptRepository
    let verifier: PasswordVerifier
    let factor: SecondFactor
    let configuration: PeopleConfiguration
    let records: SignInRecords

    private static let addressLimit = 254
    /// How many times the limit of an account at one place it has at all places together.
    private static let places = 10

    /// - Parameter body: what they wanted, in one transaction that begins with `Passed.use`.
    /// - Throws: `unauthorized` with one sentence for every reason, `second_factor_required`, `too_many_attempts`,
    ///   `sign_in_refused`, `overloaded`, or what the body threw.
    func pass<Value: Sendable>(
        _ question: Question,
        _ body: (Passed) async throws -> Value
    ) async throws -> Value {
        let limits = limits(of: question)
        let counts = try await count(limits)
        do {
            return try await body(try await judge(question, limits))
        } catch let refusal as Refusal {
            throw try await failed(question, refusal, limits, counts)
        } catch {
            // Nobody was judged, or somebody was and has to come again with the code: that is no guess.
            let isAsked = (error as? PosternError)?.code == .secondFactorRequired
            let returned = limits.filter { !isAsked || !$0.isOfAccount }
            try? await attempts.settle(SignInSettlement(cleared: nil, returned: returned))
            throw error
        }
    }

    private func judge(_ question: Question, _ limits: [SignInLimit]) async throws -> Passed {
        let known = try await users.find(email: question.email)
        if let password = question.password {
            // A name that nobody has costs the same time as a wrong password.
            let matches = try await verifier.matches(password, hash: known?.passwordHash)
            guard matches else { throw Refusal.password }
        } else if known?.passwordHash != nil || known?.totpSecret == nil {
            throw Refusal.password
        }
        guard let known else { throw Refusal.password }
        var proof: SecondFactor.Proof?
        if known.user.hasSecondFactor, question.wantsCode {
            guard let code = question.code else {
                throw PosternError(.secondFactorRequired, "the account has a second factor, and the request no code")
            }
            proof = try factor.proof(code, of: known, at: records.clock.now())
            if proof == nil { throw Refusal.code }
        }
        guard known.user.isActive else { throw Refusal.disabled }
        let settlement = SignInSettlement(
            cleared: limits.filter(\.isOfAccount), returned: limits.filter { !$0.isOfAccount })
        return Passed(
            credentials: known, method: proof == nil ? .password : .secondFactor, settlement: settlement, proof: proof)
    }

    /// The address before the account, and what is widest of the account last: that one tells how often it was tried.
    private func limits(of question: Question) -> [SignInLimit] {
        let (perAccount, address) = (configuration.accountAttempts, question.visit.address)
        if let person = question.person { return [.again(person, attempts: perAccount)] }
        var limits: [SignInLimit] = []
        if let address { limits.append(.address(address, attempts: configuration.addressAttempts)) }
        if Self.isPlausible(question.email) {
            limits.append(.account(question.email, from: address, attempts: perAccount))
            limits.append(.account(question.email, attempts: perAccount * Self.places))
        }
        return limits
    }

    private func count(_ limits: [SignInLimit]) async throws -> [Int] {
        let now = records.clock.now()
        let count = try await attempts.count(
            limits, window: Double(configuration.attemptWindow), at: now, tally: records.tally)
        switch count {
        case .admitted(let counts): return counts
        case .refused(let until):
            throw Self.refused(
                until: until, at: now, "there were too many failed attempts for this account, or from this address")
        }
    }

    /// Writes a failure down: the first of its time, the one that locks, and every one with the right password. How many
    /// there were in between is said by the next record.
    private func failed(
        _ question: Question,
        _ refusal: Refusal,
        _ limits: [SignInLimit],
        _ counts: [Int]
    ) async throws -> PosternError {
        let isLast = zip(limits, counts).contains { $1 == $0.attempts }
        let isWorthIt = refusal != .password || counts.last ?? 1 == 1 || isLast
        if isWorthIt {
            let isLocked = zip(limits, counts).contains { $1 >= $0.attempts }
            let known = try await users.find(email: question.email)?.user
            let label = Self.isPlausible(question.email) ? question.email : ""
            let actor = question.visit.actor(id: known?.id.text ?? "stranger", label: label)
            try await attempts.record(
                records.entry(
                    question.action, by: actor, of: known?.id.text ?? "users",
                    [
                        "attempts": counts.last.map { .integer(Int64($0)) }, "locked": isLocked ? .bool(true) : nil,
                    ], failingBecause: refusal.rawValue))
        }
        return refusal == .disabled ? Self.disabled : Self.wrong
    }

    /// Whether it could be somebody's address; what cannot, such as a password in the wrong field, is written down nowhere.
    static func isPlausible(_ email: String) -> Bool {
        email.utf8.count <= addressLimit && email.contains("@")
            && !email.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    static func refused(until: Timestamp, at now: Timestamp, _ detail: String) -> PosternError {
        let seconds = Int((until.milliseconds - now.milliseconds + 999) / 1000)
        return PosternError(.tooManyAttempts, detail, retryAfter: max(1, seconds))
    }

    static let disabled = PosternError(.signInRefused, "the account is disabled")
    static let wrong = PosternError(
        .unauthorized, "the address, the password or the code is wrong",
        fix: "Check them; POST /auth/password/forgot sends a link that sets a new password.")
}
