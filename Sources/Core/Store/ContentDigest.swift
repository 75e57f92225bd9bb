// SHA-256 over rows, the same for equal contents whichever engine they come from.

import Crypto
import SQL

struct ContentDigest {
    private var hash = SHA256()
    /// What has not been hashed yet: many small values in one call.
    private var pending: [UInt8] = []

    /// Each value goes in with its kind and its length, so that no two different rows look alike.
    mutating func add(_ row: SQLRow) {
        for value in row.values { add(value) }
        if pending.count >= 1 << 16 { flush() }
    }

    private mutating func add(_ value: SQLValue) {
        switch value {
        case .null: add(kind: 0, [])
        case .integer(let number): withUnsafeBytes(of: number.bigEndian) { add(kind: 1, $0) }
        case .real(let number): withUnsafeBytes(of: number.bitPattern.bigEndian) { add(kind: 2, $0) }
        case .text(let text): add(kind: 3, text.utf8)
        case .blob(let bytes): add(kind: 4, bytes)
        }
    }

    private mutating func add(kind: UInt8, _ bytes: some Collection<UInt8>) {
        pending.append(kind)
        withUnsafeBytes(of: UInt64(bytes.count).bigEndian) { pending.append(contentsOf: $0) }
        pending.append(contentsOf: bytes)
    }

    private mutating func flush() {
        hash.update(data: pending)
        pending.removeAll(keepingCapacity: pending.capacity <= 1 << 20)
    }

    /// In hexadecimal.
    mutating func finish() -> String {
        flush()
        return Self.hexadecimal(hash.finalize())
    }

    /// The digest of a text, in hexadecimal.
    static func of(_ text: String) -> String { hexadecimal(SHA256.hash(data: Array(text.utf8))) }

    private static func hexadecimal(_ digest: SHA256.Digest) -> String {
        digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
