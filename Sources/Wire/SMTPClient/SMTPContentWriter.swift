// Turns a message into the blocks that go on the wire: dots stuffed on the fly (RFC 5321 §4.5.2), and the final dot.

import Glibc
import NIOCore

struct SMTPContentWriter {
    private var rest: ByteBuffer
    private let blockSize: Int
    private var atLineStart = true
    private var isFinished = false

    /// - Parameter blockSize: octets of the message taken into one block.
    init(_ content: SMTPContent, blockSize: Int) {
        precondition(blockSize > 0, "a block has at least one octet")
        rest = content.data
        self.blockSize = blockSize
    }

    /// The next block to write, and whether it is the last, which ends in `CRLF.CRLF`; nil after the last.
    mutating func next() -> (block: ByteBuffer, isLast: Bool)? {
        if isFinished { return nil }
        let length = min(blockSize, rest.readableBytes)
        guard let source = rest.readSlice(length: length) else { return nil }
        var block = stuffed(source)
        if rest.readableBytes == 0 {
            isFinished = true
            // A message that does not end with a line end gets one (RFC 5321 §4.1.1.4).
            block.writeStaticString(atLineStart ? ".\r\n" : "\r\n.\r\n")
        }
        return (block, isFinished)
    }

    /// The slice itself where no line starts with a dot, which is nearly always: nothing is copied then.
    private mutating func stuffed(_ source: ByteBuffer) -> ByteBuffer {
        let dots = source.withUnsafeReadableBytes { Self.leadingDots(in: $0, atLineStart: atLineStart) }
        let view = source.readableBytesView
        if let last = view.last { atLineStart = last == UInt8(ascii: "\n") }
        guard !dots.isEmpty else { return source }
        var target = ByteBufferAllocator().buffer(capacity: source.readableBytes + dots.count + 8)
        var copied = view.startIndex
        for dot in dots {
            let index = view.startIndex + dot
            target.writeBytes(view[copied..<index])
            target.writeInteger(UInt8(ascii: "."))
            copied = index
        }
        target.writeBytes(view[copied...])
        return target
    }

    /// Offsets of the dots that are the first octet of a line.
    private static func leadingDots(in bytes: UnsafeRawBufferPointer, atLineStart: Bool) -> [Int] {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return [] }
        var dots: [Int] = []
        var lineStart = atLineStart ? 0 : bytes.count
        if !atLineStart, let lineFeed = memchr(base, 0x0A, bytes.count) {
            lineStart = UnsafeRawPointer(lineFeed) - base + 1
        }
        while lineStart < bytes.count {
            if bytes[lineStart] == UInt8(ascii: ".") { dots.append(lineStart) }
            guard let lineFeed = memchr(base + lineStart, 0x0A, bytes.count - lineStart) else { break }
            lineStart = UnsafeRawPointer(lineFeed) - base + 1
        }
        return dots
    }
}
