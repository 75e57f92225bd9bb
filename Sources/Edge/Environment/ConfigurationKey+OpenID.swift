// The keys of single sign-on: the provider, who we are to it, and what its groups make of people.

extension ConfigurationKey {
    package static let openIDIssuer = ConfigurationKey(
        "POSTERN_OIDC_ISSUER", "URL", default: nil,
        "The provider for single sign-on by OpenID Connect, byte for byte as it names itself. `https`, or on this machine."
    )
    package static let openIDClientID = ConfigurationKey(
        "POSTERN_OIDC_CLIENT_ID", "text", default: nil, "What the provider knows this instance by.")
    package static let openIDClientSecret = ConfigurationKey(
        "POSTERN_OIDC_CLIENT_SECRET", "text", default: nil,
        "The secret that goes with it. This or the file; without both the instance is a public client, by PKCE alone.")
    package static let openIDClientSecretFile = ConfigurationKey(
        "POSTERN_OIDC_CLIENT_SECRET_FILE", "path", default: nil, "A file that holds the secret instead.")
    package static let openIDScopes = ConfigurationKey(
        "POSTERN_OIDC_SCOPES", "list of words", default: "openid email profile",
        "What the provider is asked for, separated by spaces; `openid` is always among it.")
    package static let openIDGroupsClaim = ConfigurationKey(
        "POSTERN_OIDC_GROUPS_CLAIM", "name", default: "groups",
        "The claim that lists a person's groups; a path such as `realm_access.roles` where it is inside another one.")
    package static let openIDGroupRoles = ConfigurationKey(
        "POSTERN_OIDC_GROUP_ROLES", "list of GROUP=ROLE and GROUP=VAULT:ROLE", default: nil,
        "What groups make of people at each sign-in, separated by commas: `staff=member,admins=admin,ops=default:operator`."
    )
    package static let openIDDefaultRole = ConfigurationKey(
        "POSTERN_OIDC_DEFAULT_ROLE", "one of viewer, member", default: nil,
        "What somebody becomes whom no group gives a role. Unset: only people with an account, an invitation or a group come in."
    )
    package static let openIDName = ConfigurationKey(
        "POSTERN_OIDC_NAME", "text", default: "Single sign-on", "What the sign-in page calls the provider.")

    static let openID: [ConfigurationKey] = [
        openIDIssuer, openIDClientID, openIDClientSecret, openIDClientSecretFile, openIDScopes, openIDGroupsClaim,
        openIDGroupRoles, openIDDefaultRole, openIDName,
    ]
}
