// Why nobody could be signed in by the provider. The description can be shown and logged: no tokens, no codes, no secrets,
// and nobody else's words.

package struct OpenIDError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The provider cannot be reached, or gives no answer in time.
        case unreachable
        /// What the provider says of itself cannot be used: another issuer, addresses without TLS, no keys.
        case misconfigured
        /// The provider does not accept what it was asked, such as a code that was used before.
        case refused
        /// The ID token is not one that the provider made for us, now, for this sign-in.
        case invalidToken
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
