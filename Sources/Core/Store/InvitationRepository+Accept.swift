// The use of an invitation: the account, the memberships and the end of the invitation come in one commit.

import JSON
package import Model
import SQL

extension InvitationRepository {
    /// What an invitation gives at the moment of its use.
    package struct Offer: Sendable {
        package let invitation: Invitation
        package let by: Standing
    }

    /// Who uses it.
    package enum Guest: Sendable {
        /// Makes this account. `nil` as the hash: signs in by single sign-on only.
        case new(UserID, name: String, passwordHash: String?)
        /// Has one.
        case known(UserID)
    }

    /// What came of it.
    package struct Entry: Sendable {
        package let user: User
        /// Whether the account was made by this.
        package let isNew: Bool
        package let memberships: [Membership]
    }

    /// Uses the invitation of a link.
    /// - Parameters:
    ///   - audit: of the person, who is its actor.
    ///   - judge: throws where the invitation is worth nothing (any more).
    /// - Throws: what `judge` threw, `conflict` where the account is there already or is another one's, `plan_limit_reached`.
    package func accept(
        digest: [UInt8],
        by guest: Guest,
        at now: Timestamp,
        audit: @escaping @Sendable (User) -> AuditMaker,
        _ judge: @escaping @Sendable (Offer?) throws -> Void
    ) async throws -> Entry? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            let offer = try connection.invitation(digest: digest).map {
                Offer(invitation: $0, by: try connection.standing($0.invitedBy))
            }
            try judge(offer)
            guard let offer else { return nil }
            return try connection.accept([offer.invitation], by: guest, at: now, audit)
        }
    }

    /// Uses all that wait for an address which somebody else has proved, such as a sign-in service.
    /// - Parameter judge: throws where an invitation is worth nothing; such are passed over.
    /// - Returns: `nil` where none waits.
    package func acceptAll(
        for email: String,
        by guest: Guest,
        at now: Timestamp,
        audit: @escaping @Sendable (User) -> AuditMaker,
        _ judge: @escaping @Sendable (Offer) throws -> Void
    ) async throws -> Entry? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            let good = try connection.pendingInvitations(User.key(of: email), at: now).filter { invitation in
                let offer = Offer(invitation: invitation, by: try connection.standing(invitation.invitedBy))
                do { try judge(offer) } catch { return false }
                return true
            }
            guard !good.isEmpty else { return nil }
            return try connection.accept(good, by: guest, at: now, audit)
        }
    }
}

extension SQLConnection {
    /// - Parameter invitations: for one address, at least one.
    fileprivate func accept(
        _ invitations: [Invitation],
        by guest: InvitationRepository.Guest,
        at now: Timestamp,
        _ audits: (User) -> AuditMaker
    ) throws -> InvitationRepository.Entry {
        let (user, isNew) = try host(guest, invitations, at: now, audits)
        let audit = audits(user)
        var given: [Membership] = []
        for grant in invitations.flatMap(\.grants) {
            if let membership = try give(grant, to: user, at: now, audit) { given.append(membership) }
        }
        for old in invitations {
            var new = old
            (new.acceptedAt, new.acceptedBy) = (now, user.id)
            try send(
                """
                UPDATE invitations SET accepted_at = \(now.milliseconds), accepted_by = \(user.id.text)
                WHERE id = \(old.id.text)
                """)
            try record(old, new, at: now, audit)
        }
        return InvitationRepository.Entry(user: user, isNew: isNew, memberships: given)
    }

    /// The account of whoever accepts: made now, or as it is, with the role of the instance's invitation where that is higher.
    private func host(
        _ guest: InvitationRepository.Guest,
        _ invitations: [Invitation],
        at now: Timestamp,
        _ audits: (User) -> AuditMaker
    ) throws -> (user: User, isNew: Bool) {
        let key = invitations[0].emailKey
        let found = try user(key: key)
        switch guest {
        case .new(let id, let name, let hash):
            guard found == nil else {
                throw PosternError(
                    .conflict, "there is an account with this address",
                    fix: "Sign in (POST /auth/login), then accept the invitation.")
            }
            let user = User(
                id: id, email: invitations[0].email, name: name, role: invitations.map(\.role).max() ?? .viewer,
                hasPassword: hash != nil, createdAt: now)
            try insert(user, passwordHash: hash)
            try record(
                audits(user)(id.text, nil, .object(user.document)).under(.userWrite), in: nil)
            return (user, true)
        case .known(let id):
            guard var user = found, user.id == id, user.isActive else {
                throw PosternError(
                    .forbidden, "the invitation is for another address than yours",
                    fix: "Sign in with the address that was invited.")
            }
            // The owner of a vault gives no role at the instance to somebody who has one.
            let offered = invitations.filter { $0.vault == nil }.map(\.role).max()
            guard let offered, offered > user.role else { return (user, false) }
            let before = user.document
            (user.role, user.updatedAt) = (offered, now)
            try send(
                """
                UPDATE users SET role = \(offered.rawValue), updated_at = \(now.milliseconds)
                WHERE id = \(id.text)
                """)
            try record(
                audits(user)(id.text, .object(before), .object(user.document)).under(.userWrite), in: nil)
            return (user, false)
        }
    }

    /// Never takes away: who has the higher role already keeps it. A vault that is gone gives nothing, and in one that
    /// is archived nothing changes.
    private func give(
        _ grant: Invitation.Grant,
        to user: User,
        at now: Timestamp,
        _ audit: AuditMaker
    ) throws -> Membership? {
        guard let vault = try VaultRepository.find(grant.vault, self), vault.state != .deleted else { return nil }
        let old = try membership(of: user.id, in: grant.vault)
        if let old, old.role >= grant.role || vault.state == .archived { return old }
        guard vault.state != .archived else { return nil }
        if old == nil { try checkRoomForMember(in: vault) }
        var new = old ?? Membership(vault: grant.vault, user: user.id, role: grant.role, createdAt: now)
        (new.role, new.source, new.updatedAt) = (grant.role, .people, now)
        try put(new)
        try record(old, new, user.email, audit)
        return new
    }

    /// - Throws: `plan_limit_reached`.
    func checkRoomForMember(in vault: Vault) throws {
        try limits(of: vault).checkRoom(for: .users, beside: members(of: vault.id), plan: vault.plan)
    }
}
