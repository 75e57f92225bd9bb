// Passwords are recognised by their scrypt hash and by nothing else.

import Sealing
import Testing

@Suite("Password hashes")
struct PasswordHashTests {
    @Test("the right password matches, also after a round through text; others do not")
    func matching() throws {
        let hash = try PasswordHash(of: Secret("correct horse"))
        #expect(hash.matches(Secret("correct horse")))
        let stored = try PasswordHash(text: hash.text)
        #expect(stored.matches(Secret("correct horse")))
        #expect(stored.text == hash.text)
        for wrong in ["", "correct hors", "Correct horse", "correct horse "] {
            #expect(!stored.matches(Secret(wrong)), "\(wrong)")
        }
    }

    @Test("two hashes of one password differ, and neither shows it")
    func salted() throws {
        let (first, second) = (try PasswordHash(of: Secret("same")), try PasswordHash(of: Secret("same")))
        #expect(first.text != second.text)
        #expect(first.text.hasPrefix("scrypt$16384$8$1$"))
        #expect(!first.text.contains("same"))
    }

    @Test("the third vector of RFC 7914 §12 is recognised")
    func referenceVector() throws {
        // The first 32 of its 64 bytes: the last step is PBKDF2, whose blocks do not depend on each other.
        let hash = try PasswordHash(
            text: "scrypt$16384$8$1$U29kaXVtQ2hsb3JpZGU=$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofI=")
        #expect(hash.matches(Secret("pleaseletmein")))
        #expect(!hash.matches(Secret("pleaseletmeout")))
    }

    @Test(
        "what is no hash is malformed",
        arguments: [
            "", "scrypt", "scrypt$16384$8$1$AAAA", "bcrypt$16384$8$1$AAAA$AAAA", "scrypt$x$8$1$AAAA$AAAA",
            "scrypt$16384$8$1$!!!!$AAAA", "scrypt$16384$8$1$AAAA$AAAA", "scrypt$16384$8$1$AAAA$!!",
            "scrypt$16384$8$1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=$more",
            "$16384$8$1$AAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ])
    func malformed(_ text: String) {
        #expect(throws: SealingError.malformedHash) { try PasswordHash(text: text) }
    }

    @Test("an error says nothing of what was inside")
    func errors() {
        for error in [SealingError.wrongKey, .malformedKey, .malformedHash] { #expect(!error.description.isEmpty) }
    }
}
