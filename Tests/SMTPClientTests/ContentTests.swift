// What may be sent as a message, and how its dots are stuffed, against a plain reference.

import NIOCore
import Testing

@testable import SMTPClient

@Suite struct ContentTests {
    @Test(
        "bare CR, bare LF and NUL are found wherever they are",
        arguments: ["\n", "\r", "\0", "a\nb", "\r\r\n", "\n\r\n", "a\r\n\n", "\r\n\r", "\r\n.\r\r\n", "\u{0}\r\n"],
        [0, 1, 6, 7, 8, 9, 15, 16, 17, 64]
    )
    func faults(fault: String, padding: Int) {
        let text = String(repeating: "é", count: padding) + fault + String(repeating: "y", count: padding % 5)
        #expect(throws: SMTPContent.Fault.self) { try SMTPContent(.text(text)) }
    }

    @Test("the place of the fault is told")
    func places() {
        #expect(throws: SMTPContent.Fault.bareLF(offset: 10)) { try SMTPContent(.text("0123456\r\nx\nabc")) }
        #expect(throws: SMTPContent.Fault.bareCR(offset: 2)) { try SMTPContent(.text("01\rx\nabc")) }
        #expect(throws: SMTPContent.Fault.nul(offset: 20)) { try SMTPContent(.text("0123456789012345678\u{1}\0")) }
    }

    @Test("what is clean passes, and 8-bit is seen wherever it is", arguments: 0..<20)
    func clean(offset: Int) throws {
        let plain = String(repeating: "a", count: offset) + "\r\n\t\r\n.\r\n..\r\n\u{B}\u{C}"
        #expect(try !SMTPContent(.text(plain)).has8Bit)
        #expect(try SMTPContent(.text(plain)).size == plain.utf8.count)
        var bytes = ByteBuffer(string: plain)
        bytes.writeInteger(UInt8(0x80))
        bytes.writeString(plain)
        #expect(try SMTPContent(bytes).has8Bit)
    }

    @Test("the scan agrees with a byte-by-byte reference on random bytes")
    func scanReference() {
        var generator = SplitMix(seed: 3)
        let alphabet: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x61, 0x2E, 0x80, 0x0E, 0x0C, 0xFF, 0x62, 0x63]
        for _ in 0..<20_000 {
            var bytes: [UInt8] = []
            while bytes.count < Int.random(in: 0...40, using: &generator) {
                let byte = alphabet[Int.random(in: 0..<alphabet.count, using: &generator)]
                bytes += byte == 0x0D && Bool.random(using: &generator) ? [0x0D, 0x0A] : [byte]
            }
            #expect((try? SMTPContent(ByteBuffer(bytes: bytes)).has8Bit) == reference(bytes))
        }
    }

    private func reference(_ bytes: [UInt8]) -> Bool? {
        for (index, byte) in bytes.enumerated() {
            if byte == 0 { return nil }
            if byte == 0x0A, index == 0 || bytes[index - 1] != 0x0D { return nil }
            if byte == 0x0D, index + 1 == bytes.count || bytes[index + 1] != 0x0A { return nil }
        }
        return bytes.contains { $0 >= 0x80 }
    }
}

@Suite struct ContentWriterTests {
    private func written(_ text: String, blockSize: Int) throws -> String {
        var writer = SMTPContentWriter(try SMTPContent(.text(text)), blockSize: blockSize)
        var result = ""
        var ends = 0
        while let (block, isLast) = writer.next() {
            #expect(ends == 0)
            if isLast { ends += 1 }
            result += String(buffer: block)
        }
        #expect(ends == 1)
        return result
    }

    @Test(
        "each leading dot is doubled and the message ends with its own line, at any block size",
        arguments: [
            ("", ".\r\n"),
            ("a", "a\r\n.\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("..\r\n", "...\r\n.\r\n"),
            ("a.b\r\n.c\r\n", "a.b\r\n..c\r\n.\r\n"),
            ("\r\n.\r\n\r\n.x", "\r\n..\r\n\r\n..x\r\n.\r\n"),
            (".\r\n.\r\n.\r\n", "..\r\n..\r\n..\r\n.\r\n"),
        ]
    )
    func stuffing(text: String, expected: String) throws {
        for blockSize in 1...12 {
            #expect(try written(text, blockSize: blockSize) == expected)
        }
    }

    @Test("a message without leading dots is handed on without a copy")
    func noCopy() throws {
        let data = ByteBuffer(string: String(repeating: "no dots at the start\r\n", count: 100))
        var writer = SMTPContentWriter(try SMTPContent(data), blockSize: 64)
        let first = writer.next()
        let block = try #require(first).block
        let original = data.withUnsafeReadableBytes { $0.baseAddress }
        #expect(block.withUnsafeReadableBytes { $0.baseAddress } == original)
    }

    @Test("a message of nothing but dots takes linear time", .timeLimit(.minutes(1)))
    func dots() throws {
        let text = String(repeating: ".\r\n", count: 300_000)
        #expect(try written(text, blockSize: 1 << 20).utf8.count == 300_000 * 4 + 3)
    }
}
