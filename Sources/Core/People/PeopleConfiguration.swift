// What an operator decides about sign-ins and sessions, with the values that hold where they decide nothing.

package struct PeopleConfiguration: Sendable {
    /// Seconds of an access token.
    package var accessLifetime = 900
    /// Seconds after the sign-in for which refresh tokens are good, each for the next.
    package var refreshLifetime = 30 * 86_400
    /// Seconds without a request after which a cookie is good for nothing.
    package var sessionIdle = 12 * 3600
    /// Seconds after the sign-in for which a cookie is good at most.
    package var sessionLifetime = 7 * 86_400
    /// Failed sign-ins that one account may have within `attemptWindow`.
    package var accountAttempts = 10
    /// Failed sign-ins that may come from one address (of IPv6: from one network of 64 bits) within `attemptWindow`.
    package var addressAttempts = 30
    /// Seconds.
    package var attemptWindow = 900
    /// Seconds for which a link that sets a password works, where its owner asked for it by mail.
    package var resetLifetime = 3600
    /// Seconds for which one works that an admin made.
    package var givenResetLifetime = 86_400
    /// Whether people may sign in by password at all.
    package var passwordSignIn = true
    /// Whether somebody who signed in by password alone may do no more than set up a second factor. The gate asks.
    package var requiresSecondFactor = false
    /// How people reach the instance, without a slash at the end: in links.
    package let publicURL: String
    /// What authenticator apps show.
    package var issuerName = "Postern"

    package init(publicURL: String) {
        var url = publicURL[...]
        while url.hasSuffix("/") { url.removeLast() }
        self.publicURL = String(url)
    }
}
