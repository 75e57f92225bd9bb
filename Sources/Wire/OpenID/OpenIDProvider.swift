// A provider of OpenID Connect, asked by the authorization code flow with PKCE (OpenID Connect Core 1.0 §3.1, RFC 7636).

import FoundationEssentials
package import JSON
package import Sealing
package import WebClient

package final class OpenIDProvider: Sendable {
    /// Who the provider is, and who we are to it.
    package let issuer: String
    private let clientID: String
    private let clientSecret: Secret<String>?
    private let web: WebClient
    private let limits: OpenIDLimits
    private let now: @Sendable () -> Int64
    private let documents: ProviderDocuments

    /// - Parameters:
    ///   - issuer: byte for byte as the provider writes it; `ProviderAddress.problem` is `nil` for it.
    ///   - clientSecret: `nil` for a public client, which PKCE alone protects.
    ///   - now: seconds since 1970.
    package init(
        issuer: String,
        clientID: String,
        clientSecret: Secret<String>?,
        web: WebClient,
        limits: OpenIDLimits = .init(),
        now: @escaping @Sendable () -> Int64
    ) {
        self.issuer = issuer
        self.clientID = clientID
        self.clientSecret = clientSecret
        self.web = web
        self.limits = limits
        self.now = now
        documents = ProviderDocuments(issuer: issuer, web: web, limits: limits, now: now)
    }

    /// Asks the provider who it is, so that a mistake in the configuration shows before anybody signs in.
    package func check() async throws(OpenIDError) { _ = try await documents.describe() }

    /// Where a browser has to go in order to be signed in.
    package func authorizationURL(_ question: AuthorizationRequest) async throws(OpenIDError) -> String {
        question.url(at: try await documents.describe().authorizationEndpoint, clientID: clientID)
    }

    /// Whether an answer to the browser can be this provider's (RFC 9207).
    /// - Parameter issuer: the answer's `iss`.
    package func isAnswer(from issuer: String?) async throws(OpenIDError) -> Bool {
        if let issuer { return issuer.utf8.elementsEqual(self.issuer.utf8) }
        return try await !documents.describe().namesIssuer
    }

    /// Exchanges the code that a browser came back with for the word of the provider on who signed in.
    /// - Parameters:
    ///   - authenticatedSince: seconds since 1970; somebody who signed in at the provider before has to have done so again.
    ///   - isComplete: whether these claims are all that is wanted; the userinfo endpoint is asked for more otherwise.
    package func exchange(
        code: Secret<String>,
        verifier: Secret<String>,
        redirect: String,
        nonce: String,
        authenticatedSince: Int64? = nil,
        isComplete: @Sendable (JSONObject) -> Bool = { _ in true }
    ) async throws(OpenIDError) -> IDToken {
        let metadata = try await documents.describe()
        let answer = try await redeem(code, verifier, redirect, metadata)
        guard let text = answer["id_token"]?.stringValue else {
            throw OpenIDError(.invalidToken, "the provider's answer has no ID token: the scope openid may be missing")
        }
        guard let accessToken = answer["access_token"]?.stringValue, !accessToken.isEmpty,
            answer["token_type"]?.stringValue?.lowercased() == "bearer"
        else { throw OpenIDError(.invalidToken, "the provider's answer has no access token of the type Bearer") }
        let token = try CompactToken(text, limits: limits)
        let key = try await documents.key(named: token.keyID, for: token.algorithm)
        let idToken = try IDToken(
            try await token.claims(verifiedBy: key), algorithm: token.algorithm,
            IDToken.Expectation(
                issuer: issuer, clientID: clientID, nonce: nonce, authenticatedSince: authenticatedSince,
                accessToken: accessToken, now: now(), leeway: limits.leeway))
        guard let address = metadata.userInfoEndpoint, !isComplete(idToken.claims) else {
            return idToken
        }
        return try idToken.joined(by: try await userInfo(address, Secret(accessToken)))
    }

    private func redeem(
        _ code: Secret<String>,
        _ verifier: Secret<String>,
        _ redirect: String,
        _ metadata: ProviderMetadata
    ) async throws(OpenIDError) -> JSONObject {
        var fields = [
            ("grant_type", "authorization_code"), ("code", code.reveal()), ("redirect_uri", redirect),
            ("code_verifier", verifier.reveal()),
        ]
        var authorization: String?
        switch (clientSecret, metadata.clientAuthentication) {
        case (nil, _): fields.append(("client_id", clientID))
        case (let secret?, .post): fields += [("client_id", clientID), ("client_secret", secret.reveal())]
        case (let secret?, .basic):
            // RFC 6749 §2.3.1: both are encoded as in a form before they are joined.
            let pair = "\(WebRequest.escaped(clientID)):\(WebRequest.escaped(secret.reveal()))"
            authorization = "Basic \(Data(pair.utf8).base64EncodedString())"
        }
        let form = fields.map { "\($0)=\(WebRequest.escaped($1))" }.joined(separator: "&")
        var request = WebRequest(
            .post, "", body: Array(form.utf8), contentType: "application/x-www-form-urlencoded")
        if let authorization { request.fields.append(("Authorization", authorization)) }
        let response = try await web.ask(request, at: metadata.tokenEndpoint, "token endpoint", limits: limits)
        let document = (try? JSONParser.parse(response.body))?.objectValue
        guard response.status == 200 else { throw Self.refusal(response.status, document) }
        guard let document else {
            throw OpenIDError(.misconfigured, "the provider's token endpoint does not answer with a JSON object")
        }
        return document
    }

    private func userInfo(_ address: String, _ token: Secret<String>) async throws(OpenIDError) -> JSONObject {
        let response = try await web.ask(
            WebRequest(.get, ""), at: address, "userinfo endpoint", token: token, limits: limits)
        guard response.status == 200, let document = (try? JSONParser.parse(response.body))?.objectValue else {
            throw OpenIDError(
                .unreachable, "the provider's userinfo endpoint gives no JSON object: the answer is \(response.status)")
        }
        return document
    }

    /// RFC 6749 §5.2. Only the code of the error is repeated, and only where it looks like one.
    private static func refusal(_ status: Int, _ document: JSONObject?) -> OpenIDError {
        let word = document?["error"]?.stringValue ?? ""
        let isWord =
            (1...40).contains(word.utf8.count)
            && word.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "_")
            }
        let words = isWord ? word : "\(status)"
        switch (status, word) {
        case (_, "invalid_client"), (_, "unauthorized_client"), (401, _):
            return OpenIDError(
                .misconfigured, "the provider does not know this client, or not by this secret: the answer is \(words)")
        case (500..., _):
            return OpenIDError(.unreachable, "the provider's token endpoint cannot answer now: the answer is \(words)")
        default: return OpenIDError(.refused, "the provider does not take the code: the answer is \(words)")
        }
    }
}
