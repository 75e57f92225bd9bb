// The body of DATA (RFC 5321 §4.1.1.4, §4.5.2): finds the one true end, takes the dot-stuffing out, and refuses every
// line end but CRLF, so that no two servers can disagree on where a message stops (CVE-2023-51764).

package import NIOCore

/// Collects one message from the bytes behind `354`.
package struct SMTPDataDecoder: Sendable {
    /// The message so far; empty once there is a fault.
    package private(set) var message = ByteBuffer()
    /// What is wrong with the message. It is still read to its end, for the client listens only then.
    package private(set) var fault: SMTPMessageFault?

    private let sizeLimit: Int
    private let lineLimit: Int?
    private let discardLimit: Int
    private var discarded = 0
    /// Octets of the current line that were consumed already; not 0 only within a long line.
    private var consumedOfLine = 0
    private var searched = 0

    /// - Parameter announcedSize: The client's `SIZE=`. Room is made for it, but not for a mere promise of much.
    package init(_ limits: SMTPServerLimits, announcedSize: Int? = nil) {
        self.sizeLimit = limits.messageSize
        self.lineLimit = limits.dataLine
        self.discardLimit = limits.discardedOctets
        message.reserveCapacity(min(announcedSize ?? 0, 256 * 1_024))
    }

    package enum Progress: Hashable, Sendable {
        case incomplete
        /// `CRLF.CRLF` was read; what follows in the input are commands.
        case complete
        /// A bare CR, a bare LF or a NUL.
        case malformed
        /// The message was refused, and more came than is worth throwing away.
        case flood
    }

    package mutating func consume(_ input: inout ByteBuffer) -> Progress {
        let (used, progress) = input.withUnsafeReadableBytes { decode($0) }
        input.moveReaderIndex(forwardBy: used)
        return progress
    }

    /// Decodes as many lines as are complete, and copies them in runs from one stuffed dot to the next.
    private mutating func decode(_ bytes: UnsafeRawBufferPointer) -> (used: Int, Progress) {
        var line = 0  // where the current line begins
        var run = 0  // where the octets begin that are not copied yet
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[line...])
            switch SMTPLineScan(rest, from: searched) {
            case .malformed:
                return (bytes.count, .malformed)
            case .line(let length):
                searched = 0
                let isDotted = consumedOfLine == 0 && length > 0 && rest[0] == .dot
                if isDotted {
                    append(bytes[run..<line])
                    run = line + 1
                    if length == 1 { return (line + 3, .complete) }
                }
                checkLine(consumedOfLine + length - (isDotted ? 1 : 0))
                consumedOfLine = 0
                line += length + 2
            case .incomplete(let length):
                searched = length
                // A long line is taken in pieces; a short one waits for its end.
                let isLong = length > lineLimit ?? 65_536
                if isLong {
                    let isDotted = consumedOfLine == 0 && rest[0] == .dot
                    if isDotted {
                        append(bytes[run..<line])
                        run = line + 1
                    }
                    consumedOfLine += length - (isDotted ? 1 : 0)
                    checkLine(consumedOfLine)
                    line += length
                    searched = 0
                }
                append(bytes[run..<line])
                return (line, discarded > discardLimit ? .flood : .incomplete)
            }
        }
    }

    private mutating func checkLine(_ length: Int) {
        if let lineLimit, length > lineLimit { fail(.lineTooLong(limit: lineLimit)) }
    }

    private mutating func append(_ bytes: Slice<UnsafeRawBufferPointer>) {
        guard fault == nil else {
            discarded += bytes.count
            return
        }
        if message.readableBytes + bytes.count > sizeLimit { return fail(.tooLarge(limit: sizeLimit)) }
        message.writeBytes(UnsafeRawBufferPointer(rebasing: bytes))
    }

    private mutating func fail(_ fault: SMTPMessageFault) {
        guard self.fault == nil else { return }
        self.fault = fault
        message = ByteBuffer()
    }
}

/// Why a message that was read to its end is not taken.
package enum SMTPMessageFault: Hashable, Sendable {
    case tooLarge(limit: Int)
    case lineTooLong(limit: Int)

    package var reply: SMTPReply {
        switch self {
        case .tooLarge(let limit): .tooLarge(limit)
        case .lineTooLong(let limit): .lineTooLong(limit)
        }
    }
}
