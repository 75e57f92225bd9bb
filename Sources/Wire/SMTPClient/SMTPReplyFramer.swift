// Framing: the bytes of a peer, split anyhow, become complete lines of bounded length.

import NIOCore

struct SMTPReplyFramer {
    private var buffer = ByteBuffer()
    /// Octets behind the reader index that are known to hold no LF, so that a drip-fed line is scanned once.
    private var searched = 0
    private let lineLength: Int

    /// - Parameter lineLength: octets of a line with its line end.
    init(lineLength: Int) {
        self.lineLength = lineLength
    }

    /// Received but not yet handed out, a half line included.
    var unreadBytes: Int { buffer.readableBytes }

    mutating func append(_ bytes: inout ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = bytes
            bytes.moveReaderIndex(to: bytes.writerIndex)
            searched = 0
        } else {
            buffer.discardReadBytes()
            buffer.writeBuffer(&bytes)
        }
    }

    /// The next line without its line end; nil until one is complete. A bare LF ends a line too: some old servers send
    /// it, and nothing that we send depends on where a reply's line ends.
    mutating func next() throws(SMTPReplyError) -> ByteBuffer? {
        let view = buffer.readableBytesView
        guard let end = view.dropFirst(searched).firstIndex(of: UInt8(ascii: "\n")) else {
            searched = buffer.readableBytes
            guard searched < lineLength else { throw .lineTooLong(limit: lineLength) }
            return nil
        }
        let length = end - view.startIndex + 1
        guard length <= lineLength else { throw .lineTooLong(limit: lineLength) }
        searched = 0
        guard var line = buffer.readSlice(length: length) else { return nil }
        let hasCR = length >= 2 && view[end - 1] == UInt8(ascii: "\r")
        line.moveWriterIndex(to: line.writerIndex - (hasCR ? 2 : 1))
        return line
    }
}

/// What a peer's bytes can have wrong with them. All of it ends the connection.
enum SMTPReplyError: Error, Hashable, CustomStringConvertible {
    case lineTooLong(limit: Int)
    case tooManyLines(limit: Int)
    /// Not `ddd`, `ddd text` or `ddd-text` with a code from 200 to 599.
    case malformed
    /// A continuation line with another code (RFC 5321 §4.2.1).
    case codeChanged(from: UInt16, to: UInt16)

    var description: String {
        switch self {
        case .lineTooLong(let limit): "a reply line of more than \(limit) octets"
        case .tooManyLines(let limit): "a reply of more than \(limit) lines"
        case .malformed: "a line that is no SMTP reply"
        case .codeChanged(let first, let second): "a reply whose lines disagree: \(first) and \(second)"
        }
    }
}
