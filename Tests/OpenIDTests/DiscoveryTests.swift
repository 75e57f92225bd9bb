// What a provider says of itself: believed only where it is the provider that was configured, and with addresses that are safe.

import OpenID
import OpenIDTestSupport
import Sealing
import Testing
import WebClient
import WebTestSupport

@Suite("A discovery document is checked before anybody is sent anywhere")
struct DiscoveryTests {
    private func check(_ reply: WebServerReply) async throws -> OpenIDError? {
        try await TestProvider.with { test in
            test.change { $0.discovery = reply }
            return await test.checkFailure()
        }
    }

    private func check(replacing old: String, by new: String) async throws -> OpenIDError? {
        try await TestProvider.with { test in
            let document = TestProvider.discovery(test.issuer)
            let edited = document.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
            #expect(edited != document)
            test.change { $0.discovery = .json(edited) }
            return await test.checkFailure()
        }
    }

    private func expect(_ reply: WebServerReply, _ code: OpenIDError.Code, _ words: String = "") async throws {
        let error = try await check(reply)
        #expect(error?.code == code)
        #expect(words.isEmpty || error?.message.contains(words) == true, "\(error?.message ?? "it was taken")")
    }

    private func expect(replacing old: String, by new: String, _ words: String) async throws {
        let error = try await check(replacing: old, by: new)
        #expect(error?.code == .misconfigured)
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "it was taken")")
    }

    @Test("a right one is taken")
    func right() async throws {
        try await TestProvider.with { test in try await test.provider.check() }
    }

    @Test("another issuer is refused, be it by one character")
    func issuer() async throws {
        for issuer in ["https://evil.example", "", "HTTP://127.0.0.1"] {
            try await expect(.json(TestProvider.discovery(issuer)), .misconfigured, "another issuer")
        }
        try await expect(
            replacing: #"","authorization_endpoint"#, by: #"/","authorization_endpoint"#, "another issuer")
        try await expect(.json("{}"), .misconfigured, "another issuer")
        try await expect(.json(#"{"issuer":7}"#), .misconfigured, "another issuer")
    }

    @Test(
        "addresses that are not safe are refused",
        arguments: [
            "http://other.example/token", "http://127.0.0.1.evil.example/token", "http://user:pass@127.0.0.1/token",
            "https://user@evil.example/token", "javascript:alert(1)", "//evil.example/token", "ftp://evil.example",
            "https://", "https:///token", "https://evil.example/to ken", "https://evil.example/#token",
            "file:///etc/passwd",
            "https://evil.example\\\\@127.0.0.1/", "",
        ])
    func addresses(_ address: String) async throws {
        for name in ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint"] {
            try await TestProvider.with { test in
                let paths = ["authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"]
                let right = #""\#(name)":"\#(test.issuer)/\#(paths[name] ?? "userinfo")""#
                let document = TestProvider.discovery(test.issuer)
                    .split(separator: right, omittingEmptySubsequences: false)
                    .joined(separator: #""\#(name)":"\#(address)""#)
                test.change { $0.discovery = .json(document) }
                let error = await #expect(throws: OpenIDError.self) { try await test.provider.check() }
                #expect(error?.code == .misconfigured)
                #expect(error?.message.contains(name) == true)
                #expect(error?.message.contains("evil") == false)
            }
        }
    }

    @Test("an issuer with TLS has no addresses without")
    func downgrade() async throws {
        let tls = try WebTestCertificate.serverContext()
        try await ScriptedWebServer.with(tls: tls) { request in
            let issuer = "https://\(request.field("host") ?? "")"
            let document = TestProvider.discovery(issuer)
            return .json(
                document.split(separator: #""jwks_uri":"https"#, omittingEmptySubsequences: false).joined(
                    separator: #""jwks_uri":"http"#))
        } _: { server in
            let web = try WebClient(configuration: .init(trustRootsPEM: WebTestCertificate.pem))
            let provider = OpenIDProvider(
                issuer: server.url, clientID: "c", clientSecret: nil, web: web, now: { 1_800_000_000 })
            let error = await #expect(throws: OpenIDError.self) { try await provider.check() }
            #expect(error?.message == "the discovery document's jwks_uri is http, and the issuer is https")
            await web.shutdown()
        }
    }

    @Test("a certificate that nobody trusts ends it")
    func untrusted() async throws {
        let tls = try WebTestCertificate.serverContext()
        try await ScriptedWebServer.with(tls: tls) { _ in
            .json("{}")
        } _: { server in
            let web = try WebClient()
            let provider = OpenIDProvider(
                issuer: server.url, clientID: "c", clientSecret: nil, web: web, now: { 1_800_000_000 })
            let error = await #expect(throws: OpenIDError.self) { try await provider.check() }
            #expect(error?.code == .unreachable)
            #expect(server.requests.isEmpty)
            await web.shutdown()
        }
    }

    @Test("what is missing, malformed, too large, or moved is an error with words for the operator")
    func malformed() async throws {
        try await expect(.json("[]"), .misconfigured, "not a JSON object")
        try await expect(.json("<html>"), .misconfigured, "not a JSON object")
        try await expect(replacing: #""jwks_uri":"#, by: #""x":"#, "no jwks_uri")
        try await expect(replacing: #"["code"]"#, by: #"["id_token"]"#, "authorization code flow")
        try await expect(.json(#"{"a":1,"a":2}"#), .misconfigured)
        let blank = String(repeating: " ", count: 300_000)
        try await expect(.json("{}\(blank)"), .misconfigured, "larger than 262144 bytes")
        let endless = String(repeating: " ", count: 5 << 20)
        try await expect(.json("{}\(endless)"), .misconfigured)
        let moved = WebServerReply.answer(status: 302, fields: [("Location", "https://evil.example/")])
        try await expect(moved, .misconfigured, "redirect")
        try await expect(.json("{}", status: 404), .unreachable, "404")
        try await expect(.hangUp, .unreachable)
        try await expect(.torn, .unreachable)
        try await expect(.raw("SSH-2.0-OpenSSH\r\n"), .unreachable)
    }

    @Test("a provider that cannot be reached is not asked by everybody who tries")
    func backingOff() async throws {
        try await TestProvider.with { test in
            test.change { $0.discovery = .hangUp }
            for _ in 0..<5 { await #expect(throws: OpenIDError.self) { try await test.provider.check() } }
            let count = test.count("/.well-known/openid-configuration")
            #expect(count <= 2)
            test.change {
                $0.discovery = nil
                $0.now += 2
            }
            try await test.provider.check()
        }
    }

    @Test(
        "sets of keys that are none are errors",
        arguments: [
            "{}", "[]", #"{"keys":{}}"#, #"{"keys":[]}"#, #"{"keys":[7,"x",null]}"#,
            #"{"keys":[{"kty":"RSA","kid":"ec"}]}"#,
            #"{"keys":[{"kty":"EC","kid":"ec","crv":"P-256","x":1,"y":2}]}"#, "{",
        ])
    func keys(_ text: String) async throws {
        try await TestProvider.with { test in
            test.change { $0.keys = .json(text) }
            test.answer(try TestSigner.ec().token(test.claims()))
            #expect(await test.failure()?.code == .misconfigured)
        }
    }

    @Test("a key off its curve verifies nothing, and nothing falls over")
    func offCurve() async throws {
        let zero = Base64URL.encode([UInt8](repeating: 1, count: 32))
        try await TestProvider.with { test in
            test.change {
                $0.keys = .json(
                    #"{"keys":[{"kty":"EC","kid":"ec","crv":"P-256","x":"\#(zero)","y":"\#(zero)"}]}"#)
            }
            test.answer(try TestSigner.ec().token(test.claims()))
            #expect(await test.failure()?.message.contains("key cannot be used") == true)
        }
    }
}
