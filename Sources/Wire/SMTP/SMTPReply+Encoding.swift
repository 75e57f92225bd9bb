// A reply as bytes (RFC 5321 §4.2). Texts may quote what a peer sent, so whatever could break a line is replaced here.

package import NIOCore

extension SMTPReply {
    /// RFC 5321 §4.5.3.1.5: a reply line with code and CRLF.
    private static let maximumLine = 512

    /// Appends the reply, its lines split where they are longer than a reply line may be.
    ///
    /// - Parameter allowsUTF8: Only where the client asked for SMTPUTF8 (RFC 6531 §3.7.4.2); else `?` stands for
    ///   what is not ASCII.
    package func write(into buffer: inout ByteBuffer, allowsUTF8: Bool = false) {
        let prefix = enhanced.map { "\($0) " } ?? ""
        // "250-", "2.1.5 ", text, CRLF.
        let room = Self.maximumLine - 6 - prefix.utf8.count
        let lines = self.lines.flatMap { Self.split(Self.clean($0, allowsUTF8: allowsUTF8), room: room) }
        for (index, line) in lines.enumerated() {
            buffer.writeString(String(code))
            buffer.writeInteger(index == lines.count - 1 ? UInt8.space : UInt8(ascii: "-"))
            buffer.writeString(prefix)
            buffer.writeBytes(line)
            buffer.writeBytes([.cr, .lf])
        }
    }

    private static func clean(_ line: String, allowsUTF8: Bool) -> [UInt8] {
        if allowsUTF8 { return line.utf8.map { $0 < .space || $0 == 0x7F ? .space : $0 } }
        return line.unicodeScalars.map { scalar in
            guard scalar.isASCII else { return UInt8(ascii: "?") }
            return scalar.value < 0x20 || scalar.value == 0x7F ? .space : UInt8(truncatingIfNeeded: scalar.value)
        }
    }

    /// Pieces of at most `room` octets, never cut within a UTF-8 sequence.
    private static func split(_ line: [UInt8], room: Int) -> [ArraySlice<UInt8>] {
        var pieces: [ArraySlice<UInt8>] = []
        var rest = line[...]
        while rest.count > room {
            var cut = rest.startIndex + room
            while rest[cut] & 0xC0 == 0x80 { cut -= 1 }
            pieces.append(rest[..<cut])
            rest = rest[cut...]
        }
        pieces.append(rest)
        return pieces
    }
}
