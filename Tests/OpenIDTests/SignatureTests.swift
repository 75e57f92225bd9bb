// Who signed an ID token: the provider, by an algorithm that only it can sign with, or nobody who counts.

import Crypto
import CryptoExtras
import OpenID
import OpenIDTestSupport
import Testing
import WebTestSupport

@Suite("Only the provider's own signature counts")
struct SignatureTests {
    @Test(
        "every accepted algorithm verifies",
        arguments: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
    func algorithms(_ algorithm: String) async throws {
        let key: TestSigner.Key =
            switch algorithm {
            case "ES256": .p256(P256.Signing.PrivateKey())
            case "ES384": .p384(P384.Signing.PrivateKey())
            case "ES512": .p521(P521.Signing.PrivateKey())
            case "EdDSA": .ed25519(Curve25519.Signing.PrivateKey())
            default: .rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048))
            }
        let signer = TestSigner(id: "k", algorithm: algorithm, key: key)
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure() == nil)
            // One claim changed, and the signature kept.
            let parts = try signer.token(test.claims()).split(separator: ".")
            let other = Base64URL.encode(Array(test.claims(["sub": #""somebody""#]).utf8))
            test.answer("\(parts[0]).\(other).\(parts[2])")
            #expect(await test.failure()?.message.contains("not signed by the provider's key") == true)
            test.answer("\(parts[0]).\(parts[1]).")
            #expect(await test.failure()?.code == .invalidToken)
        }
    }

    @Test("alg=none is no signature, however it is written", arguments: ["none", "None", "NONE", "nOnE", ""])
    func none(_ name: String) async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let header = Base64URL.encode(Array(#"{"alg":"\#(name)","typ":"JWT"}"#.utf8))
            let claims = Base64URL.encode(Array(test.claims().utf8))
            for token in ["\(header).\(claims).", "\(header).\(claims).AAAA", "\(header).\(claims)"] {
                test.answer(token)
                #expect(await test.failure()?.code == .invalidToken)
            }
            test.answer(try signer.token(test.claims(), header: #"{"typ":"JWT","kid":"ec"}"#))
            #expect(await test.failure()?.code == .invalidToken)
        }
    }

    @Test("the published key is no secret to make an HMAC with")
    func confusion() async throws {
        let signer = try TestSigner.rsa()
        guard case .rsa(let key) = signer.key else { return }
        try await TestProvider.with { test in
            try test.publish(signer)
            for secret in [
                Array(key.publicKey.pemRepresentation.utf8), Array(key.publicKey.derRepresentation),
                Array(try key.publicKey.getKeyPrimitives().modulus), Array(try signer.published().utf8), [],
            ] {
                test.answer(TestSigner.symmetric(test.claims(), secret: secret, id: "rsa"))
                #expect(await test.failure()?.message.contains("algorithm that is not accepted") == true)
            }
        }
    }

    @Test("a symmetric key that the provider publishes is passed over")
    func published() async throws {
        try await TestProvider.with { test in
            test.change { $0.keys = .json(#"{"keys":[{"kty":"oct","kid":"h","alg":"HS256","k":"c2VjcmV0"}]}"#) }
            test.answer(TestSigner.symmetric(test.claims(), secret: Array("secret".utf8), id: "h"))
            #expect(await test.failure()?.code == .invalidToken)
            let signer = TestSigner.ec("h")
            test.answer(try signer.token(test.claims()))
            #expect(await test.failure()?.message.contains("no key that can sign") == true)
        }
    }

    @Test("somebody else's key under the provider's name signs nothing")
    func stranger() async throws {
        let (ours, theirs) = (TestSigner.ec("k"), TestSigner.ec("k"))
        try await TestProvider.with { test in
            try test.publish(ours)
            test.answer(try theirs.token(test.claims()))
            #expect(await test.failure()?.message.contains("not signed by the provider's key") == true)
            // A key that the token brings along, and one that it points at.
            let header =
                #"{"alg":"ES256","typ":"JWT","kid":"k","jwk":\#(try theirs.published()),"jku":"\#(test.issuer)/evil"}"#
            test.answer(try theirs.token(test.claims(), header: header))
            #expect(await test.failure()?.message.contains("not signed by the provider's key") == true)
            #expect(test.count("/evil") == 0)
        }
    }

    @Test("a key signs by its own algorithm and for signatures only")
    func purpose() async throws {
        let signer = try TestSigner.rsa("k", algorithm: "RS256")
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.named(algorithm: "RS512").token(test.claims()))
            #expect(await test.failure()?.code == .invalidToken)
            test.answer(try signer.token(test.claims(), header: #"{"alg":"ES256","kid":"k"}"#))
            #expect(await test.failure()?.code == .invalidToken)
        }
        for purpose in [#""use":"enc""#, #""key_ops":["encrypt"]"#] {
            try await TestProvider.with { test in
                let keys = #"{"keys":[\#(try signer.published(purpose)),\#(try TestSigner.ec("e").published())]}"#
                test.change { $0.keys = .json(keys) }
                test.answer(try signer.token(test.claims()))
                #expect(await test.failure()?.message.contains("key that the provider does not have") == true)
            }
        }
    }

    @Test("a token without a key's name is of the only key that fits, and of none where several do")
    func nameless() async throws {
        let (first, second) = (TestSigner.ec("a"), TestSigner.ec("b"))
        try await TestProvider.with { test in
            let rsa = try TestSigner.rsa()
            try test.publish(first, rsa)
            test.answer(try first.token(test.claims(), header: #"{"alg":"ES256"}"#))
            #expect(await test.failure() == nil)
        }
        try await TestProvider.with { test in
            try test.publish(first, second)
            test.answer(try first.token(test.claims(), header: #"{"alg":"ES256"}"#))
            #expect(await test.failure()?.code == .invalidToken)
        }
        try await TestProvider.with { test in
            try test.publish(first, second.named("a"))
            test.answer(try first.token(test.claims()))
            #expect(await test.failure()?.code == .invalidToken)
        }
    }

    @Test("a short RSA key is none")
    func short() async throws {
        let n = Base64URL.encode([UInt8](repeating: 0xC3, count: 128))
        try await TestProvider.with { test in
            test.change { $0.keys = .json(#"{"keys":[{"kty":"RSA","kid":"rsa","n":"\#(n)","e":"AQAB"}]}"#) }
            test.answer(try TestSigner.rsa().token(test.claims()))
            #expect(await test.failure()?.message.contains("key cannot be used") == true)
        }
    }

    @Test(
        "tokens of other kinds, and headers that have to be understood, are refused",
        arguments: [
            #"{"alg":"ES256","kid":"ec","crit":["exp"],"exp":1}"#, #"{"alg":"ES256","kid":"ec","typ":"at+jwt"}"#,
            #"{"alg":"ES256","kid":"ec","typ":"logout+jwt"}"#, #"{"alg":"ES256","kid":7}"#,
            #"{"alg":"ES256","alg":"none","kid":"ec"}"#, #"{"alg":["ES256"],"kid":"ec"}"#, "[]", "",
        ])
    func headers(_ header: String) async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            test.answer(try signer.token(test.claims(), header: header))
            #expect(await test.failure()?.code == .invalidToken)
        }
    }

    @Test("what is signed and is no object with unique names says nothing")
    func payloads() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let twice = String(test.claims().dropLast()) + #","sub":"somebody"}"#
            let deep = String(repeating: #"{"a":"#, count: 200) + "1" + String(repeating: "}", count: 200)
            for claims in [twice, "[]", "null", "", "{", deep, "\u{FEFF}{}"] {
                test.answer(try signer.token(claims))
                #expect(await test.failure()?.code == .invalidToken)
            }
        }
    }

    @Test("texts that are no tokens are refused")
    func malformed() async throws {
        let signer = TestSigner.ec()
        try await TestProvider.with { test in
            try test.publish(signer)
            let token = try signer.token(test.claims())
            let parts = token.split(separator: ".")
            for text in [
                "", ".", "..", "...", "a.b.c", "\(token).", ".\(token)", "\(token).x.y", "\(token)=", " \(token)",
                "\(parts[0])=.\(parts[1]).\(parts[2])", "\(parts[0]).\(parts[1])+.\(parts[2])",
                "\(parts[0]).\(parts[1]).\(parts[2])A", "{}", String(repeating: "a.", count: 40_000),
            ] {
                test.answer(text)
                #expect(await test.failure()?.code == .invalidToken, "\(text.prefix(60))")
            }
            let large = try signer.token(test.claims(["groups": #""\#(String(repeating: "g", count: 70_000))""#]))
            test.answer(large)
            #expect(await test.failure()?.message.contains("larger than 65536 bytes") == true)
        }
    }
}
