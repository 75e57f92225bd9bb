// Replies as bytes (RFC 5321 §4.2).

import NIOCore
import SMTP
import Testing

@Suite("SMTP reply encoding")
struct SMTPReplyEncodingTests {
    private func encode(_ reply: SMTPReply, utf8: Bool = false) -> String {
        var buffer = ByteBuffer()
        reply.write(into: &buffer, allowsUTF8: utf8)
        return String(buffer: buffer)
    }

    @Test("one line, several lines, no text")
    func lines() {
        #expect(encode(SMTPReply(250, EnhancedCode(2, 1, 0), "OK")) == "250 2.1.0 OK\r\n")
        #expect(encode(SMTPReply(250, nil, ["a", "b", "c"])) == "250-a\r\n250-b\r\n250 c\r\n")
        #expect(encode(SMTPReply(550, EnhancedCode(5, 1, 1), ["a", "b"])) == "550-5.1.1 a\r\n550 5.1.1 b\r\n")
        #expect(encode(SMTPReply(334, nil, "")) == "334 \r\n")
    }

    @Test("a text cannot begin a new line or send anything but printable ASCII")
    func injection() {
        #expect(encode(SMTPReply(550, nil, "a\r\n250 b\u{0}\u{1B}[1mü")) == "550 a  250 b  [1m?\r\n")
        #expect(encode(SMTPReply(550, nil, "ü\r\n\u{7F}"), utf8: true) == "550 ü   \r\n")
    }

    @Test("a long text goes on several lines of at most 512 octets, and no character is torn")
    func long() {
        let text = String(repeating: "ü", count: 1_000)
        let encoded = encode(SMTPReply(550, EnhancedCode(5, 7, 1), text), utf8: true)
        let lines = encoded.split(separator: "\r\n" as Character)
        #expect(lines.count == 4)
        #expect(lines.allSatisfy { $0.utf8.count <= 510 })
        #expect(lines.dropLast().allSatisfy { $0.hasPrefix("550-5.7.1 ü") })
        #expect(lines.map { $0.dropFirst(10) }.joined() == text)
    }
}
