// What people do with their own accounts: passwords, links that set one, names; and what the machine's operator does.

import Gate
import JSON
package import Logging
package import Model
import SQL
package import Sealing
package import Store

package final class AccountKeeper: Sendable {
    static let resetPurpose = "password_reset"
    static let resetPrefix = "rst_"
    /// Links that one account is sent, and that one address may ask for, within `PeopleConfiguration.attemptWindow`.
    static let resetsPerAccount = 3
    static let resetsPerAddress = 20

    let sessions: SessionKeeper
    let credentials: UserCredentialRepository
    let users: UserRepository
    let links: OneTimeTokenRepository
    let mail: (any PeopleMail)?
    let logger: Logger

    /// - Parameter mail: sends links to those who forgot their password; without it admins make them.
    package init(
        sessions: SessionKeeper,
        mail: (any PeopleMail)?,
        logger: Logger = Logger(label: "postern.people")
    ) {
        self.sessions = sessions
        self.mail = mail
        self.logger = logger
        credentials = UserCredentialRepository(database: sessions.database)
        users = UserRepository(database: sessions.database)
        links = OneTimeTokenRepository(database: sessions.database)
    }

    var records: SignInRecords { sessions.records }
    var clock: any WallClock { sessions.clock }
    var configuration: PeopleConfiguration { sessions.configuration }

    /// Checks a new password by the rules and makes what is kept of it.
    /// - Parameters:
    ///   - email: whose it is to be, with the name: a password made of these is none.
    /// - Throws: `weak_password`.
    package func hash(_ password: Secret<String>, for email: String, name: String) async throws -> String {
        // The host is no secret either, and the product's name is among the words that everybody tries.
        try PasswordRules.check(password, about: [email, name])
        return try await sessions.check.verifier.hash(password)
    }

    /// Sets a new password. All other sessions of the person end; this one goes on.
    /// - Parameter current: the password until now; counted as an attempt, as in `reauthenticate`. Who has none yet gives none.
    /// - Throws: `unauthorized`, `too_many_attempts`, `weak_password`; `reauthentication_required` for a first password.
    package func changePassword(
        _ person: Person,
        current: Secret<String>?,
        new: Secret<String>,
        visit: Visit
    ) async throws {
        guard let known = try await credentials.find(person.id) else { throw SessionKeeper.badSession }
        if known.passwordHash == nil {
            try await setFirstPassword(person, new, visit)
        } else {
            let hash = try await hash(new, for: person.email, name: person.name)
            try await sessions.check.pass(
                // A session shows the second factor already; the password is what is asked for again.
                .init(
                    email: person.email, person: person.id, password: current, code: nil, wantsCode: false,
                    action: .accountSecure, visit: visit)
            ) { passed in
                try await store(
                    hash, for: person, change: "password", visit: visit, settling: passed.settlement
                ) { now in
                    guard now.passwordHash == passed.credentials.passwordHash, now.user.isActive else {
                        throw SignInCheck.Refusal.changed
                    }
                }
            }
        }
    }

    package func rename(_ person: Person, to name: String, visit: Visit) async throws -> User {
        let name = try Self.name(name)
        let records = records
        let user = try await users.change(
            person.id, at: clock.now(),
            audit: { id, before, after in
                records.entry(.accountWrite, by: visit.actor(person), of: id, before: before, after: after)
            },
            { user, _ in
                var user = user
                user.name = name
                return user
            })
        sessions.forget([person.id])
        guard let user else { throw SessionKeeper.badSession }
        return user
    }

    /// A name that can be shown: 1–120 characters, none of them invisible ones that would forge a line.
    /// - Throws: `validation_failed`.
    package static func name(_ text: String) throws(PosternError) -> String {
        let isPlain = !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
        let words = text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        guard isPlain, (1...120).contains(words.count), words.utf8.count <= 480 else {
            throw .validation([JSONProblem(pointer: "/name", message: "must be 1 to 120 characters on one line")])
        }
        return words
    }

    /// There is no password to ask for, so the sign-in has to be fresh: else a stolen session would make itself a way in that
    /// outlasts it.
    private func setFirstPassword(_ person: Person, _ new: Secret<String>, _ visit: Visit) async throws {
        guard person.authenticatedAt.adding(seconds: Gate.freshness) >= clock.now() else {
            throw PosternError(.reauthenticationRequired, "a first password wants a fresh sign-in")
        }
        let hash = try await hash(new, for: person.email, name: person.name)
        try await store(hash, for: person, change: "first_password", visit: visit, settling: nil) { now in
            guard now.passwordHash == nil, now.user.isActive else {
                throw PosternError(.conflict, "the account has a password by now")
            }
        }
    }

    private func store(
        _ hash: String,
        for person: Person,
        change: String,
        visit: Visit,
        settling settlement: SignInSettlement?,
        _ judge: @escaping @Sendable (UserCredentials) throws -> Void
    ) async throws {
        let records = records
        let user = try await credentials.change(person.id, settling: settlement, at: clock.now()) { _, _ in
            records.entry(
                .accountSecure, by: visit.actor(person), of: person.id.text, ["change": .string(change)])
        } _: { now in
            try judge(now)
            var change = CredentialChange()
            change.passwordHash = hash
            change.endReason = SessionRecord.EndReason.passwordChanged
            change.keeping = person.session
            return change
        }
        sessions.forget([person.id])
        guard user != nil else { throw SessionKeeper.badSession }
        sessions.tell(person.id, .passwordChanged, from: visit.address)
    }
}
