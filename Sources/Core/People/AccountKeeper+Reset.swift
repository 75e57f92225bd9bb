// Links that set a new password: asked for by mail, or made by an admin. Each works once, and only for a time.

import JSON
import Logging
package import Model
import SQL
package import Sealing
import ServiceLifecycle
package import Store

extension AccountKeeper: Service {
    /// Sends the links that people ask for, and tells them what happened to their accounts.
    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            for await letter in sessions.letters.stream {
                switch letter {
                case .reset(let email, let visit): await sendLink(email, visit)
                case .notice(let id, let notice, let address, let time): await tell(id, notice, address, time)
                }
            }
        }
    }

    /// Has a link sent to somebody who forgot the password. Whoever asks hears the same, whether there is such a user or not.
    /// - Throws: `too_many_attempts`, by the address that asks alone.
    package func requestReset(email: String, visit: Visit) async throws {
        let now = clock.now()
        let attempts = sessions.check.attempts
        let window = Double(configuration.attemptWindow)
        if let address = visit.address {
            let limit = SignInLimit.address(address, purpose: "resets-from", attempts: Self.resetsPerAddress)
            if case .refused(let until) = try await attempts.count(
                [limit], window: window, at: now, tally: records.tally)
            {
                throw SignInCheck.refused(until: until, at: now, "too many links were asked for from this address")
            }
        }
        guard SignInCheck.isPlausible(email) else { return }
        let limit = SignInLimit.account(email, purpose: "reset", attempts: Self.resetsPerAccount)
        // Who is sent enough of them is sent no more, and nobody hears of that either.
        if case .admitted = try await attempts.count([limit], window: window, at: now, tally: records.tally) {
            sessions.letters.add(.reset(email: email, visit))
        }
    }

    /// Makes a link for somebody, to be handed to them.
    /// - Returns: the whole link; the token stands after `#token=`, where no server and no log sees it.
    /// - Throws: `not_found` for who is unknown or not active.
    package func makeResetLink(for id: UserID, audit: @escaping AuditMaker) async throws -> Secret<String> {
        let (token, text) = makeToken(for: id, lifetime: configuration.givenResetLifetime)
        let user = try await links.insert(token, for: id) { user in
            audit(user.id.text, nil, .object(JSONObject(["change": .string("reset_link")])))
        }
        guard user != nil else { throw PosternError(.notFound, "there is no such user, or they are disabled") }
        return link(text)
    }

    /// Sets a new password by such a link. All sessions end, and failed attempts are forgotten; a second factor stays.
    /// - Throws: `invitation_invalid` for a link that does not work, `weak_password`; the link works on then.
    package func reset(token: Secret<String>, password: Secret<String>, visit: Visit) async throws {
        let digest = Digest.sha256(token.reveal())
        guard token.reveal().hasPrefix(Self.resetPrefix),
            let found = try await links.find(digest, purpose: Self.resetPurpose, at: clock.now()),
            let id = found.user, let user = try await users.find(id), user.isActive
        else { throw Self.badLink }
        let hash = try await hash(password, for: user.email, name: user.name)
        let records = records
        let changed = try await credentials.change(
            id, using: (digest, Self.resetPurpose), at: clock.now()
        ) { _, user in
            records.entry(
                .accountSecure, by: visit.actor(id: user.id.text, label: user.email), of: user.id.text,
                ["change": .string("password_reset")])
        } _: { now in
            guard now.user.isActive else { throw Self.badLink }
            var change = CredentialChange()
            change.passwordHash = hash
            change.endReason = SessionRecord.EndReason.passwordChanged
            change.unlocks = true
            return change
        }
        sessions.forget([id])
        guard changed != nil else { throw Self.badLink }
        sessions.tell(id, .passwordChanged, from: visit.address)
    }

    func makeToken(for user: UserID, lifetime: Int) -> (token: OneTimeToken, text: String) {
        let (text, now) = (Self.resetPrefix + RandomToken.text(43), clock.now())
        let token = OneTimeToken(
            digest: Digest.sha256(text), purpose: Self.resetPurpose, user: user, createdAt: now,
            expiresAt: now.adding(seconds: Double(lifetime)))
        return (token, text)
    }

    func link(_ token: String) -> Secret<String> {
        Secret("\(configuration.publicURL)/reset-password#token=\(token)")
    }

    private func sendLink(_ email: String, _ visit: Visit) async {
        do {
            guard let mail, configuration.passwordSignIn, let user = try await users.find(email: email) else { return }
            // Who signs in elsewhere, and not here, has nothing to forget.
            if !user.hasPassword, try await credentials.hasIdentity(user.id) { return }
            let (token, text) = makeToken(for: user.id, lifetime: configuration.resetLifetime)
            let records = records
            let found = try await links.insert(token, for: user.id) { user in
                records.entry(
                    .accountSecure, by: visit.actor(id: "stranger", label: user.email), of: user.id.text,
                    ["change": .string("reset_link"), "by_mail": .bool(true)])
            }
            guard found != nil else { return }
            let letter = PeopleLetter.passwordReset(link: link(text).reveal(), host: configuration.publicURL)
            try await mail.send(
                to: user.email, subject: letter.subject, text: letter.text,
                key: "reset/\(Digest.hexadecimal(token.digest).prefix(32))")
        } catch {
            logger.error(
                "a link that sets a password could not be sent",
                metadata: ["error": "\(PosternError(describing: error).code.rawValue)"])
        }
    }

    private func tell(
        _ id: UserID,
        _ notice: PeopleLetter.Notice,
        _ address: String?,
        _ time: Timestamp
    ) async {
        guard let mail, let user = try? await users.find(id) else { return }
        await mail.tell(
            user, of: notice, at: configuration.publicURL, from: address, when: time, logger: logger)
    }

    static let badLink = PosternError(
        .invitationInvalid, "the link does not work: it was used, it is too old, or it never was one")
}
