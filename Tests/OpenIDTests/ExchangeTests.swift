// How a code is exchanged: what the provider is sent, and what its answers come to.

import FoundationEssentials
import JSON
import OpenID
import OpenIDTestSupport
import Sealing
import Testing
import WebTestSupport

@Suite("A code is exchanged for who signed in")
struct ExchangeTests {
    private func fields(_ request: WebServerRequest?) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in (request?.text ?? "").split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            fields[String(halves[0])] = String(halves[1])
        }
        return fields
    }

    @Test("the secret goes as HTTP Basic, encoded as a form is, and the verifier in the body")
    func basic() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            _ = try await test.exchange()
            let request = test.requests.first { $0.target == "/token" }
            let pair = Data("postern:s3cret%2F%2B%20%3A".utf8).base64EncodedString()
            #expect(request?.field("authorization") == "Basic \(pair)")
            #expect(request?.method == "POST")
            #expect(request?.field("content-type") == "application/x-www-form-urlencoded")
            #expect(
                fields(request) == [
                    "grant_type": "authorization_code", "code": "c0de", "code_verifier": TestProvider.verifier,
                    "redirect_uri": "https%3A%2F%2Fgate.example%2Fauth%2Foidc%2Fcallback",
                ])
        }
    }

    @Test("the secret goes in the body where the provider takes nothing else")
    func post() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let document = TestProvider.discovery(test.issuer)
                .split(separator: #""client_secret_basic","none""#).joined(separator: #""client_secret_post""#)
            test.change { $0.discovery = .json(document) }
            test.answer(try signer.token(test.claims()))
            _ = try await test.exchange()
            let request = test.requests.first { $0.target == "/token" }
            #expect(request?.field("authorization") == nil)
            #expect(fields(request)["client_id"] == "postern")
            #expect(fields(request)["client_secret"] == "s3cret%2F%2B%20%3A")
        }
    }

    @Test("a public client names itself, and has nothing but the verifier")
    func publicClient() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with(secret: nil) { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            _ = try await test.exchange()
            let request = test.requests.first { $0.target == "/token" }
            #expect(request?.field("authorization") == nil)
            #expect(fields(request)["client_id"] == "postern")
            #expect(fields(request)["client_secret"] == nil)
        }
    }

    @Test("errors of the token endpoint are told apart, and nobody's words are repeated")
    func errors() async throws {
        try await TestProvider.with { test in
            for (status, body, code) in [
                (400, #"{"error":"invalid_grant","error_description":"evil words"}"#, OpenIDError.Code.refused),
                (401, #"{"error":"invalid_client"}"#, .misconfigured),
                (400, #"{"error":"invalid_client"}"#, .misconfigured),
                (400, #"{"error":"<script>evil</script>"}"#, .refused), (503, "evil", .unreachable),
                (200, "[]", .misconfigured), (200, "{}", .invalidToken), (429, "{}", .refused),
            ] {
                test.change { $0.token = .json(body, status: status) }
                let error = await test.failure()
                #expect(error?.code == code, "\(status) \(body)")
                #expect(error?.message.contains("evil") == false)
                #expect(error?.message.contains("s3cret") == false)
                #expect(error?.message.contains("c0de") == false)
            }
            test.change { $0.token = .answer(status: 307, fields: [("Location", "https://evil.example/")]) }
            #expect(await test.failure()?.message.contains("redirect") == true)
            test.change { $0.token = .hangUp }
            #expect(await test.failure()?.code == .unreachable)
        }
    }

    @Test("an answer without an access token of the type Bearer is none")
    func accessToken() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let token = try signer.token(test.claims())
            for members in [
                "", #","access_token":"a""#, #","access_token":"a","token_type":"mac""#,
                #","access_token":"","token_type":"Bearer""#, #","access_token":7,"token_type":"Bearer""#,
            ] {
                test.change { $0.token = .json(#"{"id_token":"\#(token)"\#(members)}"#) }
                #expect(await test.failure()?.message.contains("no access token") == true)
            }
            test.change {
                $0.token = .json(#"{"id_token":"\#(token)","access_token":"a","token_type":"bearer"}"#)
            }
            #expect(await test.failure() == nil)
        }
    }

    @Test("claims that the ID token lacks are asked of the userinfo endpoint, for the same person only")
    func userInfo() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            _ = try await test.exchange(claims: ["email"])
            #expect(test.count("/userinfo") == 0)

            test.change {
                $0.userInfo = .json(#"{"sub":"248289761001","groups":["staff"],"email":"evil@example.com"}"#)
            }
            let token = try await test.exchange(claims: ["groups"])
            #expect(token.claims["groups"] == .array([.string("staff")]))
            #expect(token.claims["email"] == .string("ada@example.com"))
            #expect(
                test.requests.last { $0.target == "/userinfo" }?.field("authorization")
                    == "Bearer \(TestProvider.accessToken)")

            for body in [#"{"groups":["admins"]}"#, #"{"sub":"another","groups":["admins"]}"#] {
                test.change { $0.userInfo = .json(body) }
                #expect(await test.failure(claims: ["groups"])?.message.contains("somebody else") == true)
            }
            test.change { $0.userInfo = .answer(status: 200, body: Array("e30.e30.".utf8)) }
            #expect(await test.failure(claims: ["groups"])?.code == .unreachable)
        }
    }

    @Test("the browser's question has PKCE, state and nonce, every value escaped")
    func question() async throws {
        try await TestProvider.with { test in
            let request = AuthorizationRequest(
                state: "st&ate", nonce: "n=1", challenge: ProofKey.challenge(for: TestProvider.verifier),
                redirect: "https://gate.example/auth/oidc/callback", scopes: ["openid", "email"], prompt: .login,
                maxAge: 0)
            let url = try await test.provider.authorizationURL(request)
            #expect(
                url == "\(test.issuer)/authorize?response_type=code&client_id=postern"
                    + "&redirect_uri=https%3A%2F%2Fgate.example%2Fauth%2Foidc%2Fcallback&scope=openid%20email&state=st%26ate"
                    + "&nonce=n%3D1&code_challenge=\(ProofKey.challenge(for: TestProvider.verifier))"
                    + "&code_challenge_method=S256&prompt=login&max_age=0")
        }
    }

    @Test("an answer of another issuer is not this provider's (RFC 9207)")
    func issuerOfAnswer() async throws {
        try await TestProvider.with { test in
            for (issuer, isOurs) in [(nil, true), (test.issuer, true), ("https://evil.example", false), ("", false)] {
                let answer = try await test.provider.isAnswer(from: issuer)
                #expect(answer == isOurs)
            }
        }
        try await TestProvider.with { test in
            test.change { $0.extra = #","authorization_response_iss_parameter_supported":true"# }
            let answer = try await test.provider.isAnswer(from: nil)
            #expect(answer == false)
        }
    }
}
