// Who belongs to which vault. Changes are judged inside their transaction, by how everybody stands at that moment: two at
// once cannot both take the other's last word away.

import JSON
package import Model
package import SQL

package struct MembershipRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// What a change of a membership is judged by.
    package struct Scene: Sendable {
        /// Who asks; `nil` where that is the operator, or somebody who is gone.
        package let asker: User?
        /// What the asker is in the vault.
        package let askerRole: VaultRole?
        /// Whom it is about.
        package let user: User
        package let old: Membership?
        /// Owners of the vault beside the user who could act at this moment.
        package let otherOwners: Int
        /// Members of the vault, the user included if it is one.
        package let members: Int
        let limits: PlanLimits
        let plan: String

        /// - Throws: `plan_limit_reached` where the vault's plan has no room for one more.
        package func checkRoom() throws(PosternError) {
            try limits.checkRoom(for: .users, beside: members, plan: plan)
        }
    }

    /// The members of a vault in the order of their ids.
    package func list(in vault: VaultID, page: Page) async throws -> [Member] {
        try await members(
            """
            WHERE memberships.vault_id = \(vault.text) AND memberships.user_id > \(page.after)
            ORDER BY memberships.user_id LIMIT \(page.limit)
            """)
    }

    package func find(_ user: UserID, in vault: VaultID) async throws -> Member? {
        try await members("WHERE memberships.vault_id = \(vault.text) AND memberships.user_id = \(user.text)").first
    }

    /// A member by the address.
    package func find(email: String, in vault: VaultID) async throws -> Member? {
        try await members("WHERE memberships.vault_id = \(vault.text) AND users.email_key = \(User.key(of: email))")
            .first
    }

    private func members(_ condition: SQLStatement) async throws -> [Member] {
        try await database.read { connection in
            try connection.rows(
                """
                SELECT \(Membership.columns), \(User.columns) FROM memberships
                JOIN users ON users.id = memberships.user_id \(condition)
                """
            ).map { Member(user: try User(row: $0, from: Membership.columnCount), membership: try Membership(row: $0)) }
        }
    }

    /// Instance level: the vaults of each of these people, by slug. Vaults that are being deleted are left out.
    package func vaults(of users: [UserID]) async throws -> [UserID: [JoinedVault]] {
        try await database.read { connection in
            let rows = try connection.rows(
                """
                SELECT \(Membership.columns), vaults.slug, vaults.name FROM memberships
                JOIN vaults ON vaults.id = memberships.vault_id
                WHERE memberships.user_id IN \(list: users.map(\.text)) AND vaults.state <> 'deleted'
                ORDER BY vaults.slug
                """)
            return try rows.reduce(into: [:]) { found, row in
                let membership = try Membership(row: row)
                found[membership.user, default: []].append(
                    JoinedVault(
                        slug: try row.text(Membership.columnCount), name: try row.text(Membership.columnCount + 1),
                        membership: membership))
            }
        }
    }

    /// Makes somebody a member, or gives a member another role. What people say stays, whatever the groups say then.
    /// - Parameter judge: throws where it must not be.
    /// - Returns: the membership as it is now, and whether it is a new one; `nil` where there is no such person.
    package func set(
        _ user: UserID,
        _ role: VaultRole,
        in vault: VaultID,
        askedBy asker: UserID?,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (Scene) throws -> Void
    ) async throws -> (member: Member, isNew: Bool)? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let scene = try connection.scene(user, in: vault, askedBy: asker) else { return nil }
            try judge(scene)
            var new =
                scene.old ?? Membership(vault: vault, user: user, role: role, createdAt: now)
            (new.role, new.source, new.updatedAt) = (role, .people, now)
            try connection.put(new)
            try connection.record(scene.old, new, scene.user.email, audit, byOutsider: scene.askerRole == nil)
            return (Member(user: scene.user, membership: new), scene.old == nil)
        }
    }

    /// - Returns: whether there was such a member.
    package func remove(
        _ user: UserID,
        in vault: VaultID,
        askedBy asker: UserID?,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (Scene) throws -> Void
    ) async throws -> Bool {
        try await database.change(.people, unless: { !$0 }) { connection in
            guard let scene = try connection.scene(user, in: vault, askedBy: asker), let old = scene.old else {
                return false
            }
            try judge(scene)
            try connection.remove(old)
            try connection.record(old, nil, scene.user.email, audit, byOutsider: scene.askerRole == nil)
            return true
        }
    }
}

extension SQLConnection {
    fileprivate func scene(
        _ id: UserID,
        in vault: VaultID,
        askedBy asker: UserID?
    ) throws -> MembershipRepository.Scene? {
        guard let user = try user(id), let found = try VaultRepository.find(vault, self) else { return nil }
        return MembershipRepository.Scene(
            asker: try asker.flatMap { try self.user($0) },
            askerRole: try asker.flatMap { try membership(of: $0, in: vault)?.role }, user: user,
            old: try membership(of: id, in: vault), otherOwners: try owners(of: vault, except: id),
            members: try members(of: vault), limits: try limits(of: found), plan: found.plan)
    }

    func membership(of user: UserID, in vault: VaultID) throws -> Membership? {
        try row(
            """
            SELECT \(Membership.columns) FROM memberships
            WHERE vault_id = \(vault.text) AND user_id = \(user.text)
            """
        ).map(Membership.init(row:))
    }

    func memberships(of user: UserID) throws -> [Membership] {
        try rows(
            "SELECT \(Membership.columns) FROM memberships WHERE user_id = \(user.text) ORDER BY vault_id"
        ).map(Membership.init(row:))
    }

    func members(of vault: VaultID) throws -> Int {
        Int(try row("SELECT COUNT(*) FROM memberships WHERE vault_id = \(vault.text)")?.integer(0) ?? 0)
    }

    /// Active owners of a vault beside somebody.
    func owners(of vault: VaultID, except user: UserID) throws -> Int {
        let row = try row(
            """
            SELECT COUNT(*) FROM memberships JOIN users ON users.id = memberships.user_id
            WHERE memberships.vault_id = \(vault.text) AND memberships.role = 'owner'
                AND memberships.user_id <> \(user.text) AND users.is_active = 1
            """)
        return Int(try row?.integer(0) ?? 0)
    }

    /// Adds a membership, or puts this in the place of the one that there is.
    func put(_ membership: Membership) throws(SQLError) {
        try send(
            """
            INSERT INTO memberships (vault_id, user_id, role, source, created_at, updated_at)
            VALUES (\(membership.vault.text), \(membership.user.text), \(membership.role.rawValue),
                \(membership.source.rawValue), \(membership.createdAt.milliseconds),
                \(membership.updatedAt.milliseconds))
            ON CONFLICT (vault_id, user_id) DO UPDATE SET role = excluded.role, source = excluded.source,
                updated_at = excluded.updated_at
            """)
    }

    func remove(_ membership: Membership) throws(SQLError) {
        try send(
            """
            DELETE FROM memberships
            WHERE vault_id = \(membership.vault.text) AND user_id = \(membership.user.text)
            """)
    }

    /// Takes somebody who is being deleted out of every vault, and writes that down in each vault's own log. Invitations that
    /// wait for them end as well: they would be a way back.
    /// - Parameter audit: of the deletion; its entries go under the names of its parts.
    func removeMemberships(of user: User, audit: AuditMaker) throws {
        try endInvitations(for: user, audit)
        for membership in try memberships(of: user.id) {
            try remove(membership)
            try record(membership, nil, user.email, audit)
        }
    }

    /// Writes a change of a membership into the vault's log, whatever act it is part of.
    /// - Parameter byOutsider: whether who did it is no member: the instance's log has it as well then, for it stays when the
    ///   vault goes.
    func record(
        _ old: Membership?,
        _ new: Membership?,
        _ email: String,
        _ audit: AuditMaker,
        byOutsider: Bool = false
    ) throws {
        guard let vault = (new ?? old)?.vault, let user = (new ?? old)?.user else { return }
        let entry = audit(
            user.text, old.map { .object($0.document(email)) }, new.map { .object($0.document(email)) })
        try record(entry.under(.memberWrite), in: vault)
        guard byOutsider else { return }
        func document(_ membership: Membership) -> JSONValue {
            var document = membership.document(email)
            document["vault"] = .string(vault.text)
            return .object(document)
        }
        try record(audit(user.text, old.map(document), new.map(document)).under(.memberWrite), in: nil)
    }
}
