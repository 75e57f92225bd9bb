// What two copies of one message to one recipient have in common: who says it, to whom, under which subject, in which words.
// All that is new in each copy (Date, Message-ID, Received, MIME boundaries) is left out.

import Crypto
import MIME
import Model

#if canImport(Glibc)
import Glibc
#endif

/// Half of a SHA-256: nobody can make another message that looks like a copy of this one.
struct CopyDigest: Hashable, Sendable {
    private let high: UInt64
    private let low: UInt64

    /// - Parameter body: the digest of what the message says, made once for all of its recipients.
    init(of envelope: Envelope, body: BodyDigest, in vault: VaultID) {
        let content = envelope.content
        self.init(
            parts: [
                vault.text, content.from.address.comparisonKey, envelope.recipient.comparisonKey, content.subject ?? "",
            ], and: body.bytes)
    }

    /// Who answers whom, by itself.
    init(replyFrom sender: EmailAddress, to recipient: EmailAddress) {
        self.init(parts: [sender.wireForm.lowercased(), recipient.wireForm.lowercased()], and: [])
    }

    private init(parts: [String], and rest: [UInt8]) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(parts.reduce(rest.count) { $0 + $1.utf8.count + 8 })
        // Each with its length, so that no two lists of parts give the same bytes.
        for part in parts {
            withUnsafeBytes(of: UInt64(part.utf8.count).bigEndian) { bytes += $0 }
            bytes += part.utf8
        }
        bytes += rest
        var hash = SHA256()
        hash.update(data: bytes)
        (high, low) = hash.finalize().withUnsafeBytes { digest in
            (
                UInt64(bigEndian: digest.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: digest.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }

    /// 32 hexadecimal digits.
    var text: String { Self.hexadecimal(high) + Self.hexadecimal(low) }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// The digest of what a message says, the same for all of its recipients.
struct BodyDigest: Hashable, Sendable {
    let bytes: [UInt8]

    init(text: String?, html: [String]) {
        var hash = SHA256()
        for part in [text ?? ""] + html {
            withUnsafeBytes(of: UInt64(part.utf8.count).bigEndian) { hash.update(bufferPointer: $0) }
            var part = part
            part.withUTF8 { hash.update(bufferPointer: UnsafeRawBufferPointer($0)) }
        }
        bytes = Array(hash.finalize())
    }

    /// The body of a finished message, without its boundaries: not the lines that they make, and not the lines in the headers
    /// of its parts that name them. One pass; what lies between two such lines is hashed in one piece, where it lies.
    init(message: [UInt8], from bodyStart: Int) {
        var hash = SHA256()
        message.withUnsafeBufferPointer { message in
            var boundaries = Boundaries(message, header: 0..<bodyStart)
            var kept = bodyStart
            var line = bodyStart
            var isInPartHeader = false
            while line < message.count {
                let next = message.endOfLine(from: line)
                var isLeftOut = false
                if boundaries.areMet(by: line..<next) {
                    isLeftOut = true
                    isInPartHeader = true
                } else if isInPartHeader {
                    let first = message[line]
                    if first == 0x0A || (first == 0x0D && next - line == 2) {
                        isInPartHeader = false
                    } else {
                        isLeftOut = boundaries.isNamed(in: line..<next)
                    }
                }
                if isLeftOut {
                    if kept < line { hash.update(bufferPointer: message.raw(kept..<line)) }
                    kept = next
                }
                line = next
            }
            hash.update(bufferPointer: message.raw(min(kept, message.count)..<message.count))
        }
        bytes = Array(hash.finalize())
    }
}

/// The boundaries that a message has named so far (RFC 2046 §5.1.1).
private struct Boundaries {
    /// Boundaries that are known at once. A message that nests deeper looks different in each copy, and is not counted.
    private static let limit = 16

    private let message: UnsafeBufferPointer<UInt8>
    private var known: [Range<Int>] = []

    init(_ message: UnsafeBufferPointer<UInt8>, header: Range<Int>) {
        self.message = message
        var line = header.lowerBound
        while line < header.upperBound {
            let next = message.endOfLine(from: line)
            _ = isNamed(in: line..<next)
            line = next
        }
    }

    /// Whether a line is `--`, one of the boundaries, and nothing else but `--` or white space.
    func areMet(by line: Range<Int>) -> Bool {
        guard line.count >= 2, message[line.lowerBound] == UInt8(ascii: "-"),
            message[line.lowerBound + 1] == UInt8(ascii: "-")
        else { return false }
        let start = line.lowerBound + 2
        return known.contains { boundary in
            let end = start + boundary.count
            guard end <= line.upperBound, message[start..<end].elementsEqual(message[boundary]) else { return false }
            guard end < line.upperBound else { return true }
            return message[end] <= 0x20
                || (line.upperBound - end >= 2 && message[end] == UInt8(ascii: "-")
                    && message[end + 1] == UInt8(ascii: "-"))
        }
    }

    /// Whether a line of a header has `boundary=`, in any case. What it names is known from here on.
    mutating func isNamed(in line: Range<Int>) -> Bool {
        guard let base = message.baseAddress else { return false }
        let word: StaticString = "boundary"
        var search = line.lowerBound
        while let hit = memchr(base + search, CInt(UInt8(ascii: "=")), line.upperBound - search) {
            let equals = UnsafeRawPointer(hit) - UnsafeRawPointer(base)
            search = equals + 1
            let start = equals - word.utf8CodeUnitCount
            guard start >= line.lowerBound,
                (0..<word.utf8CodeUnitCount).allSatisfy({ message[start + $0] | 0x20 == word.utf8Start[$0] })
            else { continue }
            learn(from: search..<line.upperBound)
            return true
        }
        return false
    }

    private mutating func learn(from value: Range<Int>) {
        guard known.count < Self.limit, !value.isEmpty else { return }
        let isQuoted = message[value.lowerBound] == UInt8(ascii: "\"")
        let start = value.lowerBound + (isQuoted ? 1 : 0)
        let end =
            message[start..<value.upperBound].firstIndex {
                isQuoted ? $0 == UInt8(ascii: "\"") : $0 <= 0x20 || $0 == UInt8(ascii: ";")
            } ?? value.upperBound
        // RFC 2046 §5.1.1: 1 to 70 characters.
        if (1...70).contains(end - start) { known.append(start..<end) }
    }
}

extension UnsafeBufferPointer<UInt8> {
    fileprivate func raw(_ range: Range<Int>) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: self[range]))
    }
}
