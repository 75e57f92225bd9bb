// Invitations, as those see them who got one: shown, and accepted once, by the one whom they are addressed to.

import JSON
package import Model
package import Sealing
package import Store
import Vaults

extension PeopleDirectory {
    /// What somebody who has the link is told.
    package struct Offered: Sendable {
        package let invitation: Invitation
        /// The address of who invites.
        package let inviter: String
        package let vaults: [(slug: String, name: String, role: VaultRole)]
        /// Whether to sign in instead of choosing a password.
        package let hasAccount: Bool
    }

    /// What came of an acceptance.
    package enum Welcome: Sendable {
        /// A new account, and its first session.
        case signedIn(SignedIn, Profile)
        /// New memberships of an account that is signed in already.
        case joined(Profile)
    }

    /// - Throws: `invitation_invalid`, one sentence for every reason; `too_many_attempts` for who tries texts.
    package func offered(by token: Secret<String>, visit: Visit) async throws -> Offered {
        try await counting(visit) { [self] in
            let (invitation, inviter) = try await valid(token)
            var vaults: [(slug: String, name: String, role: VaultRole)] = []
            for grant in invitation.grants {
                guard let vault = try await self.vaults.find(grant.vault.text) else { continue }
                vaults.append((vault.slug, vault.name, grant.role))
            }
            return Offered(
                invitation: invitation, inviter: inviter.email, vaults: vaults,
                hasAccount: try await users.find(email: invitation.email) != nil)
        }
    }

    /// Accepts an invitation: with a name and a password for a new account, or signed in with the one that has the address.
    /// - Throws: `invitation_invalid`, `unauthorized` where there is an account and nobody is signed in, `forbidden` where it is
    ///   another's, `validation_failed`, `weak_password`, `plan_limit_reached`, `too_many_attempts`.
    package func accept(
        token: Secret<String>,
        name: String?,
        password: Secret<String>?,
        signedIn: Person?,
        visit: Visit
    ) async throws -> Welcome {
        let (invitation, account) = try await counting(visit) { [self] in
            let invitation = try await valid(token).invitation
            return (invitation, try await users.find(email: invitation.email))
        }
        if let account { return .joined(try await join(token, invitation, account, signedIn, visit)) }
        guard configuration.passwordSignIn else {
            throw PosternError(
                .signInRefused, "accounts of this instance have no password",
                fix: "Sign in by single sign-on with the address that was invited; the invitation is accepted then.")
        }
        var problems: [JSONProblem] = []
        if name == nil { problems.append(JSONProblem(pointer: "/name", message: "is required")) }
        if password == nil { problems.append(JSONProblem(pointer: "/password", message: "is required")) }
        guard problems.isEmpty, let name, let password else { throw PosternError.validation(problems) }
        let hash = try await accounts.hash(password, for: invitation.email, name: name)
        let guest = InvitationRepository.Guest.new(ids.next(), name: name, passwordHash: hash)
        let entry = try await use(token, invitation, guest, visit)
        let profile = try await profiles(of: [entry.user])[0]
        return .signedIn(
            try await desk.begin(
                entry.user, method: .password, visit: visit,
                detail: .object(JSONObject(["invitation": .string(invitation.id.text)]))), profile)
    }

    /// Takes in somebody whose address a sign-in service vouches for, by all the invitations that wait for it. They get no
    /// password.
    /// - Returns: the new account; `nil` where no invitation waits.
    package func admit(verified email: String, name: String, visit: Visit) async throws -> User? {
        let now = clock.now()
        let entry = try await invitations.acceptAll(
            for: email, by: .new(ids.next(), name: name, passwordHash: nil),
            at: now, audit: audits(visit)
        ) { offer in
            try InvitationRule(offer.by).check(offer.invitation)
        }
        return entry?.user
    }

    private func join(
        _ token: Secret<String>,
        _ invitation: Invitation,
        _ account: User,
        _ signedIn: Person?,
        _ visit: Visit
    ) async throws -> Profile {
        guard let signedIn else {
            throw PosternError(
                .unauthorized, "there is an account with the address that was invited, and nobody is signed in",
                fix: "Sign in with it (POST /auth/login), then accept the invitation without name and password.")
        }
        guard signedIn.id == account.id else {
            throw PosternError(
                .forbidden, "the invitation is for another address than \(signedIn.email)",
                fix: "Sign in with the address that was invited.")
        }
        let entry = try await use(token, invitation, .known(account.id), visit)
        sessions.forget([account.id])
        return try await profiles(of: [entry.user])[0]
    }

    private func use(
        _ token: Secret<String>,
        _ invitation: Invitation,
        _ guest: InvitationRepository.Guest,
        _ visit: Visit
    ) async throws -> InvitationRepository.Entry {
        let now = clock.now()
        let entry = try await invitations.accept(
            digest: InvitationText.digest(of: token), by: guest, at: now,
            audit: audits(visit)
        ) { offer in
            guard let offer, Self.isGood(offer.invitation, offer.by, at: now) else { throw Self.invalid }
        }
        guard let entry else { throw Self.invalid }
        return entry
    }

    /// - Throws: `invitation_invalid`.
    private func valid(_ token: Secret<String>) async throws -> (invitation: Invitation, inviter: User) {
        guard let (invitation, by) = try await invitations.find(digest: InvitationText.digest(of: token)),
            Self.isGood(invitation, by, at: clock.now()), let inviter = by.user
        else { throw Self.invalid }
        return (invitation, inviter)
    }

    private static func isGood(
        _ invitation: Invitation,
        _ by: InvitationRepository.Standing,
        at now: Timestamp
    ) -> Bool {
        guard invitation.state(at: now) == .pending else { return false }
        do throws(PosternError) {
            try InvitationRule(by).check(invitation)
            return true
        } catch {
            return false
        }
    }

    /// Entries of whoever accepts.
    private func audits(_ visit: Visit) -> @Sendable (User) -> AuditMaker {
        { [clock, ids] user in
            { resource, before, after in
                AuditEntry(
                    id: ids.next(), at: clock.now(), actor: visit.actor(id: user.id.text, label: user.email),
                    action: Action.invitationWrite.rawValue, resource: resource, before: before, after: after)
            }
        }
    }

    /// A wrong text counts against the address that it comes from, apart from its sign-ins.
    private func counting<Value>(_ visit: Visit, _ body: () async throws -> Value) async throws -> Value {
        guard let address = visit.address else { return try await body() }
        let limit = SignInLimit.address(address, purpose: "invitation", attempts: configuration.addressAttempts)
        let now = clock.now()
        if case .refused(let until) = try await attempts.count(
            [limit], window: Double(configuration.attemptWindow), at: now, tally: sessions.records.tally)
        {
            throw PosternError(
                .tooManyAttempts, "too many links that do not work came from this address",
                retryAfter: max(Int(until.milliseconds - now.milliseconds + 999) / 1000, 1))
        }
        let value = try await body()
        try await attempts.settle(SignInSettlement(cleared: nil, returned: [limit]))
        return value
    }

    static let invalid = PosternError(.invitationInvalid, "there is no invitation that this link is good for")
}
