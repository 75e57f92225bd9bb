// Passwords are kept as scrypt hashes (RFC 7914), with the parameters beside the hash so that they can be raised later.

import Crypto
import CryptoExtras
import FoundationEssentials

/// Text form: `scrypt$16384$8$1$<salt, base64>$<hash, base64>`. Making or checking one takes about 50 ms and 16 MiB: never on
/// an event loop.
package struct PasswordHash: Sendable {
    private let rounds: Int
    private let blockSize: Int
    private let parallelism: Int
    private let salt: [UInt8]
    private let hash: [UInt8]

    /// Hashes a password with a fresh salt and today's parameters (N 16,384, r 8, p 1).
    package init(of password: Secret<String>) throws(SealingError) {
        self.rounds = 16_384
        self.blockSize = 8
        self.parallelism = 1
        self.salt = RandomToken.bytes(16)
        self.hash = try Self.derive(password, salt, rounds: 16_384, blockSize: 8, parallelism: 1)
    }

    package init(text: String) throws(SealingError) {
        let parts = text.split(separator: "$")
        guard parts.count == 6, parts[0] == "scrypt", let rounds = Int(parts[1]), let blockSize = Int(parts[2]),
            let parallelism = Int(parts[3]), let salt = Data(base64Encoded: String(parts[4])),
            let hash = Data(base64Encoded: String(parts[5])), hash.count == 32
        else { throw .malformedHash }
        (self.rounds, self.blockSize, self.parallelism) = (rounds, blockSize, parallelism)
        (self.salt, self.hash) = (Array(salt), Array(hash))
    }

    package var text: String {
        let encoded = (Data(salt).base64EncodedString(), Data(hash).base64EncodedString())
        return "scrypt$\(rounds)$\(blockSize)$\(parallelism)$\(encoded.0)$\(encoded.1)"
    }

    package func matches(_ password: Secret<String>) -> Bool {
        guard
            let candidate = try? Self.derive(
                password, salt, rounds: rounds, blockSize: blockSize, parallelism: parallelism)
        else { return false }
        return constantTimeEquals(candidate, hash)
    }

    private static func derive(
        _ password: Secret<String>,
        _ salt: [UInt8],
        rounds: Int,
        blockSize: Int,
        parallelism: Int
    ) throws(SealingError) -> [UInt8] {
        do {
            return try KDF.Scrypt.deriveKey(
                from: Array(password.reveal().utf8), salt: salt, outputByteCount: 32, rounds: rounds,
                blockSize: blockSize, parallelism: parallelism
            ).withUnsafeBytes { Array($0) }
        } catch {
            throw .malformedHash
        }
    }
}
