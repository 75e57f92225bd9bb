// People by who they are at a provider of single sign-on: found, linked, made, and given what their groups give them, all of
// it in one commit and judged by how things stand at that moment.

import JSON
package import Model
package import SQL

/// What a provider vouches for.
package struct ProvenIdentity: Sendable {
    package let issuer: String
    /// Names the person at the issuer, for ever.
    package let subject: String
    /// Only where the provider says that it is verified.
    package let email: String?
    package let name: String?

    package init(issuer: String, subject: String, email: String?, name: String?) {
        self.issuer = issuer
        self.subject = subject
        self.email = email
        self.name = name
    }
}

/// What somebody's groups give them.
package struct GroupGrants: Sendable {
    package enum Role: Sendable {
        /// No group gives a role at the instance: it is whatever people gave.
        case unchanged
        case role(InstanceRole)
        /// Groups give the roles at the instance, and none of theirs gives one.
        case none
    }

    package let role: Role
    /// The memberships that come from groups: these, and no others.
    package let vaults: [VaultID: VaultRole]
    /// What somebody becomes who has no account; `nil`: they get none.
    package let newcomer: InstanceRole?
    /// Members that a vault may have; a vault that is not there has no limit.
    package let room: [VaultID: Int]

    package init(
        role: Role, vaults: [VaultID: VaultRole] = [:], newcomer: InstanceRole? = nil, room: [VaultID: Int] = [:]
    ) {
        self.role = role
        self.vaults = vaults
        self.newcomer = newcomer
        self.room = room
    }
}

package enum SingleSignOnAdmission: Sendable {
    /// - Parameter notes: what could not be done as the groups say.
    case admitted(User, notes: [Note])
    /// - Parameter user: whom it was about, where that is known.
    case refused(Refusal, User?)

    package enum Note: Hashable, Sendable {
        /// Was to lose the role, and stays the last one to have it.
        case lastOwner
        case lastOwnerOfVault(VaultID)
        /// The vault's plan has no room for another member.
        case noRoom(VaultID)
    }

    package enum Refusal: String, Sendable {
        case disabled
        /// Was deleted here.
        case barred
        /// Is nobody here, and becomes nobody.
        case unknown
        /// Is nobody here, and the provider does not say that the address is verified.
        case unverified
        /// The address belongs to somebody whom the provider knows as somebody else.
        case otherIdentity = "other_identity"
        /// Somebody else than who had to show again who they are.
        case otherPerson = "other_person"
        /// Their groups give them no place here (any more).
        case noGroup = "no_group"
    }
}

package struct SingleSignOnRepository: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Whether anybody here is this at the provider, or has the address.
    package func isKnown(_ identity: ProvenIdentity) async throws -> Bool {
        try await database.read { connection in
            if try connection.identity(identity) != nil { return true }
            guard let email = identity.email else { return false }
            return try connection.user(key: User.key(of: email)) != nil
        }
    }

    /// Finds who signed in, or links or makes them, and gives them what their groups give.
    /// - Parameters:
    ///   - id: of the account, if one is made.
    ///   - person: who it has to be; `nil`: anybody.
    ///   - audit: makes entries on what the provider's word changes.
    ///   - refusal: makes the entry of a refusal.
    package func admit(
        _ identity: ProvenIdentity,
        _ grants: GroupGrants,
        newcomer id: UserID,
        expecting person: UserID?,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        refusal: @escaping @Sendable (SingleSignOnAdmission.Refusal, User?) -> AuditEntry
    ) async throws -> SingleSignOnAdmission {
        try await database.change(.people) { connection in
            let change = SingleSignOnChange(
                connection: connection, identity: identity, grants: grants, now: now, audit: audit)
            let admission = try change.admit(newcomer: id, expecting: person)
            if case .refused(let reason, let user) = admission {
                try connection.record(refusal(reason, user), in: nil)
            }
            return admission
        }
    }

    /// What a person is linked with.
    package func identities(of user: UserID) async throws -> [(issuer: String, lastUsedAt: Timestamp?)] {
        try await database.read { connection in
            try connection.rows(
                "SELECT issuer, last_used_at FROM user_identities WHERE user_id = \(user.text) ORDER BY issuer, subject"
            ).map { (try $0.text(0), try $0.optionalInteger(1).map(Timestamp.init(milliseconds:))) }
        }
    }
}

extension SQLConnection {
    /// Who is this at the provider.
    fileprivate func identity(_ identity: ProvenIdentity) throws(SQLError) -> UserID? {
        let row = try row(
            """
            SELECT user_id FROM user_identities WHERE issuer = \(identity.issuer) AND subject = \(identity.subject)
            """)
        guard let row else { return nil }
        return UserID(stored: try row.text(0))
    }
}

/// One admission, inside its transaction.
private struct SingleSignOnChange {
    let connection: any SQLConnection
    let identity: ProvenIdentity
    let grants: GroupGrants
    let now: Timestamp
    let audit: AuditMaker

    func admit(newcomer id: UserID, expecting person: UserID?) throws -> SingleSignOnAdmission {
        if let known = try connection.identity(identity) {
            guard person == nil || person == known else { return .refused(.otherPerson, nil) }
            guard let user = try connection.lockedUser(known) else { return .refused(.unknown, nil) }
            guard user.isActive else { return .refused(.disabled, user) }
            try connection.send(
                """
                UPDATE user_identities SET last_used_at = \(now.milliseconds)
                WHERE issuer = \(identity.issuer) AND subject = \(identity.subject)
                """)
            return try settle(user)
        }
        guard let email = identity.email else { return .refused(person == nil ? .unverified : .otherPerson, nil) }
        let key = User.key(of: email)
        guard try !connection.isBarred(email: key, issuer: identity.issuer, subject: identity.subject) else {
            return .refused(.barred, nil)
        }
        if let found = try connection.user(key: key), let user = try connection.lockedUser(found.id) {
            guard person == nil || person == user.id else { return .refused(.otherPerson, nil) }
            return try link(user)
        }
        guard person == nil else { return .refused(.otherPerson, nil) }
        return try make(id, email)
    }

    /// An address can pass to another person at the provider; an account does not pass with it.
    private func link(_ user: User) throws -> SingleSignOnAdmission {
        guard user.isActive else { return .refused(.disabled, user) }
        let other = try connection.row(
            "SELECT 1 FROM user_identities WHERE user_id = \(user.id.text) AND issuer = \(identity.issuer)")
        guard other == nil else { return .refused(.otherIdentity, user) }
        guard isWelcome else { return try turnAway(user) }
        try insertIdentity(of: user)
        return try settle(user)
    }

    private func make(_ id: UserID, _ email: String) throws -> SingleSignOnAdmission {
        guard isWelcome, let role = grants.newcomer else { return .refused(.unknown, nil) }
        let user = User(id: id, email: email, name: identity.name ?? email, role: role, createdAt: now)
        try connection.insert(user, passwordHash: nil)
        try connection.record(audit(id.text, nil, .object(user.document)).under(.userWrite), in: nil)
        try insertIdentity(of: user)
        return try settle(user)
    }

    private var isWelcome: Bool { if case .none = grants.role { false } else { true } }

    private func insertIdentity(of user: User) throws {
        try connection.send(
            """
            INSERT INTO user_identities (issuer, subject, user_id, created_at, last_used_at)
            VALUES (\(identity.issuer), \(identity.subject), \(user.id.text), \(now.milliseconds),
                \(now.milliseconds))
            """)
        let linked = JSONObject(["issuer": .string(identity.issuer), "subject": .string(identity.subject)])
        try connection.record(
            audit(user.id.text, nil, .object(JSONObject(["identity": .object(linked)]))).under(.userWrite), in: nil)
    }

    /// Gives and takes what the groups say.
    private func settle(_ old: User) throws -> SingleSignOnAdmission {
        guard isWelcome else { return try turnAway(old) }
        var user = old
        var notes: [SingleSignOnAdmission.Note] = []
        if case .role(let role) = grants.role, role != user.role {
            if user.role == .owner, try connection.activeOwners(except: user.id) == 0 {
                notes.append(.lastOwner)
            } else {
                (user.role, user.updatedAt) = (role, now)
                // A link that somebody made for who they were must not open the account of who they are now.
                if role > old.role { try connection.deleteOneTimeTokens(of: user.id) }
                try connection.send(
                    """
                    UPDATE users SET role = \(role.rawValue), updated_at = \(now.milliseconds)
                    WHERE id = \(user.id.text)
                    """)
                try connection.record(
                    audit(user.id.text, .object(old.document), .object(user.document)).under(.userWrite), in: nil)
            }
        }
        try setMemberships(of: user, grants.vaults, &notes)
        return .admitted(user, notes: notes)
    }

    /// Who has no place any more loses at least what the groups once gave.
    private func turnAway(_ user: User) throws -> SingleSignOnAdmission {
        var notes: [SingleSignOnAdmission.Note] = []
        try setMemberships(of: user, [:], &notes)
        return .refused(.noGroup, user)
    }

    private func setMemberships(
        of user: User,
        _ wanted: [VaultID: VaultRole],
        _ notes: inout [SingleSignOnAdmission.Note]
    ) throws {
        let present = try connection.memberships(of: user.id)
        for old in present where old.source == .groups {
            let role = wanted[old.vault]
            guard role != old.role else { continue }
            // A vault without an owner could not be looked after by anybody.
            if old.role == .owner, try connection.owners(of: old.vault, except: user.id) == 0 {
                notes.append(.lastOwnerOfVault(old.vault))
                continue
            }
            guard let role else {
                try connection.remove(old)
                try connection.record(old, nil, user.email, audit)
                continue
            }
            var new = old
            (new.role, new.updatedAt) = (role, now)
            try connection.put(new)
            try connection.record(old, new, user.email, audit)
        }
        let known = Set(present.map(\.vault))
        for (vault, role) in wanted.sorted(by: { $0.key < $1.key }) where !known.contains(vault) {
            if let room = grants.room[vault], try connection.members(of: vault) >= room {
                notes.append(.noRoom(vault))
                continue
            }
            let new = Membership(vault: vault, user: user.id, role: role, source: .groups, createdAt: now)
            try connection.put(new)
            try connection.record(nil, new, user.email, audit)
        }
    }
}
