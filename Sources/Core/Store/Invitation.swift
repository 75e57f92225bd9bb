// That somebody may make an account, or join vaults with the one they have: addressed to one address, good once, and only
// for a time. Of the text in the link only the digest is kept.

package import JSON
package import Model
import SQL

package struct Invitation: Hashable, Sendable {
    /// A vault that whoever accepts becomes a member of.
    package struct Grant: Hashable, Sendable {
        package let vault: VaultID
        package let role: VaultRole

        package init(vault: VaultID, role: VaultRole) {
            self.vault = vault
            self.role = role
        }
    }

    package enum State: String, Sendable, CaseIterable { case pending, accepted, revoked, expired }

    /// 72 hours, in seconds.
    package static let lifetime: Double = 259_200
    /// How many may wait at once of the instance's own, and of each vault's. Neither takes room from another.
    package static let pendingLimit = 50
    package static let pendingLimitOfVault = 20

    package let id: InvitationID
    /// As it was written.
    package let email: String
    /// At the instance.
    package let role: InstanceRole
    package let grants: [Grant]
    /// Who answers for it: it is worth nothing any more once this person could not make it.
    package var invitedBy: UserID
    /// The vault whose owner made it; `nil`: the instance.
    package let vault: VaultID?
    package let createdAt: Timestamp
    package var expiresAt: Timestamp
    package var acceptedAt: Timestamp?
    package var acceptedBy: UserID?
    package var revokedAt: Timestamp?

    package init(
        id: InvitationID, email: String, role: InstanceRole, grants: [Grant], invitedBy: UserID, vault: VaultID?,
        createdAt: Timestamp, expiresAt: Timestamp
    ) {
        self.id = id
        self.email = email
        self.role = role
        self.grants = grants
        self.invitedBy = invitedBy
        self.vault = vault
        self.createdAt = createdAt
        self.expiresAt = expiresAt
    }

    package var emailKey: String { User.key(of: email) }

    /// When the text in the link was made.
    package var issuedAt: Timestamp { expiresAt.adding(seconds: -Self.lifetime) }

    package func state(at now: Timestamp) -> State {
        if acceptedAt != nil { return .accepted }
        if revokedAt != nil { return .revoked }
        return expiresAt <= now ? .expired : .pending
    }

    /// All that may be shown of it, as the audit log keeps it.
    package func document(at now: Timestamp) -> JSONObject {
        func text(_ time: Timestamp?) -> JSONValue { time.map { .string($0.description) } ?? .null }
        return JSONObject([
            "id": .string(id.text),
            "email": .string(email),
            "role": .string(role.rawValue),
            "vaults": Self.document(grants),
            "vault": vault.map { .string($0.text) } ?? .null,
            "invited_by": .string(invitedBy.text),
            "state": .string(state(at: now).rawValue),
            "created_at": text(createdAt),
            "expires_at": text(expiresAt),
            "accepted_at": text(acceptedAt),
            "accepted_by": acceptedBy.map { .string($0.text) } ?? .null,
            "revoked_at": text(revokedAt),
        ])
    }

    private static func document(_ grants: [Grant]) -> JSONValue {
        .array(
            grants.map {
                .object(JSONObject(["vault": .string($0.vault.text), "role": .string($0.role.rawValue)]))
            })
    }
}

extension Invitation {
    static let columns: SQLStatement = """
        id, email, role, grants, invited_by, vault_id, created_at, expires_at, accepted_at, accepted_by, revoked_at
        """

    /// The grants as a column.
    var storedGrants: String { String(decoding: JSONWriter.write(Self.document(grants)), as: UTF8.self) }

    init(row: SQLRow) throws(SQLError) {
        func time(_ index: Int) throws(SQLError) -> Timestamp? {
            try row.optionalInteger(index).map(Timestamp.init(milliseconds:))
        }
        guard let role = InstanceRole(rawValue: try row.text(2)), let grants = Self.grants(try row.text(3)) else {
            throw SQLError(.unexpectedValue, "an invitation has a role that this program does not know")
        }
        self.init(
            id: InvitationID(stored: try row.text(0)), email: try row.text(1), role: role, grants: grants,
            invitedBy: UserID(stored: try row.text(4)), vault: try row.optionalText(5).map(VaultID.init(stored:)),
            createdAt: Timestamp(milliseconds: try row.integer(6)),
            expiresAt: Timestamp(milliseconds: try row.integer(7)))
        acceptedAt = try time(8)
        acceptedBy = try row.optionalText(9).map(UserID.init(stored:))
        revokedAt = try time(10)
    }

    private static func grants(_ column: String) -> [Grant]? {
        guard let elements = (try? JSONParser.parse(column))?.arrayValue else { return nil }
        let grants = elements.compactMap { element -> Grant? in
            guard let vault = element.objectValue?["vault"]?.stringValue,
                let role = element.objectValue?["role"]?.stringValue.flatMap(VaultRole.init(rawValue:))
            else { return nil }
            return Grant(vault: VaultID(stored: vault), role: role)
        }
        return grants.count == elements.count ? grants : nil
    }
}
