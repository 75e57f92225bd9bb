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
    /// - Parameter notes: what could not be done as the groups say, and what the person has to be told.
    case admitted(User, notes: [Note])
    /// - Parameter user: whom it was about, where that is known.
    case refused(Refusal, User?)

    package enum Note: Hashable, Sendable {
        /// Was to lose the role, and stays the last one to have it.
        case lastOwner
        case lastOwnerOfVault(VaultID)
        /// The vault's plan has no room for another member.
        case noRoom(VaultID)
        /// Joined with the identity just now: what opened the account until then opens it no more.
        case joined
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
    func identity(_ identity: ProvenIdentity) throws(SQLError) -> UserID? {
        let row = try row(
            """
            SELECT user_id FROM user_identities WHERE issuer = \(identity.issuer) AND subject = \(identity.subject)
            """)
        guard let row else { return nil }
        return UserID(stored: try row.text(0))
    }
}
