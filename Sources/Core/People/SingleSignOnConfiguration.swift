// What the operator decides about single sign-on: how the provider is asked, and whom its groups make what.

package import Model

package struct SingleSignOnConfiguration: Sendable {
    /// What pages call it.
    package var name: String
    package var scopes: [String]
    /// The claim that lists somebody's groups; a dotted path where no claim has the very name.
    package var groupsClaim: String
    /// Roles at the instance by group.
    package var instanceRoles: [String: InstanceRole]
    /// Roles in vaults by group, then by the vault's slug.
    package var vaultRoles: [String: [String: VaultRole]]
    /// What somebody becomes who has no account and no group that says so; `nil`: nobody gets one this way.
    package var defaultRole: InstanceRole?
    /// How people reach the instance, without a slash at the end.
    package var publicURL: String
    /// Failed sign-ins that may come from one address within `attemptWindow`.
    package var addressAttempts = 30
    /// Seconds.
    package var attemptWindow: Double = 900
    /// Seconds since somebody showed the provider who they are, for an ordinary sign-in.
    package var maxAge = 7 * 86_400

    package init(
        name: String, scopes: [String], groupsClaim: String, instanceRoles: [String: InstanceRole] = [:],
        vaultRoles: [String: [String: VaultRole]] = [:], defaultRole: InstanceRole? = nil, publicURL: String
    ) {
        self.name = name
        self.scopes = scopes
        self.groupsClaim = groupsClaim
        self.instanceRoles = instanceRoles
        self.vaultRoles = vaultRoles
        self.defaultRole = defaultRole
        self.publicURL = publicURL
    }

    /// Where the provider sends browsers back to; to be registered there.
    package var redirect: String { "\(publicURL)/auth/oidc/callback" }

    var asksForGroups: Bool { !instanceRoles.isEmpty || !vaultRoles.isEmpty }
}
