// Who belongs to a vault: said by the vault's owners, and by the owners of the instance.

package import Model
package import Store

extension PeopleDirectory {
    /// In the order of their ids.
    package func members(in vault: VaultID, page: Page) async throws -> [Member] {
        try await memberships.list(in: vault, page: page)
    }

    /// Who is meant by an id or an address. By an address only members are found, and everybody by who may list everybody: an
    /// owner of a vault cannot try which addresses have accounts.
    /// - Throws: `not_found`.
    package func userID(_ name: String, in vault: VaultID, by person: Person) async throws -> UserID {
        if let id = UserID(name) { return id }
        if let member = try await memberships.find(email: name, in: vault) { return member.user.id }
        if person.role >= .admin, let user = try await users.find(email: name) { return user.id }
        throw Self.noMember
    }

    /// Makes somebody a member, or gives a member another role.
    /// - Parameter person: `nil` is the operator.
    /// - Throws: `not_found`, `forbidden`, `conflict` for who is disabled, `last_owner`, `plan_limit_reached`.
    package func setMember(
        _ user: UserID,
        _ role: VaultRole,
        in vault: VaultID,
        by person: Person?,
        audit: @escaping AuditMaker
    ) async throws -> (member: Member, isNew: Bool) {
        let set = try await memberships.set(
            user, role, in: vault, askedBy: person?.id, at: clock.now(), audit: audit
        ) { scene in
            let isHead = try Self.check(scene, isOperator: person == nil)
            guard scene.user.isActive else {
                throw PosternError(
                    .conflict, "\(scene.user.email) is disabled",
                    fix: "Have an admin of the instance enable the account first.")
            }
            if scene.old == nil { try scene.checkRoom() }
            if role != .owner { try Self.checkOwnerStays(scene, isHead) }
        }
        guard let set else { throw Self.noMember }
        sessions.forget([user])
        return set
    }

    /// - Throws: `not_found`, `forbidden`, `last_owner`.
    package func removeMember(
        _ user: UserID,
        in vault: VaultID,
        by person: Person?,
        audit: @escaping AuditMaker
    ) async throws {
        let isRemoved = try await memberships.remove(user, in: vault, askedBy: person?.id, audit: audit) { scene in
            try Self.checkOwnerStays(scene, try Self.check(scene, isOperator: person == nil))
        }
        guard isRemoved else { throw Self.noMember }
        sessions.forget([user])
    }

    /// - Returns: whether the asker is above the vault's owners.
    private static func check(_ scene: MembershipRepository.Scene, isOperator: Bool) throws(PosternError) -> Bool {
        if isOperator { return true }
        guard let asker = scene.asker, asker.isActive, asker.role == .owner || scene.askerRole == .owner else {
            throw PosternError(
                .forbidden, "you are no owner of the vault any more", fix: "Ask an owner of the vault.")
        }
        return asker.role == .owner
    }

    private static func checkOwnerStays(
        _ scene: MembershipRepository.Scene,
        _ isHead: Bool
    ) throws(PosternError) {
        guard scene.old?.role == .owner, scene.otherOwners == 0, !isHead else { return }
        throw PosternError(
            .lastOwner, "this is the vault's last owner",
            fix: "Make somebody else an owner of the vault first, or ask an owner of the instance.")
    }

    static let noMember = PosternError(
        .notFound, "there is no such person here",
        fix: "Invite them (POST /api/vaults/{id}/invitations), or name them by the id that GET /api/users shows.")
}
