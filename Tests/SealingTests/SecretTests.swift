// A secret does not show itself, in whatever way it is printed; comparing tells equal from unequal and nothing else.

import Sealing
import Testing

@Suite("Secrets")
struct SecretTests {
    private struct Holder {
        let name = "holder"
        let password: Secret<String>
        let list: [Secret<String>]
        let optional: Secret<String>?
    }

    @Test("no way of printing shows what is inside")
    func neverPrints() {
        let secret = Secret("hunter2")
        let holder = Holder(password: secret, list: [secret], optional: secret)
        var printed = "\(secret) \(String(describing: secret)) \(String(reflecting: secret)) "
        print(secret, holder, ["k": secret], separator: " ", to: &printed)
        debugPrint(secret, holder, [secret], to: &printed)
        dump(secret, to: &printed)
        dump(holder, to: &printed)
        dump(["k": [secret]], to: &printed)
        printed += "\(holder) \([secret]) \(Optional(secret) as Any) \((1, secret))"
        for child in Mirror(reflecting: secret).children { printed += "\(child.value)" }
        #expect(printed.contains("holder"))
        #expect(!printed.contains("hunter2"))
        #expect(secret.reveal() == "hunter2")
    }

    @Test("bytes and numbers are as hidden as text")
    func otherTypes() {
        var printed = ""
        dump(Secret([UInt8]([222, 173])), to: &printed)
        dump(Secret(123_456), to: &printed)
        #expect(!printed.contains("222") && !printed.contains("123456"))
    }

    @Test(
        "comparing in constant time agrees with comparing",
        arguments: [
            ([], []), ([0], [0]), ([0], [1]), ([1, 2], [1]), ([1], [1, 2]), ([1, 2, 3], [1, 2, 3]),
            ([1, 2, 3], [1, 2, 4]), ([4, 2, 3], [1, 2, 3]), ([255], [0]), ([0], []),
        ] as [([UInt8], [UInt8])])
    func constantTime(_ left: [UInt8], _ right: [UInt8]) {
        #expect(constantTimeEquals(left, right) == (left == right))
    }

    @Test("random texts have their length, their alphabet, and are not alike")
    func randomTexts() {
        let texts = (0..<200).map { _ in RandomToken.text(43) }
        #expect(texts.allSatisfy { $0.utf8.count == 43 && $0.utf8.allSatisfy(isAlphanumeric) })
        #expect(Set(texts).count == 200)
        // 59 letters (without I, O and l) over 8,600 draws: one that never came up would be a broken alphabet.
        #expect(Set(texts.joined()).count == 59)
        #expect(Set((0..<200).map { _ in RandomToken.bytes(16) }).count == 200)
    }

    @Test("digests are SHA-256, and hexadecimal is lower case")
    func digests() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        #expect(Digest.hexadecimal(Digest.sha256("")) == empty)
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(Digest.hexadecimal(Digest.sha256(Array("abc".utf8))) == abc)
    }

    @Test("a process's code depends on text and context, and on the process")
    func ephemeralCodes() {
        let mac = EphemeralMAC()
        let code = mac.code(for: Secret("p"), context: "u")
        #expect(code == mac.code(for: Secret("p"), context: "u"))
        #expect(code != mac.code(for: Secret("q"), context: "u"))
        #expect(code != mac.code(for: Secret("p"), context: "v"))
        #expect(mac.code(for: Secret("bc"), context: "a") != mac.code(for: Secret("c"), context: "ab"))
        #expect(code != EphemeralMAC().code(for: Secret("p"), context: "u"))
    }

    private func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
