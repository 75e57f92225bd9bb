// The small texts of the protocol: base64url, verifiers and challenges, addresses.

import OpenID
import Testing

@Suite("Texts have one form")
struct TextTests {
    @Test("base64url is read only in the form that it is written in")
    func base64() {
        #expect(Base64URL.encode([]) == "")
        #expect(Base64URL.encode([0xFB, 0xFF]) == "-_8")
        #expect(Base64URL.decode("-_8") == [0xFB, 0xFF])
        #expect(Base64URL.decode("") == [])
        for text in ["-_8=", "+/8", "-_9", "A", "AAAAA", "AA A", "AA\n", "é", "AA==", "=", "-_8\u{0}"] {
            #expect(Base64URL.decode(text) == nil, "\(text)")
        }
        for count in 0..<64 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
    }

    @Test("the challenge of RFC 7636's appendix B")
    func challenge() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        #expect(ProofKey.challenge(for: verifier) == challenge)
        #expect(ProofKey.matches(verifier, challenge))
        #expect(!ProofKey.matches(verifier, verifier))
        #expect(!ProofKey.matches("", ProofKey.challenge(for: "")))
        #expect(!ProofKey.matches("short", ProofKey.challenge(for: "short")))
        #expect(ProofKey.isChallenge(challenge))
        #expect(!ProofKey.isChallenge(String(challenge.dropLast())))
        #expect(!ProofKey.isChallenge("\(challenge)="))
        #expect(!ProofKey.isVerifier(String(repeating: "v", count: 129)))
        #expect(!ProofKey.isVerifier(String(repeating: "v", count: 42) + "/"))
    }

    @Test("a provider is reached by TLS, or on this machine")
    func addresses() {
        for text in [
            "https://id.example", "https://id.example/realms/a/", "http://127.0.0.1:9400", "http://[::1]:1/x",
            "http://localhost:9400", "https://id.example:8443",
        ] { #expect(ProviderAddress.problem(text) == nil, "\(text)") }
        for text in [
            "http://id.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://127.0.0.2",
            "http://user@localhost", "https://a@b", "id.example", "", "https://", "https://id.example?x",
            "https://id.example#x",
            "HTTPS://id.example", "https://id.ex ample", "https://id.example\\x", "http://[::1", "http://0.0.0.0",
            "https://" + String(repeating: "a", count: 2048),
        ] { #expect(ProviderAddress.problem(text) != nil, "\(text)") }
    }
}
