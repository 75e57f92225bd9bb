// Random text for keys and passwords, and the digests under which such tokens are kept.

import Crypto

package enum RandomToken {
    private static let alphabet = Array("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789".utf8)

    /// Letters and digits, each drawn evenly (5.9 bits a character): 43 characters hold more than 250 bits.
    package static func text(_ count: Int) -> String {
        var generator = SystemRandomNumberGenerator()
        return String(decoding: (0..<count).map { _ in alphabet.randomElement(using: &generator)! }, as: UTF8.self)
    }

    package static func bytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }
}

package enum Digest {
    package static func sha256(_ bytes: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: bytes)) }

    package static func sha256(_ text: String) -> [UInt8] { sha256(Array(text.utf8)) }

    package static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// HMAC-SHA-256 under a key that lives and dies with the process: to remember that a password was right without keeping it.
package struct EphemeralMAC: Sendable {
    private let key = SymmetricKey(size: .bits256)

    package init() {}

    package func code(for text: Secret<String>, context: String) -> [UInt8] {
        var mac = HMAC<SHA256>(key: key)
        mac.update(data: Array(context.utf8))
        mac.update(data: [0])
        mac.update(data: Array(text.reveal().utf8))
        return Array(mac.finalize())
    }
}
