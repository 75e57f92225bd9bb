// What an ID token has to say in order to be believed: OpenID Connect Core 1.0 §3.1.3.7, point by point, each over the wire.

import JSON
import OpenID
import OpenIDTestSupport
import Testing

@Suite("An ID token counts only when every claim is right")
struct IDTokenTests {
    struct Wrong: Sendable, CustomTestStringConvertible {
        let name: String
        let claim: String
        /// JSON; `nil` where the claim is missing. `NOW+n` is a time.
        let value: String?
        let says: String

        init(_ name: String, _ claim: String, _ value: String?, _ says: String) {
            (self.name, self.claim, self.value, self.says) = (name, claim, value, says)
        }

        var testDescription: String { name }
    }

    @Test("a right token names the person")
    func right() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims(["auth_time": "\(test.now - 5)"])))
            let token = try await test.exchange()
            #expect(token.subject == "248289761001")
            #expect(token.issuer == test.issuer)
            #expect(token.authenticatedAt == test.now - 5)
            #expect(token.claims["email"] == .string("ada@example.com"))
        }
    }

    @Test(
        "a wrong claim is refused",
        arguments: [
            Wrong("another nonce", "nonce", #""other""#, "nonce"),
            Wrong("no nonce", "nonce", nil, "nonce"),
            Wrong("a nonce that is no string", "nonce", "7", "nonce"),
            Wrong("another issuer", "iss", #""https://evil.example""#, "another issuer"),
            Wrong("no issuer", "iss", nil, "another issuer"),
            Wrong("another audience", "aud", #""somebody-else""#, "(aud)"),
            Wrong("no audience", "aud", nil, "(aud)"),
            Wrong("an empty list of audiences", "aud", "[]", "(aud)"),
            Wrong("an audience that is a number", "aud", "[1]", "(aud)"),
            Wrong("a list of audiences with one that is none", "aud", #"["postern",1]"#, "(aud)"),
            Wrong("an audience that only begins as ours", "aud", #""postern2""#, "(aud)"),
            Wrong("several audiences without azp", "aud", #"["postern","other"]"#, "(azp)"),
            Wrong("the azp of another", "azp", #""other""#, "(azp)"),
            Wrong("an azp that is no string", "azp", "1", "(azp)"),
            Wrong("expired", "exp", "NOW-61", "expired"),
            Wrong("no expiry", "exp", nil, "expiry"),
            Wrong("an expiry that is text", "exp", #""9999999999""#, "exp"),
            Wrong("an expiry beyond all times", "exp", "1e300", "exp"),
            Wrong("a negative expiry", "exp", "-1", "exp"),
            Wrong("not yet valid", "nbf", "NOW+61", "not valid yet"),
            Wrong("made in the future", "iat", "NOW+61", "future"),
            Wrong("no time of making", "iat", nil, "when it was made"),
            Wrong("no subject", "sub", nil, "(sub)"),
            Wrong("an empty subject", "sub", #""""#, "(sub)"),
            Wrong("a subject that is a number", "sub", "1", "(sub)"),
            Wrong("a subject of 256 characters", "sub", #""\#(String(repeating: "s", count: 256))""#, "(sub)"),
            Wrong("a subject with a control character", "sub", #""a\u0000b""#, "(sub)"),
            Wrong("a subject beyond ASCII", "sub", #""é""#, "(sub)"),
            Wrong("another at_hash", "at_hash", #""77QmUPtjPfzWtF2AnpK9RQ""#, "(at_hash)"),
            Wrong("an at_hash that is no string", "at_hash", "1", "(at_hash)"),
            Wrong("an auth_time in the future", "auth_time", "NOW+61", "(auth_time)"),
            Wrong("an auth_time that is no time", "auth_time", #""now""#, "auth_time"),
        ])
    func wrong(_ wrong: Wrong) async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            var value = wrong.value
            if let text = value, text.hasPrefix("NOW"), let offset = Int64(text.dropFirst(3)) {
                value = "\(test.now + offset)"
            }
            test.answer(try signer.token(test.claims([wrong.claim: value])))
            let error = await test.failure()
            #expect(error?.code == .invalidToken)
            #expect(error?.message.contains(wrong.says) == true, "\(error?.message ?? "it was taken")")
            #expect(error?.message.contains("evil") == false)
        }
    }

    @Test("clocks may differ by a minute")
    func leeway() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let now = test.now
            for changes: KeyValuePairs<String, String?> in [
                ["exp": "\(now - 59)"], ["nbf": "\(now + 60)"], ["iat": "\(now + 60)"], ["auth_time": "\(now + 60)"],
                ["exp": "\(now + 300).5"],
            ] {
                test.answer(try signer.token(test.claims(changes)))
                #expect(await test.failure() == nil)
            }
        }
    }

    @Test("several audiences count with an azp that is ours, and one audience may stand in a list")
    func audiences() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims(["aud": #"["other","postern"]"#, "azp": #""postern""#])))
            #expect(await test.failure() == nil)
            test.answer(try signer.token(test.claims(["aud": #"["postern"]"#])))
            #expect(await test.failure() == nil)
        }
    }

    @Test("a right at_hash is taken, and with another access token it is not")
    func accessTokenHash() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            // The left half of SHA-256 of the access token, made by: printf %s TOKEN | openssl dgst -sha256 -binary | head -c 16
            let token = try signer.token(test.claims(["at_hash": #""X_9S-5pdKdp9j--5RcAI1A""#]))
            test.answer(token, accessToken: "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y-none")
            #expect(await test.failure()?.message.contains("at_hash") == true)
            test.answer(token)
            #expect(await test.failure() == nil)
        }
    }

    @Test("who has to sign in again at the provider has to have done so since")
    func authenticatedAgain() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let now = test.now
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure(since: now)?.message.contains("auth_time") == true)
            test.answer(try signer.token(test.claims(["auth_time": "\(now - 61)"])))
            #expect(await test.failure(since: now)?.message.contains("did not ask again") == true)
            test.answer(try signer.token(test.claims(["auth_time": "\(now + 1)"])))
            #expect(await test.failure(since: now) == nil)
        }
    }
}
