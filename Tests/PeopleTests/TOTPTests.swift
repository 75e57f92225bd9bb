// One-time codes by the vectors of their RFCs, and base32 as it is typed.

import Sealing
import Testing

@Suite("TOTP")
struct TOTPTests {
    private let totp = TOTP(secret: Secret(Array("12345678901234567890".utf8)))

    @Test("the codes of RFC 4226 appendix D")
    func hotp() {
        let codes = (0..<10).map { totp.code(step: $0).reveal() }
        #expect(
            codes == [
                "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
            ])
    }

    @Test(
        "the codes of RFC 6238 appendix B, in six digits",
        arguments: [
            (59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
            (2_000_000_000, "279037"), (20_000_000_000, "353130"),
        ] as [(Int64, String)])
    func vectors(seconds: Int64, code: String) {
        #expect(totp.code(step: TOTP.step(at: seconds)).reveal() == code)
        #expect(totp.step(of: Secret(code), at: seconds, after: nil) == seconds / 30)
    }

    @Test("a step before and a step after count, and no more")
    func window() {
        let now: Int64 = 1_800_000_000
        let present = now / 30
        for step in present - 1...present + 1 {
            #expect(totp.step(of: totp.code(step: step), at: now, after: nil) == step)
        }
        for step in [present - 2, present + 2, 0] {
            #expect(totp.step(of: totp.code(step: step), at: now, after: nil) == nil)
        }
    }

    @Test("a step that was used, and what is before it, count no more")
    func used() {
        let now: Int64 = 1_800_000_000
        let present = now / 30
        #expect(totp.step(of: totp.code(step: present), at: now, after: present) == nil)
        #expect(totp.step(of: totp.code(step: present - 1), at: now, after: present) == nil)
        #expect(totp.step(of: totp.code(step: present + 1), at: now, after: present) == present + 1)
    }

    @Test("what is no code is none", arguments: ["", "12345", "1234567", "abcdef", "28708２", "-87082"])
    func garbage(text: String) {
        #expect(totp.step(of: Secret(text), at: 59, after: nil) == nil)
    }

    @Test("a secret has 160 bits, and no two are the same")
    func random() {
        let (first, second) = (TOTP.random(), TOTP.random())
        #expect(first.bytes.reveal().count == 20 && first.bytes.reveal() != second.bytes.reveal())
        #expect(Base32.decode(first.base32.reveal()) == first.bytes.reveal())
        #expect(first.base32.reveal().utf8.count == 32)
    }

    @Test(
        "base32 by RFC 4648 section 10, without padding",
        arguments: [
            ("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ])
    func base32(plain: String, encoded: String) {
        #expect(Base32.encode(Array(plain.utf8)) == encoded)
        #expect(Base32.decode(encoded) == Array(plain.utf8))
        #expect(Base32.decode(encoded.lowercased() + "==") == Array(plain.utf8))
    }

    @Test("a NUL ends nothing")
    func nul() {
        #expect(totp.step(of: Secret("287082\0"), at: 59, after: nil) == nil)
        #expect(Base32.decode("MY\0") == nil)
    }

    @Test("spaces and hyphens that people type are read over")
    func typed() {
        #expect(Base32.decode("mzxw 6ytb-oi") == Array("foobar".utf8))
    }

    @Test("what is no base32 is none", arguments: ["M", "MZX", "MZXW6Y", "MZ1Q", "MZ8Q", "M=ZQ", "MZXR", "MÜ"])
    func noBase32(text: String) {
        #expect(Base32.decode(text) == nil)
    }
}
