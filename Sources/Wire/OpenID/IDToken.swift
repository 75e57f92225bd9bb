// Who signed in at the provider, after everything that OpenID Connect Core 1.0 §3.1.3.7 wants to be checked.

package import JSON

package struct IDToken: Sendable {
    package let issuer: String
    /// Names the person at the issuer, for ever; an e-mail address does not.
    package let subject: String
    /// When the person last showed the provider who they are, in seconds since 1970; `nil` where it does not say.
    package let authenticatedAt: Int64?
    /// All claims, of the ID token and, where it lacks them, of the userinfo endpoint. A stranger's words.
    package let claims: JSONObject

    /// What a token has to be in order to count.
    struct Expectation: Sendable {
        let issuer: String
        let clientID: String
        let nonce: String
        /// The person has to have shown who they are at this time or later.
        let authenticatedSince: Int64?
        let accessToken: String
        let now: Int64
        let leeway: Int64
    }

    /// - Parameter claims: of a token whose signature was verified.
    init(_ claims: JSONObject, algorithm: SigningAlgorithm, _ expected: Expectation) throws(OpenIDError) {
        func time(_ name: String) throws(OpenIDError) -> Int64? {
            switch claims[name] {
            case nil, .null: return nil
            case .integer(let value) where value >= 0 && value < Self.endOfTime: return value
            case .number(let value) where value >= 0 && value < Double(Self.endOfTime): return Int64(value)
            default: throw Self.refusal("has a \(name) that is no time")
            }
        }
        guard let issuer = claims["iss"]?.stringValue, issuer.utf8.elementsEqual(expected.issuer.utf8) else {
            throw Self.refusal("is of another issuer")
        }
        try Self.checkAudience(claims, expected.clientID)
        guard let expiry = try time("exp") else { throw Self.refusal("has no time of expiry") }
        guard expiry > expected.now - expected.leeway else { throw Self.refusal("has expired") }
        guard let issued = try time("iat") else { throw Self.refusal("does not say when it was made") }
        guard issued <= expected.now + expected.leeway else { throw Self.refusal("was made in the future") }
        if let start = try time("nbf"), start > expected.now + expected.leeway {
            throw Self.refusal("is not valid yet")
        }
        guard claims["nonce"]?.stringValue == expected.nonce else {
            throw Self.refusal("is of another sign-in (nonce)")
        }
        guard let subject = claims["sub"]?.stringValue, Self.isSubject(subject) else {
            throw Self.refusal("does not name anybody (sub)")
        }
        if let hash = claims["at_hash"] {
            let digest = algorithm.digest(Array(expected.accessToken.utf8))
            guard hash.stringValue == Base64URL.encode(Array(digest.prefix(digest.count / 2))) else {
                throw Self.refusal("came with an access token that is not its own (at_hash)")
            }
        }
        authenticatedAt = try time("auth_time")
        if let since = expected.authenticatedSince {
            guard let authenticatedAt else {
                throw Self.refusal("does not say when the person last signed in at the provider (auth_time)")
            }
            guard authenticatedAt >= since - expected.leeway else {
                throw Self.refusal("is of an older sign-in at the provider: it did not ask again (auth_time)")
            }
        }
        if let authenticatedAt, authenticatedAt > expected.now + expected.leeway {
            throw Self.refusal("is of a sign-in in the future (auth_time)")
        }
        self.issuer = issuer
        self.subject = subject
        self.claims = claims
    }

    private init(_ token: IDToken, claims: JSONObject) {
        issuer = token.issuer
        subject = token.subject
        authenticatedAt = token.authenticatedAt
        self.claims = claims
    }

    /// With what the userinfo endpoint says beside it. Nothing that the signed token says is replaced, but for an address that
    /// it does not say to be verified: an address and the word on it count only together, from one document.
    func joined(by more: JSONObject) throws(OpenIDError) -> IDToken {
        // §5.3.2: without this, anybody's claims could be put beside somebody's name.
        guard more["sub"]?.stringValue == subject else {
            throw OpenIDError(.invalidToken, "the userinfo endpoint speaks of somebody else than the ID token (sub)")
        }
        var claims = claims
        let isWhole = claims["email"] != nil && Self.words.contains { claims[$0] != nil }
        if isWhole || more["email"] == nil {
            for member in more.members where claims[member.name] == nil && !Self.pair.contains(member.name) {
                claims[member.name] = member.value
            }
            return IDToken(self, claims: claims)
        }
        for name in Self.pair { claims[name] = nil }
        for member in more.members where claims[member.name] == nil { claims[member.name] = member.value }
        return IDToken(self, claims: claims)
    }

    /// What says that an address is verified: the standard's claim, and Microsoft's.
    private static let words = ["email_verified", "xms_edov"]
    private static let pair = ["email"] + words

    private static func checkAudience(_ claims: JSONObject, _ clientID: String) throws(OpenIDError) {
        let audiences: [String]
        switch claims["aud"] {
        case .string(let audience): audiences = [audience]
        case .array(let list):
            audiences = list.compactMap(\.stringValue)
            guard audiences.count == list.count else { throw refusal("is for nobody (aud)") }
        default: throw refusal("is for nobody (aud)")
        }
        guard audiences.contains(clientID) else { throw refusal("is for another client (aud)") }
        let party = claims["azp"]
        guard party == nil || party?.stringValue == clientID else { throw refusal("was made for another client (azp)") }
        guard Set(audiences).count == 1 || party != nil else {
            throw refusal("is for several clients, and does not say for which it was made (azp)")
        }
    }

    /// At most 255 ASCII characters (§2), and none that cannot be seen.
    private static func isSubject(_ text: String) -> Bool {
        (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { (0x20...0x7E).contains($0) }
    }

    private static func refusal(_ words: String) -> OpenIDError { OpenIDError(.invalidToken, "the ID token \(words)") }

    /// The year 9999.
    private static let endOfTime: Int64 = 253_402_300_800
}
