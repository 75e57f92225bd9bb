// That a person belongs to a vault, as what, and who said so.

import JSON
package import Model
import SQL

package struct Membership: Hashable, Sendable {
    /// Who keeps it as it is.
    package enum Source: String, Sendable, CaseIterable {
        /// Given by somebody; stays until somebody takes it away.
        case people
        /// Comes and goes with the groups that single sign-on tells.
        case groups
    }

    package let vault: VaultID
    package let user: UserID
    package var role: VaultRole
    package var source: Source
    package let createdAt: Timestamp
    package var updatedAt: Timestamp

    package init(
        vault: VaultID, user: UserID, role: VaultRole, source: Source = .people, createdAt: Timestamp,
        updatedAt: Timestamp? = nil
    ) {
        self.vault = vault
        self.user = user
        self.role = role
        self.source = source
        self.createdAt = createdAt
        self.updatedAt = updatedAt ?? createdAt
    }

    /// What the audit log keeps of it.
    /// - Parameter email: the person's address; the vault's owners know people by it.
    func document(_ email: String) -> JSONObject {
        JSONObject([
            "user": .string(user.text), "email": .string(email), "role": .string(role.rawValue),
            "source": .string(source.rawValue),
        ])
    }
}

/// Somebody in a vault's list of members.
package struct Member: Hashable, Sendable {
    package let user: User
    package let membership: Membership

    package init(user: User, membership: Membership) {
        self.user = user
        self.membership = membership
    }
}

/// A vault in a person's list of vaults.
package struct JoinedVault: Hashable, Sendable {
    package let slug: String
    package let name: String
    package let membership: Membership
}

extension Membership {
    static let columns: SQLStatement = """
        memberships.vault_id, memberships.user_id, memberships.role, memberships.source, memberships.created_at,
        memberships.updated_at
        """
    static let columnCount = 6

    init(row: SQLRow) throws(SQLError) {
        guard let role = VaultRole(rawValue: try row.text(2)), let source = Source(rawValue: try row.text(3)) else {
            throw SQLError(.unexpectedValue, "a membership has a role that this program does not know")
        }
        self.init(
            vault: VaultID(stored: try row.text(0)), user: UserID(stored: try row.text(1)), role: role, source: source,
            createdAt: Timestamp(milliseconds: try row.integer(4)),
            updatedAt: Timestamp(milliseconds: try row.integer(5)))
    }
}

extension AuditEntry {
    /// The same act under the name of one of its parts.
    func under(_ action: Action) -> AuditEntry {
        AuditEntry(
            id: id, at: at, actor: actor, action: action.rawValue, resource: resource, before: before, after: after,
            outcome: outcome, reason: reason)
    }
}
