// Proof that whoever redeems a code is whoever asked for it (RFC 7636, method S256).

import Sealing

package enum ProofKey {
    /// What goes along with the question for a code.
    package static func challenge(for verifier: String) -> String { Base64URL.encode(Digest.sha256(verifier)) }

    /// 43–128 unreserved characters (RFC 7636 §4.1).
    package static func isVerifier(_ text: String) -> Bool {
        (43...128).contains(text.utf8.count) && text.utf8.allSatisfy(isUnreserved)
    }

    /// The digest of a verifier: 43 characters of base64url.
    package static func isChallenge(_ text: String) -> Bool { Base64URL.decode(text)?.count == 32 }

    package static func matches(_ verifier: String, _ challenge: String) -> Bool {
        isVerifier(verifier) && constantTimeEquals(Array(self.challenge(for: verifier).utf8), Array(challenge.utf8))
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            true
        default: false
        }
    }
}
