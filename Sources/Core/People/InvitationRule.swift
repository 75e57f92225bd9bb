// What somebody may invite others to. Asked when an invitation is made, and again when it is used: who has lost the right to
// make it since, or is gone, answers for nothing any more.

import Model
import Store

struct InvitationRule {
    private let user: User
    private let memberships: [VaultID: VaultRole]

    /// - Throws: `forbidden` for who is gone or disabled.
    init(_ standing: InvitationRepository.Standing) throws(PosternError) {
        guard let user = standing.user, user.isActive else {
            throw PosternError(.forbidden, "your account may not invite anybody any more")
        }
        self.user = user
        memberships = standing.memberships
    }

    /// - Throws: `forbidden`.
    func check(_ invitation: Invitation) throws(PosternError) {
        guard invitation.role <= user.role else {
            throw PosternError(
                .forbidden, "the role \(invitation.role.rawValue) is above yours, which is \(user.role.rawValue)",
                fix: "Ask somebody who has that role.")
        }
        if invitation.vault == nil {
            guard user.role >= .admin else {
                throw PosternError(
                    .forbidden, "inviting to the instance takes the role admin; yours is \(user.role.rawValue)",
                    fix: "Invite to a vault of yours (POST /api/vaults/{id}/invitations), or ask an admin.")
            }
        } else if invitation.role > .member {
            throw PosternError(
                .forbidden, "an invitation to a vault gives the instance role member or viewer",
                fix: "Have an admin invite to the instance (POST /api/invitations).")
        }
        // Roles at the instance open no vault: who is no owner of one gives nobody a way in, an admin no friend of theirs.
        for grant in invitation.grants where user.role < .owner && memberships[grant.vault] != .owner {
            throw PosternError(
                .forbidden, "only owners of the vault \(grant.vault.text) invite to it, and owners of the instance",
                fix: "Leave the vault out, and have one of its owners add the person later.")
        }
    }
}
