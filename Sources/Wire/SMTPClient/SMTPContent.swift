// The message's bytes, looked at once before anything is sent: may they go out at all, and what must the peer offer?

import NIOCore

struct SMTPContent: Hashable, Sendable {
    let data: ByteBuffer
    let has8Bit: Bool

    enum Fault: Error, Hashable, CustomStringConvertible {
        /// Offsets are from the first octet of the message.
        case bareCR(offset: Int)
        case bareLF(offset: Int)
        case nul(offset: Int)

        var description: String {
            switch self {
            case .bareCR(let offset): "a CR without LF at octet \(offset)"
            case .bareLF(let offset): "an LF without CR at octet \(offset)"
            case .nul(let offset): "a NUL at octet \(offset)"
            }
        }
    }

    /// Refuses what RFC 5321 §2.3.8 and §4.1.1.4 forbid to send, for it is read differently by different servers.
    init(_ data: ByteBuffer) throws(Fault) {
        var scan = Scan()
        data.withUnsafeReadableBytes { scan.run($0) }
        if let fault = scan.fault { throw fault }
        self.data = data
        has8Bit = scan.has8Bit
    }

    /// As declared by SIZE: without stuffing and final dot (RFC 1870 §5).
    var size: Int { data.readableBytes }
}

extension SMTPContent {
    /// Eight octets at a time while none of them is special; nearly all of a message is not.
    private struct Scan {
        var has8Bit = false
        var fault: Fault?

        private static let highBits: UInt64 = 0x8080_8080_8080_8080
        /// 0x0E in each octet: NUL, LF and CR are below, and next to nothing else in a message is.
        private static let specialBound: UInt64 = 0x0E0E_0E0E_0E0E_0E0E

        mutating func run(_ bytes: UnsafeRawBufferPointer) {
            var high: UInt64 = 0
            var offset = 0
            let words = bytes.count & ~7
            while offset < words {
                let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                high |= word
                // An octet's high bit is set here if the octet is below the bound (or, rarely, if its neighbour is:
                // a false alarm costs a second look).
                if (word &- Self.specialBound) & ~word & Self.highBits != 0 {
                    for index in offset..<(offset + 8) where !accept(bytes, at: index) { return }
                }
                offset += 8
            }
            while offset < bytes.count {
                high |= UInt64(bytes[offset])
                if !accept(bytes, at: offset) { return }
                offset += 1
            }
            has8Bit = high & Self.highBits != 0
        }

        private mutating func accept(_ bytes: UnsafeRawBufferPointer, at index: Int) -> Bool {
            switch bytes[index] {
            case 0: fault = .nul(offset: index)
            case UInt8(ascii: "\n") where index == 0 || bytes[index - 1] != UInt8(ascii: "\r"):
                fault = .bareLF(offset: index)
            case UInt8(ascii: "\r") where index + 1 == bytes.count || bytes[index + 1] != UInt8(ascii: "\n"):
                fault = .bareCR(offset: index)
            default: break
            }
            return fault == nil
        }
    }
}
