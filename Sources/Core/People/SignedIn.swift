// What somebody gets who signed in. Each text is shown this once.

package import Model
package import Sealing

package struct SignedIn: Sendable {
    package let person: Person
    /// For browsers: 43 random characters.
    package let cookie: Secret<String>
    /// For programs: a JWT that is good for a few minutes.
    package let accessToken: Secret<String>
    /// Gets the next access token, and the next of its own kind; works once.
    package let refreshToken: Secret<String>
    /// Seconds of the access token.
    package let expiresIn: Int
}
