// Access tokens that somebody made up, changed, or has from elsewhere.

import CoreTestSupport
import Crypto
import FoundationEssentials
import JWTKit
import Model
import People
import Sealing
import Store
import Testing
import Vaults

@Suite("Access tokens")
struct AccessTokenTests {
    private struct Claims: JWTPayload {
        var iss: String? = "postern"
        var aud: AudienceClaim? = "postern"
        var sub: String?
        var sid: String?
        var iat: Double?
        var nbf: Double?
        var exp: Double?
        var jti: String? = "x"

        func verify(using algorithm: some JWTAlgorithm) throws {}
    }

    private func claims(_ house: PeopleHouse, _ signedIn: SignedIn) -> Claims {
        let now = Double(house.clock.now().seconds)
        return Claims(
            sub: signedIn.person.id.text, sid: signedIn.person.session.text, iat: now, nbf: now, exp: now + 900)
    }

    /// Whether a token signed by this key, or by ours, is taken.
    private func isTaken(
        _ house: PeopleHouse,
        _ claims: Claims,
        key: [UInt8]? = nil
    ) async throws -> Bool {
        let keys = JWTKeyCollection()
        let own = house.key.derived("access tokens").reveal()
        await keys.add(hmac: HMACKey(from: key ?? own), digestAlgorithm: .sha256)
        return try await isTaken(house, try await keys.sign(claims))
    }

    private func isTaken(_ house: PeopleHouse, _ token: String) async throws -> Bool {
        do {
            _ = try await house.sessions.person(accessToken: Secret(token))
            return true
        } catch let error as PosternError {
            #expect(error.code == .unauthorized && error.detail == "the sign-in is not valid, has expired or was ended")
            return false
        }
    }

    private func base64URL(_ text: String) -> String { base64URL(Data(text.utf8)) }

    private func base64URL(_ bytes: Data) -> String {
        bytes.base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing("=", with: "")
    }

    @Test("a token made as ours are is taken, so that the refusals here prove something")
    func control() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            #expect(try await isTaken(house, claims(house, signedIn)))
            #expect(try await isTaken(house, signedIn.accessToken.reveal()))
        }
    }

    @Test("a token that says how it was signed, and lies, is refused")
    func algorithms() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let parts = signedIn.accessToken.reveal().split(separator: ".").map(String.init)
            for name in ["none", "None", "NONE", "nOnE", "HS512", "RS256", "ES256", ""] {
                let header = base64URL("{\"alg\":\"\(name)\",\"typ\":\"JWT\"}")
                // Without a signature, with the one that was there, and with a right one over what it says now.
                let key = SymmetricKey(data: house.key.derived("access tokens").reveal())
                let input = Array("\(header).\(parts[1])".utf8)
                let right = base64URL(Data(HMAC<SHA256>.authenticationCode(for: input, using: key)))
                for signature in ["", parts[2], right] {
                    let isTaken = try await isTaken(house, "\(header).\(parts[1]).\(signature)")
                    #expect(!isTaken, "alg \(name)")
                }
            }
            // By our own key, with an algorithm that is not ours.
            let (header, key) = (
                base64URL("{\"alg\":\"HS512\",\"typ\":\"JWT\"}"), house.key.derived("access tokens").reveal()
            )
            let input = Array("\(header).\(parts[1])".utf8)
            let signature = base64URL(Data(HMAC<SHA512>.authenticationCode(for: input, using: SymmetricKey(data: key))))
            #expect(try await !isTaken(house, "\(header).\(parts[1]).\(signature)"))
            let withoutAlgorithm = base64URL("{\"typ\":\"JWT\"}")
            #expect(try await !isTaken(house, "\(withoutAlgorithm).\(parts[1]).\(parts[2])"))
        }
    }

    @Test("a token signed by another key, the public issuer or an empty one included, is refused")
    func otherKeys() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let claims = claims(house, signedIn)
            let keys: [[UInt8]] = [
                Array(repeating: 0, count: 32), RandomToken.bytes(32), house.key.derived("audit seals").reveal(),
                Array("https://mail.example.com........".utf8),
            ]
            for key in keys {
                let isTaken = try await isTaken(house, claims, key: key)
                #expect(!isTaken)
            }
        }
    }

    @Test("a token for another audience, of another issuer, or without either is refused")
    func audience() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let changes: [(inout Claims) -> Void] = [
                { $0.aud = "mailer" }, { $0.aud = AudienceClaim(value: ["postern", "mailer"]) }, { $0.aud = nil },
                { $0.iss = "https://evil.example" },
                { $0.iss = "https://mail.example.com" }, { $0.iss = nil }, { $0.sub = nil }, { $0.sid = nil },
                { $0.exp = nil },
            ]
            for change in changes {
                var claims = claims(house, signedIn)
                change(&claims)
                let isTaken = try await isTaken(house, claims)
                #expect(!isTaken)
            }
        }
    }

    @Test("a token has its time")
    func times() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let now = Double(house.clock.now().seconds)
            for (nbf, exp, isGood) in [
                (now, now + 1, true), (now, now, false), (now - 1000, now - 1, false), (now + 29, now + 900, true),
                (now + 31, now + 900, false), (0, Double.greatestFiniteMagnitude, true),
            ] {
                var claims = claims(house, signedIn)
                (claims.nbf, claims.exp) = (nbf, exp)
                let isTaken = try await isTaken(house, claims)
                #expect(isTaken == isGood)
            }
            house.clock.advance(seconds: 899)
            #expect(try await isTaken(house, signedIn.accessToken.reveal()))
            house.clock.advance(seconds: 1)
            #expect(try await !isTaken(house, signedIn.accessToken.reveal()))
        }
    }

    @Test("the session that a token names is the one of the person that it names")
    func session() async throws {
        try await withPeople { house in
            try await house.add()
            let eve = try await house.add("eve@example.com")
            let (ada, hers) = (try await house.signIn(), try await house.signIn("eve@example.com"))
            for (sub, sid) in [
                (eve.id.text, ada.person.session.text), (ada.person.id.text, hers.person.session.text),
                (eve.id.text, "ses_0000000000000000"), (eve.id.text, ""), ("", hers.person.session.text),
                (eve.id.text, eve.id.text), (eve.id.text, "' OR 1=1 --"),
            ] {
                var claims = claims(house, hers)
                (claims.sub, claims.sid) = (sub, sid)
                let isTaken = try await isTaken(house, claims)
                #expect(!isTaken)
            }
        }
    }

    @Test("every byte of a token counts")
    func tampered() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let bytes = Array(signedIn.accessToken.reveal().utf8)
            // The last character of a signature has bits that mean nothing.
            for index in stride(from: 0, to: bytes.count - 1, by: 7) {
                var changed = bytes
                changed[index] = changed[index] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
                let isTaken = try await isTaken(house, String(decoding: changed, as: UTF8.self))
                #expect(!isTaken, "byte \(index)")
            }
        }
    }

    @Test("a token of another instance is of no use here")
    func otherInstance() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            try await withPeople { other in
                let isTaken = try await isTaken(other, signedIn.accessToken.reveal())
                #expect(!isTaken)
            }
        }
    }
}
