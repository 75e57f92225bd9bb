// Accounts, as admins look after them. Nobody gives a role above their own, or touches somebody above themselves; and there
// is always an owner who can sign in.

package import Model
import SQL
import Sealing
package import Store

extension PeopleDirectory {
    /// What an admin may change of somebody.
    package struct UserChange: Sendable {
        package var name: String?
        package var role: InstanceRole?
        package var isActive: Bool?

        package init(name: String? = nil, role: InstanceRole? = nil, isActive: Bool? = nil) {
            self.name = name
            self.role = role
            self.isActive = isActive
        }
    }

    /// In the order of their ids.
    package func users(
        page: Page,
        query: String? = nil,
        role: InstanceRole? = nil,
        isActive: Bool? = nil
    ) async throws -> [Profile] {
        try await profiles(of: users.list(page: page, query: query, role: role, isActive: isActive))
    }

    /// - Throws: `not_found`.
    package func user(_ id: UserID) async throws -> Profile {
        guard let user = try await users.find(id) else { throw Self.noUser }
        return try await profiles(of: [user])[0]
    }

    func profiles(of users: [User]) async throws -> [Profile] {
        guard !users.isEmpty else { return [] }
        let vaults = try await memberships.vaults(of: users.map(\.id))
        return users.map { Profile(user: $0, vaults: vaults[$0.id] ?? []) }
    }

    /// Makes an account without a password; the link sets one.
    /// - Throws: `conflict` where somebody has the address, `forbidden`.
    package func makeUser(
        email: String,
        name: String,
        role: InstanceRole,
        by person: Person,
        audit: @escaping AuditMaker
    ) async throws -> (profile: Profile, link: Handover) {
        let user = User(id: ids.next(), email: email, name: name, role: role, createdAt: clock.now())
        do {
            _ = try await users.insert(user, passwordHash: nil, by: person.id, audit: audit) { scene in
                try Authority(scene.asker).check(gives: role)
            }
        } catch let error as SQLError where error.code == .constraint {
            throw PosternError(
                .conflict, "there is an account with this address",
                fix: "GET /api/users?q= finds it; PATCH /api/users/{id} changes it.")
        }
        let link = try await accounts.makeResetLink(for: user.id, audit: audit)
        _ = try await reached(user.id, by: person)
        let handover = try await hand(link, to: user.email, key: "account/\(user.id.text)") {
            .account(link: $0, maker: person.email, host: configuration.publicURL)
        }
        return (Profile(user: user, vaults: []), handover)
    }

    /// Changes somebody. Their sessions go on and find the new role at their next request; who is disabled has none any more.
    /// - Throws: `not_found`, `forbidden`, `last_owner`.
    package func change(
        _ id: UserID,
        _ change: UserChange,
        by person: Person?,
        audit: @escaping AuditMaker
    ) async throws -> Profile {
        let before = try await users.find(id)
        let user = try await users.change(id, by: person?.id, at: clock.now(), audit: audit) { old, scene in
            var new = old
            if let name = change.name { new.name = name }
            if let role = change.role { new.role = role }
            if let isActive = change.isActive { new.isActive = isActive }
            if person != nil {
                let authority = try Authority(scene.asker)
                try authority.check(reaches: old)
                if new.role != old.role { try authority.check(gives: new.role) }
            }
            let leaves = old.isOwner && !new.isOwner
            guard !leaves || scene.otherOwners > 0 else { throw Self.lastOwner }
            return new
        }
        guard let user else { throw Self.noUser }
        sessions.forget([id])
        if let before, before.role != user.role {
            await mail?.tell(
                user, of: .roleChanged, at: configuration.publicURL, from: nil, when: user.updatedAt, logger: logger)
        }
        return try await profiles(of: [user])[0]
    }

    /// Deletes an account: its sessions end with the commit, its memberships go. What the audit log says of the person stays,
    /// and so do the keys that they issued.
    /// - Throws: `not_found`, `forbidden`, `last_owner` also where a vault would be left without an owner, unless an owner of
    ///   the instance asks.
    package func delete(_ id: UserID, by person: Person?, audit: @escaping AuditMaker) async throws {
        let user = try await users.delete(id, by: person?.id, audit: audit) { user, scene in
            if user.isOwner, scene.otherOwners == 0 { throw Self.lastOwner }
            guard person != nil else { return }
            let authority = try Authority(scene.asker)
            try authority.check(reaches: user)
            guard scene.soleOwnerOf.isEmpty || authority.asker.role == .owner else {
                throw PosternError(
                    .lastOwner,
                    "\(user.email) is the only owner of \(scene.soleOwnerOf.map(\.text).joined(separator: ", "))",
                    fix: "Make somebody else an owner of the vault first, or ask an owner of the instance.")
            }
        }
        guard user != nil else { throw Self.noUser }
        sessions.forget([id])
    }

    /// A link by which somebody sets a new password; the one that they have goes on until then.
    /// - Throws: `not_found`, `forbidden`, `conflict` for who is disabled, `overloaded` where the letter was not taken.
    package func resetPassword(of id: UserID, by person: Person, audit: @escaping AuditMaker) async throws -> Handover {
        let user = try await reached(id, by: person)
        guard user.isActive else {
            throw PosternError(
                .conflict, "\(user.email) is disabled", fix: "Enable the account first (PATCH /api/users/{id}).")
        }
        try await checkOpens(id, by: person)
        let link = try await accounts.makeResetLink(for: id, audit: audit)
        // A raise from now on ends the link; one that was faster is seen here, and nobody gets it.
        _ = try await reached(id, by: person)
        try await checkOpens(id, by: person)
        return try await hand(
            link, to: user.email, key: "reset/\(id.text)/\(clock.now().milliseconds)", isSecret: true
        ) {
            .passwordReset(link: $0, host: configuration.publicURL)
        }
    }

    /// Forgets the failed sign-ins of somebody who is locked out.
    package func unlock(_ id: UserID, by person: Person, audit: @escaping AuditMaker) async throws {
        _ = try await reached(id, by: person)
        guard try await accounts.unlock(id, audit: audit) != nil else { throw Self.noUser }
    }

    package func sessions(of id: UserID) async throws -> [SessionRecord] {
        guard try await users.find(id) != nil else { throw Self.noUser }
        return try await sessions.sessions(of: id)
    }

    /// - Returns: how many ended.
    package func endSessions(of id: UserID, by person: Person, audit: @escaping AuditMaker) async throws -> Int {
        _ = try await reached(id, by: person)
        return try await sessions.endAll(of: id, reason: SessionRecord.EndReason.revoked, audit: audit)
    }

    /// Somebody whom the asking person may touch, both as they are now.
    private func reached(_ id: UserID, by person: Person) async throws -> User {
        guard let user = try await users.find(id) else { throw Self.noUser }
        try Authority(try await users.find(person.id)).check(reaches: user)
        return user
    }

    /// Without mail whoever asks has the link in hand, and with it all that the account opens: no role at the instance but the
    /// owner's reaches into a vault.
    private func checkOpens(_ id: UserID, by person: Person) async throws {
        guard mail == nil, id != person.id, let asker = try await users.find(person.id), asker.role < .owner else {
            return
        }
        let own = try await users.memberships(of: person.id)
        guard try await users.memberships(of: id).keys.allSatisfy({ own[$0] == .owner }) else {
            throw PosternError(
                .forbidden, "the account opens a vault that you are no owner of, and the link would be in your hands",
                fix: "Ask an owner of the instance, or have people's mail set up: then the link is sent to the person.")
        }
    }

    static let noUser = PosternError(.notFound, "there is no such user")
    static let lastOwner = PosternError(.lastOwner, "this is the instance's last owner who can sign in")
}

/// What somebody may do to others, by the role that they have at this moment.
struct Authority {
    let asker: User

    /// - Throws: `forbidden` for who is gone, disabled or no admin any more.
    init(_ asker: User?) throws(PosternError) {
        guard let asker, asker.isActive, asker.role >= .admin else {
            throw PosternError(
                .forbidden, "your account was changed, and may not do this any more",
                fix: "Ask an owner of the instance.")
        }
        self.asker = asker
    }

    func check(reaches user: User) throws(PosternError) {
        guard user.role <= asker.role else {
            throw PosternError(
                .forbidden, "\(user.email) is \(user.role.rawValue) of the instance, which is above you",
                fix: "Ask somebody who has that role.")
        }
    }

    func check(gives role: InstanceRole) throws(PosternError) {
        guard role <= asker.role else {
            throw PosternError(
                .forbidden, "the role \(role.rawValue) is above yours, which is \(asker.role.rawValue)",
                fix: "Ask somebody who has that role.")
        }
    }
}

extension User {
    /// Who has the last word, and can say it.
    fileprivate var isOwner: Bool { role == .owner && isActive }
}
