// The question that a browser takes to the provider (OpenID Connect Core 1.0 §3.1.2.1).

import WebClient

package struct AuthorizationRequest: Sendable {
    package enum Prompt: String, Sendable {
        /// Have the person show who they are, even where they are signed in.
        case login
    }

    package var state: String
    package var nonce: String
    /// Of the code's verifier, by S256.
    package var challenge: String
    /// Where the browser comes back to.
    package var redirect: String
    package var scopes: [String]
    package var prompt: Prompt?
    /// Seconds since the person last showed who they are; with it, the ID token says when that was.
    package var maxAge: Int?
    /// Whom it should be, if that is known.
    package var loginHint: String?

    package init(
        state: String,
        nonce: String,
        challenge: String,
        redirect: String,
        scopes: [String],
        prompt: Prompt? = nil,
        maxAge: Int? = nil,
        loginHint: String? = nil
    ) {
        self.state = state
        self.nonce = nonce
        self.challenge = challenge
        self.redirect = redirect
        self.scopes = scopes
        self.prompt = prompt
        self.maxAge = maxAge
        self.loginHint = loginHint
    }

    func url(at endpoint: String, clientID: String) -> String {
        var fields = [
            ("response_type", "code"), ("client_id", clientID), ("redirect_uri", redirect),
            ("scope", scopes.joined(separator: " ")), ("state", state), ("nonce", nonce),
            ("code_challenge", challenge), ("code_challenge_method", "S256"),
        ]
        if let prompt { fields.append(("prompt", prompt.rawValue)) }
        if let maxAge { fields.append(("max_age", String(maxAge))) }
        if let loginHint { fields.append(("login_hint", loginHint)) }
        let query = fields.map { "\($0)=\(WebRequest.escaped($1))" }.joined(separator: "&")
        return "\(endpoint)\(endpoint.contains("?") ? "&" : "?")\(query)"
    }
}
