// CRLF and nothing else: the check that keeps smuggled mail out, in one piece and in drips.

import MIME
import Testing

@Suite struct LineDisciplineTests {
    /// Feeds the bytes in pieces of the given size.
    private func dripped(_ bytes: [UInt8], by size: Int, maximum: Int? = 998) -> LineViolation? {
        var scanner = LineScanner(maximumLineLength: maximum)
        for start in stride(from: 0, to: bytes.count, by: size) {
            let piece = Array(bytes[start..<min(start + size, bytes.count)])
            if let violation = piece.withUnsafeBufferPointer({ scanner.scan($0) }) { return violation }
        }
        return scanner.finish()
    }

    @Test(
        "each kind of violation is found where it is",
        arguments: [
            ("", nil, 0), ("a\r\n", nil, 0), ("a", nil, 0), ("\r\n\r\n", nil, 0),
            ("a\nb", .bareLineFeed, 1), ("\n", .bareLineFeed, 0), ("a\r\n\n", .bareLineFeed, 3),
            ("a\rb", .bareCarriageReturn, 1), ("a\r", .bareCarriageReturn, 1), ("\r\r\n", .bareCarriageReturn, 0),
            ("a\0b", .nul, 1), ("a\r\0", .bareCarriageReturn, 1), ("a\0\n", .nul, 1), ("a\n\0", .bareLineFeed, 1),
            ("\r\n.\n", .bareLineFeed, 3), ("\n.\r\n", .bareLineFeed, 0), ("\r.\r\n", .bareCarriageReturn, 0),
        ] as [(String, LineViolation.Kind?, Int)])
    func kinds(text: String, kind: LineViolation.Kind?, offset: Int) {
        let expected = kind.map { LineViolation(kind: $0, offset: offset) }
        #expect(LineDiscipline.firstViolation(in: bytes(text)) == expected)
        for size in 1...4 { #expect(dripped(bytes(text), by: size) == expected) }
    }

    @Test("998 octets are a line, 999 are too many, and the caller may not care")
    func lengths() {
        let good = bytes("x\r\n" + String(repeating: "a", count: 998) + "\r\n" + String(repeating: "b", count: 998))
        let bad = bytes("x\r\n" + String(repeating: "a", count: 999) + "\r\n")
        let open = bytes("x\r\n" + String(repeating: "a", count: 999))
        #expect(LineDiscipline.firstViolation(in: good) == nil)
        for message in [bad, open] {
            let expected = LineViolation(kind: .lineTooLong, offset: 3)
            #expect(LineDiscipline.firstViolation(in: message) == expected)
            #expect(LineDiscipline.firstViolation(in: message, maximumLineLength: nil) == nil)
            for size in [1, 2, 3, 7, 500] { #expect(dripped(message, by: size) == expected) }
        }
    }

    @Test("drips of every size agree with the whole, over random bytes")
    func drip() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<2000 {
            let message = generator.bytes(
                Int.random(in: 0...40, using: &generator), from: [0x0D, 0x0A, 0x0D, 0x0A, 0, 0x61, 0x2E])
            let whole = LineDiscipline.firstViolation(in: message, maximumLineLength: 5)
            for size in 1...5 { #expect(dripped(message, by: size, maximum: 5) == whole) }
        }
    }

    @Test(
        "bare line ends become CRLF, CRLF stays",
        arguments: [
            ("a\nb\n", "a\r\nb\r\n"), ("a\r\nb\r\n", "a\r\nb\r\n"), ("a\rb", "a\r\nb"), ("a\n\r\nb", "a\r\n\r\nb"),
            ("\r\r\n\n", "\r\n\r\n\r\n"), ("", ""), ("a", "a"), ("a\r", "a\r\n"), ("\0\n", "\0\r\n"),
        ])
    func normalizing(text: String, expected: String) {
        #expect(string(LineDiscipline.normalizingBareNewlines(bytes(text))) == expected)
    }
}
