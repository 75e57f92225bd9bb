// From a provider's word to an account here: who it is, and what their groups make them.

import JSON
import Logging
import Model
import OpenID
import Store
import Vaults

extension SingleSignOn {
    /// - Throws: `sign_in_refused`.
    func admit(_ token: IDToken, expecting person: UserID?, visit: Visit) async throws -> User {
        let identity = claims.identity(token)
        let grants = try await grants(of: try claims.groups(token))
        try await takeInvitations(identity, grants, person, visit)
        let maker = visit.actor(id: "single-sign-on", label: identity.issuer)
        let admission = try await repository.admit(
            identity, grants, newcomer: ids.next(), expecting: person, at: clock.now()
        ) { [clock, ids] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: maker, action: Action.userWrite.rawValue, resource: resource,
                before: before, after: after)
        } refusal: { [clock, ids] reason, user in
            AuditEntry(
                id: ids.next(), at: clock.now(),
                actor: visit.actor(id: user?.id.text ?? "stranger", label: user?.email ?? identity.email ?? ""),
                action: Action.sessionBegin.rawValue, resource: user?.id.text ?? "users",
                after: .object(
                    JSONObject(["issuer": .string(identity.issuer), "subject": .string(identity.subject)])),
                outcome: .refused, reason: "sign_in_refused: \(reason.rawValue)")
        }
        switch admission {
        case .admitted(let user, let notes):
            sessions.forget([user.id])
            for note in notes { tell(note, of: user, visit) }
            return user
        case .refused(let reason, let user):
            if let user { sessions.forget([user.id]) }
            throw Self.error(reason)
        }
    }

    /// Somebody who is invited becomes what the invitation says, and is linked then as anybody with an account.
    private func takeInvitations(
        _ identity: ProvenIdentity,
        _ grants: GroupGrants,
        _ person: UserID?,
        _ visit: Visit
    ) async throws {
        guard person == nil, let email = identity.email, try await !repository.isKnown(identity) else { return }
        // Whom the groups give no place gets no account that could not be used.
        if case .none = grants.role { return }
        do {
            _ = try await directory.admit(verified: email, name: identity.name ?? email, visit: visit)
        } catch let error as PosternError where error.code == .conflict {
            // Another sign-in of the same person was faster.
        }
    }

    private func grants(of groups: Set<String>) async throws -> GroupGrants {
        let given = groups.compactMap { configuration.instanceRoles[$0] }.max()
        var wanted: [VaultID: VaultRole] = [:]
        var room: [VaultID: Int] = [:]
        for group in groups.sorted() {
            for (slug, role) in configuration.vaultRoles[group] ?? [:] {
                guard let vault = try await vaults.find(slug) else {
                    logger.warning("a group gives a role in a vault that there is not", metadata: ["vault": "\(slug)"])
                    continue
                }
                guard try await vaults.standing(of: vault.id).features.contains(.singleSignOn) else {
                    logger.notice(
                        "a group gives no role in a vault whose plan has no single sign-on",
                        metadata: ["vault": "\(slug)"])
                    continue
                }
                wanted[vault.id] = max(wanted[vault.id] ?? role, role)
                room[vault.id] = try await vaults.limits(of: vault.id)[.users]
            }
        }
        let role: GroupGrants.Role
        if configuration.instanceRoles.isEmpty {
            role = .unchanged
        } else if let best = given ?? configuration.defaultRole {
            role = .role(best)
        } else {
            role = .none
        }
        // Who only has a place in a vault has the least at the instance.
        let newcomer = given ?? configuration.defaultRole ?? (wanted.isEmpty ? nil : .viewer)
        return GroupGrants(role: role, vaults: wanted, newcomer: newcomer, room: room)
    }

    private func tell(_ note: SingleSignOnAdmission.Note, of user: User, _ visit: Visit) {
        switch note {
        case .joined: sessions.tell(user.id, .identityJoined, from: visit.address)
        case .lastOwner:
            logger.warning(
                "the last owner of the instance keeps the role, whatever their groups say",
                metadata: ["user": "\(user.id)"])
        case .lastOwnerOfVault(let vault):
            logger.warning(
                "the last owner of a vault keeps the role, whatever their groups say",
                metadata: ["user": "\(user.id)", "vault": "\(vault)"])
        case .noRoom(let vault):
            logger.warning(
                "a group gives a role in a vault whose plan has no room for another member",
                metadata: ["user": "\(user.id)", "vault": "\(vault)"])
        }
    }

    private static func error(_ reason: SingleSignOnAdmission.Refusal) -> PosternError {
        switch reason {
        case .disabled: PosternError(.signInRefused, "the account is disabled")
        case .barred:
            PosternError(
                .signInRefused, "the account was deleted", fix: "Have an admin of the instance invite you again.")
        case .unknown:
            PosternError(
                .signInRefused, "you have no account here, and single sign-on makes you none",
                fix: "Have an admin of the instance invite you, or your groups at the provider changed.")
        case .unverified:
            PosternError(
                .signInRefused, "the provider does not say that your e-mail address is verified",
                fix: "Verify it at the provider; the operator finds in docs/sso.md what the provider has to send.")
        case .otherIdentity:
            PosternError(
                .signInRefused, "the account with your address belongs to another identity at the provider",
                fix: "Have an admin of the instance look into it: an address may have passed to another person.")
        case .otherPerson:
            PosternError(
                .signInRefused, "somebody else signed in at the provider than is signed in here",
                fix: "Sign in at the provider as the same person.")
        case .noGroup:
            PosternError(
                .signInRefused, "none of your groups at the provider gives you a place here",
                fix: "Have your groups changed at the provider.")
        }
    }
}
