// The keys of people: how long a sign-in lasts, how many attempts it may take, and whose word on addresses is believed.

extension ConfigurationKey {
    package static let sessionIdle = ConfigurationKey(
        "POSTERN_SESSION_IDLE", "seconds", default: "43200",
        "A session in a browser ends when nothing came for so long: 12 hours. 60 to 2592000.")
    package static let sessionLifetime = ConfigurationKey(
        "POSTERN_SESSION_LIFETIME", "seconds", default: "604800",
        "A session in a browser ends so long after its sign-in, however much it is used: 7 days. 300 to 31536000.")
    package static let accessTokenLifetime = ConfigurationKey(
        "POSTERN_ACCESS_TOKEN_LIFETIME", "seconds", default: "900",
        "How long the token lasts that a program signs its requests with; it dies sooner with its session. 30 to 86400."
    )
    package static let refreshTokenLifetime = ConfigurationKey(
        "POSTERN_REFRESH_TOKEN_LIFETIME", "seconds", default: "2592000",
        "Every session ends so long after its sign-in, and with it its refresh tokens: 30 days. 300 to 31536000.")
    package static let passwordSignIn = ConfigurationKey(
        "POSTERN_PASSWORD_SIGN_IN", "boolean", default: "true",
        "Whether people may sign in by password. Off needs single sign-on.")
    package static let requireSecondFactor = ConfigurationKey(
        "POSTERN_REQUIRE_SECOND_FACTOR", "boolean", default: "false",
        "On: whoever signs in by password sets up a second factor before anything else.")
    package static let signInAccountAttempts = ConfigurationKey(
        "POSTERN_SIGN_IN_ACCOUNT_ATTEMPTS", "integer", default: "10",
        "Failed sign-ins of one account in 15 minutes, after which it waits. 3 to 1000.")
    package static let signInAddressAttempts = ConfigurationKey(
        "POSTERN_SIGN_IN_ADDRESS_ATTEMPTS", "integer", default: "30",
        "Failed sign-ins from one client address in 15 minutes, after which it waits. 3 to 100000.")
    package static let peopleMailVault = ConfigurationKey(
        "POSTERN_PEOPLE_MAIL_VAULT", "slug", default: nil,
        "The vault that sends invitations and password links. Unset: links are only shown to whoever makes them.")
    package static let peopleMailFrom = ConfigurationKey(
        "POSTERN_PEOPLE_MAIL_FROM", "address", default: nil, "Who they are from: a sender domain of that vault.")
    package static let auditRetentionDays = ConfigurationKey(
        "POSTERN_AUDIT_RETENTION_DAYS", "days", default: nil,
        "How long the instance's own audit log is kept. Unset: for ever. 1 to 36500. A vault's plan says it for the vault."
    )
    package static let trustedProxies = ConfigurationKey(
        "POSTERN_TRUSTED_PROXIES", "list of IP networks", default: nil,
        "Reverse proxies whose `X-Forwarded-For` is believed, separated by commas. Unset: nobody's. At most 64.")

    static let people: [ConfigurationKey] = [
        sessionIdle, sessionLifetime, accessTokenLifetime, refreshTokenLifetime, passwordSignIn, requireSecondFactor,
        signInAccountAttempts, signInAddressAttempts, peopleMailVault, peopleMailFrom, auditRetentionDays,
        trustedProxies,
    ]
}
