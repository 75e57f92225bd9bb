// Framing: what has arrived and was not used yet, and the strict search for complete lines in it (RFC 5321 §2.3.8).

package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The unread bytes of a connection.
package struct SMTPInput: Sendable {
    package private(set) var buffer = ByteBuffer()
    /// Octets of the current line that were searched already, so that drip-feeding costs no more than a burst.
    private var searched = 0
    /// Octets of an over-long line that were thrown away; `nil` outside of one.
    private var discarded: Int?

    package init() {}

    package var isEmpty: Bool { buffer.readableBytes == 0 }

    package mutating func append(_ bytes: ByteBuffer) {
        guard !isEmpty else {
            buffer = bytes
            return
        }
        buffer.discardReadBytes()
        buffer.writeImmutableBuffer(bytes)
    }

    /// Forgets everything (RFC 3207 §4.2, and whatever follows a hang-up).
    package mutating func discardAll() { self = SMTPInput() }

    /// Lets go of memory that an idle connection does not need.
    package mutating func releaseMemory() {
        if isEmpty {
            buffer = ByteBuffer()
        } else if buffer.storageCapacity > 4 * max(buffer.readableBytes, 1_024) {
            buffer = ByteBuffer(bytes: buffer.readableBytesView)
        }
    }

    package enum Line {
        case incomplete
        /// Without its CRLF.
        case line(ByteBufferView)
        /// The line was longer than allowed and is gone.
        case tooLong
        /// A bare CR, a bare LF or a NUL: where the line ends is a matter of opinion.
        case malformed
        /// The line was too long, and so is what had to be thrown away of it.
        case flood
    }

    /// Takes the next line.
    ///
    /// - Parameters:
    ///   - limit: Octets of a line with its CRLF.
    ///   - discardLimit: Octets that are thrown away of a longer one.
    package mutating func readLine(limit: Int, discardLimit: Int) -> Line {
        switch buffer.withUnsafeReadableBytes({ SMTPLineScan($0, from: searched) }) {
        case .malformed:
            return .malformed
        case .line(let length):
            searched = 0
            let isTooLong = discarded != nil || length + 2 > limit
            discarded = nil
            // The scan found that many octets, so the slice is there.
            guard let line = buffer.readSlice(length: length + 2), !isTooLong else { return .tooLong }
            return .line(line.readableBytesView.dropLast(2))
        case .incomplete(let length):
            searched = length
            guard discarded != nil || length + 2 > limit else { return .incomplete }
            buffer.moveReaderIndex(forwardBy: length)
            searched = 0
            let total = (discarded ?? 0) + length
            discarded = total
            return total > discardLimit ? .flood : .incomplete
        }
    }

    /// Lets a decoder take what it can use.
    package mutating func withBuffer<Result>(_ body: (inout ByteBuffer) -> Result) -> Result {
        body(&buffer)
    }
}

/// The outcome of looking for a CRLF in bytes that begin where a line begins or goes on.
enum SMTPLineScan {
    /// A CRLF stands behind this many octets, none of which is CR, LF or NUL.
    case line(length: Int)
    /// No CRLF yet. This many octets belong to the line for sure: all but a CR at the very end.
    case incomplete(length: Int)
    /// A CR, LF or NUL that is no part of a CRLF.
    case malformed

    /// - Parameter from: Octets that an earlier scan of the same bytes found to belong to the line.
    @inline(__always)
    init(_ bytes: UnsafeRawBufferPointer, from: Int) {
        let newline = bytes.firstIndex(of: .lf, in: from..<bytes.count)
        let end = newline ?? bytes.count
        let endsInCR = end > 0 && bytes[end - 1] == .cr
        let length = endsInCR ? end - 1 : end
        if newline != nil && !endsInCR {
            self = .malformed
        } else if bytes.firstIndex(of: .cr, in: from..<length) != nil
            || bytes.firstIndex(of: .nul, in: from..<length) != nil
        {
            self = .malformed
        } else {
            self = newline == nil ? .incomplete(length: length) : .line(length: length)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// memchr(3), which the C library vectorises; every octet of every message passes here.
    @inline(__always)
    func firstIndex(of byte: UInt8, in range: Range<Int>) -> Int? {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "the range lies within the bytes")
        guard !range.isEmpty, let base = baseAddress,
            let found = memchr(base + range.lowerBound, Int32(byte), range.count)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }
}
