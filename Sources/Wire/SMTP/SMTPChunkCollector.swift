// The body of BDAT (RFC 3030 §2): chunks of exact sizes, put together as they are. Text is held to the same line ends
// as with DATA, for whoever passes it on with DATA must not be led to smuggle.

package import NIOCore

/// Collects one message from its chunks.
package struct SMTPChunkCollector: Sendable {
    package private(set) var message = ByteBuffer()
    package private(set) var fault: SMTPMessageFault?
    /// Octets of the current chunk that are still to come.
    package private(set) var remaining = 0

    private let sizeLimit: Int
    private let lineLimit: Int?
    private let discardLimit: Int
    private var discarded = 0
    private var lineLength = 0
    private var endsInCR = false

    package init(_ limits: SMTPServerLimits) {
        self.sizeLimit = limits.messageSize
        self.lineLimit = limits.dataLine
        self.discardLimit = limits.discardedOctets
    }

    package enum Progress: Hashable, Sendable {
        case incomplete
        /// All octets of the chunk were read.
        case complete
        case malformed
        case flood
    }

    /// Begins a chunk.
    package mutating func begin(size: Int) {
        remaining = size
        if size > sizeLimit - message.readableBytes { fail(.tooLarge(limit: sizeLimit)) }
    }

    /// Takes octets of the chunk.
    ///
    /// - Parameters:
    ///   - isText: Lines must end in CRLF; `false` for BINARYMIME and for chunks that are thrown away.
    ///   - isKept: `false` for a chunk that was refused and is read only because it must be.
    package mutating func consume(_ input: inout ByteBuffer, isText: Bool, isKept: Bool) -> Progress {
        let length = min(remaining, input.readableBytes)
        guard length > 0, var piece = input.readSlice(length: length) else {
            return remaining == 0 ? .complete : .incomplete
        }
        remaining -= length
        if isKept && isText && !piece.withUnsafeReadableBytes({ check($0) }) { return .malformed }
        if isKept && fault == nil {
            message.writeBuffer(&piece)
        } else {
            discarded += length
            if discarded > discardLimit { return .flood }
        }
        return remaining == 0 ? .complete : .incomplete
    }

    /// The last octet of a message of text is no CR.
    package var isWhole: Bool { !endsInCR }

    /// Looks at line ends and line lengths.
    private mutating func check(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var line = 0
        if endsInCR {
            guard bytes[0] == .lf else { return false }
            endsInCR = false
            lineLength = 0
            line = 1
        }
        while line < bytes.count {
            switch SMTPLineScan(UnsafeRawBufferPointer(rebasing: bytes[line...]), from: 0) {
            case .malformed:
                return false
            case .line(let length):
                checkLine(lineLength + length)
                lineLength = 0
                line += length + 2
            case .incomplete(let length):
                lineLength += length
                checkLine(lineLength)
                endsInCR = line + length < bytes.count
                line = bytes.count
            }
        }
        return true
    }

    private mutating func checkLine(_ length: Int) {
        if let lineLimit, length > lineLimit { fail(.lineTooLong(limit: lineLimit)) }
    }

    private mutating func fail(_ fault: SMTPMessageFault) {
        guard self.fault == nil else { return }
        self.fault = fault
        message = ByteBuffer()
    }
}
