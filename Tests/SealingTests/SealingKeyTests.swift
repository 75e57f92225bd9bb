// What is sealed opens under its own key and context only, and not at all once a byte has changed.

import Sealing
import Testing

@Suite("Sealing keys")
struct SealingKeyTests {
    private let key = SealingKey.random()

    @Test(
        "what was sealed comes back",
        arguments: [[], [0], Array("secret".utf8), Array(repeating: 7, count: 100_000)] as [[UInt8]])
    func roundTrip(_ bytes: [UInt8]) throws {
        let sealed = try key.seal(bytes, context: "vlt_1/name")
        #expect(sealed.count == bytes.count + 28)
        #expect(try key.open(sealed, context: "vlt_1/name") == bytes)
    }

    @Test("sealing twice gives two texts, neither of which shows the plaintext")
    func nonces() throws {
        let bytes = Array("a password that is long enough".utf8)
        let (first, second) = (try key.seal(bytes, context: ""), try key.seal(bytes, context: ""))
        #expect(first != second)
        #expect(!first.indices.contains { first[$0...].starts(with: bytes.prefix(6)) })
    }

    @Test("another key opens nothing")
    func wrongKey() throws {
        let sealed = try key.seal([1, 2, 3], context: "c")
        #expect(throws: SealingError.wrongKey) { try SealingKey.random().open(sealed, context: "c") }
    }

    @Test("another context opens nothing", arguments: ["", "C", "c ", "c\u{0}", "cc"])
    func wrongContext(_ context: String) throws {
        let sealed = try key.seal([1, 2, 3], context: "c")
        #expect(throws: SealingError.wrongKey) { try key.open(sealed, context: context) }
    }

    @Test("each changed bit of each byte is noticed")
    func tampering() throws {
        let sealed = try key.seal(Array("four".utf8), context: "c")
        for index in sealed.indices {
            for bit in 0..<8 {
                var changed = sealed
                changed[index] ^= 1 << bit
                #expect(throws: SealingError.wrongKey) { try key.open(changed, context: "c") }
            }
        }
    }

    @Test("cut or lengthened bytes are refused")
    func lengths() throws {
        let sealed = try key.seal(Array("four".utf8), context: "c")
        for count in 0..<sealed.count {
            #expect(throws: SealingError.wrongKey) { try key.open(Array(sealed[..<count]), context: "c") }
        }
        #expect(throws: SealingError.wrongKey) { try key.open(sealed + [0], context: "c") }
    }

    @Test("a key survives its base64 form, white space around it included")
    func base64() throws {
        let text = key.base64.reveal()
        #expect(text.utf8.count == 44)
        let same = try SealingKey(base64: " \(text)\n")
        #expect(try same.open(key.seal([9], context: "c"), context: "c") == [9])
    }

    @Test(
        "what is not 32 bytes in base64 is no master key",
        arguments: [
            "", "short", "AAAAAAAAAAAAAAAAAAAAAA==", String(repeating: "A", count: 42) + "==",
            String(repeating: "A", count: 88), String(repeating: "!", count: 44), "0123456789abcdef0123456789abcdef",
        ])
    func malformedKeys(_ text: String) {
        #expect(throws: SealingError.malformedKey) { try SealingKey(base64: text) }
    }

    @Test("a wrapped key unwraps by its master and for its vault only")
    func wrapping() throws {
        let master = SealingKey.random()
        let wrapped = try key.wrapped(by: master, context: "vlt_a")
        let same = try SealingKey(unwrapping: wrapped, by: master, context: "vlt_a")
        #expect(try same.open(key.seal([5], context: "c"), context: "c") == [5])
        #expect(throws: SealingError.wrongKey) { try SealingKey(unwrapping: wrapped, by: master, context: "vlt_b") }
        #expect(throws: SealingError.wrongKey) {
            try SealingKey(unwrapping: wrapped, by: .random(), context: "vlt_a")
        }
    }

    @Test("a key shows nothing of itself, however it is printed")
    func unseen() {
        let bytes = key.base64.reveal()
        var dumped = ""
        dump(key, to: &dumped)
        dump(["inside": [key]], to: &dumped)
        for text in ["\(key)", String(reflecting: key), String(describing: [key]), dumped] {
            #expect(!text.contains(bytes) && !text.contains("Symmetric") && text.contains("‹key›"))
        }
    }
}
