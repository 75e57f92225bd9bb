// Invitations, as those see them who make them: made, listed, sent again, revoked.

package import Model
import Sealing
package import Store
import Vaults

extension PeopleDirectory {
    /// What an invitation offers.
    package struct InvitationRequest: Sendable {
        package let email: String
        package let role: InstanceRole
        package let grants: [Invitation.Grant]
        /// The vault whose owner invites; `nil`: the instance.
        package let vault: VaultID?

        package init(email: String, role: InstanceRole, grants: [Invitation.Grant] = [], vault: VaultID? = nil) {
            self.email = email
            self.role = role
            self.grants = grants
            self.vault = vault
        }
    }

    /// Seconds between two letters for one invitation.
    private static let letterPause: Double = 60

    /// Invites an address. Whether somebody has an account with it makes no difference to the answer.
    /// - Throws: `forbidden`, `conflict` for a repetition and where too many wait, `plan_limit_reached`.
    package func invite(
        _ request: InvitationRequest,
        by person: Person,
        audit: @escaping AuditMaker
    ) async throws -> (invitation: Invitation, link: Handover) {
        let now = clock.now()
        let (text, digest) = InvitationText.make()
        let invitation = Invitation(
            id: ids.next(), email: request.email, role: request.role, grants: request.grants, invitedBy: person.id,
            vault: request.vault, createdAt: now, expiresAt: now.adding(seconds: Invitation.lifetime))
        try await invitations.insert(invitation, digest: digest, audit: audit) { scene in
            try Self.check(invitation, scene)
        }
        return (invitation, try await send(invitation, text, by: person))
    }

    /// Gives an invitation a new link, and its whole time again. Whoever does so answers for it from now on.
    /// - Parameter vault: the vault that it has to be of; `nil`: any, and the instance's.
    /// - Throws: `not_found`, `conflict` where it was used or revoked, `too_many_attempts` right after a letter, and as
    ///   `invite`.
    package func resend(
        _ id: InvitationID,
        of vault: VaultID? = nil,
        by person: Person,
        audit: @escaping AuditMaker
    ) async throws -> (invitation: Invitation, link: Handover) {
        let (now, pause) = (clock.now(), mail == nil ? 0 : Self.letterPause)
        let (text, digest) = InvitationText.make()
        let renewed = try await invitations.renew(
            id, digest: digest, of: vault, by: person.id, at: now, audit: audit
        ) { old, scene in
            switch old.state(at: now) {
            case .pending, .expired: break
            case .accepted, .revoked:
                throw PosternError(
                    .conflict, "the invitation is \(old.state(at: now).rawValue)", fix: "Make another one.")
            }
            let next = old.issuedAt.adding(seconds: pause)
            guard next <= now else {
                throw PosternError(
                    .tooManyAttempts, "a letter for this invitation was sent a moment ago",
                    retryAfter: Int(next.milliseconds - now.milliseconds + 999) / 1000)
            }
            var new = old
            new.invitedBy = person.id
            try Self.check(new, scene)
        }
        guard let renewed else { throw Self.noInvitation }
        return (renewed, try await send(renewed, text, by: person))
    }

    /// Ends an invitation. One that was used or revoked stays as it was.
    /// - Throws: `not_found`, `conflict` where it was used, `forbidden` for one that offers a role above the asker's.
    package func revoke(
        _ id: InvitationID,
        of vault: VaultID? = nil,
        by person: Person,
        audit: @escaping AuditMaker
    ) async throws {
        let invitation = try await invitations.revoke(
            id, of: vault, by: person.id, at: clock.now(), audit: audit
        ) { old, asker in
            guard let user = asker.user, user.isActive, old.role <= user.role || asker.owns(old.vault) else {
                throw PosternError(
                    .forbidden, "the invitation offers a role above yours", fix: "Ask somebody who has that role.")
            }
        }
        guard let invitation else { throw Self.noInvitation }
        guard invitation.acceptedAt == nil else {
            throw PosternError(
                .conflict, "the invitation was accepted", fix: "Change or delete the user instead.")
        }
    }

    /// The newest first.
    package func invitations(
        of vault: VaultID? = nil,
        state: Invitation.State? = nil,
        before: InvitationID? = nil,
        limit: Int
    ) async throws -> [Invitation] {
        try await invitations.list(of: vault, state: state, before: before, limit: limit, at: clock.now())
    }

    /// The slugs of vaults, for answers and letters; what is gone has none.
    package func slugs(of ids: Set<VaultID>) async throws -> [VaultID: String] {
        var slugs: [VaultID: String] = [:]
        for id in ids { slugs[id] = try await vaults.find(id.text)?.slug }
        return slugs
    }

    private func send(_ invitation: Invitation, _ text: Secret<String>, by person: Person) async throws -> Handover {
        let slugs = try await slugs(of: Set(invitation.grants.map(\.vault)))
        let joined = invitation.grants.compactMap { grant in slugs[grant.vault].map { (slug: $0, role: grant.role) } }
        let link = Secret("\(configuration.publicURL)/invitation#token=\(text.reveal())")
        return try await hand(
            link, to: invitation.email, key: "invitation/\(invitation.id.text)/\(invitation.issuedAt.milliseconds)"
        ) {
            .invitation(
                link: $0, inviter: person.email, host: configuration.publicURL, vaults: joined,
                expiresAt: invitation.expiresAt)
        }
    }

    private static func check(
        _ invitation: Invitation,
        _ scene: InvitationRepository.Scene
    ) throws(PosternError) {
        try InvitationRule(scene.asker).check(invitation)
        // One answer for both: the owner of a vault does not find out who was deleted.
        guard !scene.isRepeated, !scene.isBarred || invitation.vault == nil else {
            throw PosternError(
                .conflict, "an invitation waits for this address already, or the address is not for you to invite",
                fix:
                    "Send it again (POST …/{id}/resend), or revoke it first (DELETE …/{id}); where there is none, have an"
                    + " admin of the instance invite them (POST /api/invitations).")
        }
        let limit = invitation.vault == nil ? Invitation.pendingLimit : Invitation.pendingLimitOfVault
        guard scene.pending < limit else {
            throw PosternError(
                .conflict, "\(limit) invitations wait to be accepted, and there may be no more",
                fix: "Revoke some that nobody will accept (GET …/invitations?state=pending), or wait.")
        }
    }

    private static let noInvitation = PosternError(.notFound, "there is no such invitation")
}

/// The text in a link: what whoever has it proves.
enum InvitationText {
    static func make() -> (text: Secret<String>, digest: [UInt8]) {
        let text = Secret("it_\(RandomToken.text(43))")
        return (text, digest(of: text))
    }

    static func digest(of text: Secret<String>) -> [UInt8] { Digest.sha256(text.reveal()) }
}

extension InvitationRepository.Standing {
    fileprivate func owns(_ vault: VaultID?) -> Bool { vault.map { memberships[$0] == .owner } ?? false }
}
