// Somebody who signed in, and what the gate has to know of them.

package struct Person: Hashable, Sendable {
    /// How somebody showed who they are.
    package enum Method: String, Hashable, Sendable, CaseIterable {
        case password
        /// A password, and a code of a second factor or a recovery code.
        case secondFactor = "second_factor"
        case openID = "openid"
    }

    package let id: UserID
    /// As it was written, with its domain in lower case.
    package let email: String
    package let name: String
    package let role: InstanceRole
    /// The vaults that they are a member of.
    package let memberships: [VaultID: VaultRole]
    package let session: SessionID
    package let method: Method
    /// When they last showed who they are: at the sign-in, or again since.
    package let authenticatedAt: Timestamp
    /// Whether a sign-in of theirs by password needs a second factor.
    package let hasSecondFactor: Bool

    package init(
        id: UserID, email: String, name: String, role: InstanceRole, memberships: [VaultID: VaultRole],
        session: SessionID, method: Method, authenticatedAt: Timestamp, hasSecondFactor: Bool
    ) {
        self.id = id
        self.email = email
        self.name = name
        self.role = role
        self.memberships = memberships
        self.session = session
        self.method = method
        self.authenticatedAt = authenticatedAt
        self.hasSecondFactor = hasSecondFactor
    }

    /// The person as a caller in one of their vaults; `nil` where they are no member.
    package func caller(in vault: VaultID) -> Caller? {
        guard memberships[vault] != nil else { return nil }
        var caller = Caller(vault: vault, identity: .member(id), label: email, scopes: [])
        caller.person = self
        return caller
    }
}
