// Input made to hurt: it must meet a limit or be read, in time that grows with its size and not with its square.

import MIME
import Testing

/// Not in parallel: some tests here compare times.
@Suite(.serialized) struct HostileInputTests {
    private func repeated(_ text: String, _ count: Int) -> [UInt8] {
        var result: [UInt8] = []
        let unit = bytes(text)
        result.reserveCapacity(unit.count * count)
        for _ in 0..<count { result += unit }
        return result
    }

    // MARK: Limits

    @Test("ten thousand nested multiparts meet the nesting limit")
    func nesting() {
        var message = ""
        for level in 0..<10_000 {
            message += "Content-Type: multipart/mixed; boundary=b\(level)\r\n\r\n--b\(level)\r\n"
        }
        #expect(code(try MIMEMessage.parse(bytes(message))) == .nestingTooDeep)
        #expect(
            code(try MIMEMessage.parse(repeated("Content-Type: message/rfc822\r\n\r\n", 10_000))) == .nestingTooDeep)
    }

    @Test("nesting up to the limit is read")
    func nestingAtLimit() throws {
        let message = try MIMEMessage.parse(
            repeated("Content-Type: message/rfc822\r\n\r\n", 49) + bytes("A: b\r\n\r\nx"))
        #expect(message.root.all.count == 50)
    }

    @Test("too many parts meet the part limit, as many as allowed do not")
    func parts() throws {
        let head = bytes("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
        #expect(try MIMEMessage.parse(head + repeated("--b\r\n\r\nx\r\n", 999)).root.children.count == 999)
        #expect(code(try MIMEMessage.parse(head + repeated("--b\r\n\r\nx\r\n", 1000))) == .tooManyParts)
    }

    @Test("endless headers, header lines and address lists meet their limits")
    func headers() {
        #expect(code(try HeaderBlock.parse(repeated("A: b\r\n", 2000))) == .tooManyHeaders)
        #expect(code(try HeaderBlock.parse(bytes("A: ") + repeated("b", 1_000_000))) == .headerLineTooLong)
        #expect(code(try HeaderBlock.parse(bytes("A: b\r\n") + repeated(" folded\r\n", 100_000))) == .headerTooLarge)
        #expect(code(try AddressList.parse(repeated("a@b.example,", 10_000))) == .tooManyAddresses)
        #expect(throws: Never.self) { try HeaderBlock.parse(repeated("x", 1_000_000)) }
    }

    @Test("a part's header that never ends is held to the limit as well")
    func partHeader() {
        let message = bytes("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n") + repeated("A: b\r\n", 2000)
        #expect(code(try MIMEMessage.parse(message)) == .tooManyHeaders)
    }

    // MARK: Bytes that must not be misread

    @Test("NUL, bare CR and bare LF in headers and bodies are no crash and no new field")
    func strayBytes() throws {
        let message = try MIMEMessage.parse(
            bytes("Sub\0ject: x\r\nFrom: a@b.example\rBcc: c@d.example\r\n\r\n\0\r\n\n\r"))
        #expect(message.headers.fields.isEmpty)
        let second = try MIMEMessage.parse(bytes("From: a@b.example\rBcc: c@d.example\r\nTo: \0\r\n\r\nx"))
        #expect(second.headers.fields.count == 2)
        #expect(second.bcc.isEmpty)
        #expect(second.to.isEmpty)
    }

    @Test("unclosed quotes and comments end where the field ends")
    func unclosed() throws {
        for text in [
            "a/b; x=\"unclosed; y=z", "a/b (unclosed; x=y", "a/b; x=(", "a/b; x=\"\\", "\"", "(", "a/b;\"",
            "a/b;x=\"a\\\"; y=b",
        ] {
            _ = ContentType(parsing: text)
            #expect(throws: MIMEError.self) { try AddressList.parse(text) }
        }
        let message = try MIMEMessage.parse(
            bytes("Content-Type: multipart/mixed; boundary=\"x\r\nTo: a@b.example\r\n\r\n--x\r\n\r\nhi"))
        #expect(message.to.count == 1)
        #expect(message.root.children.count == 1)
    }

    @Test("an encoded word cannot hide a line end, an address or a control in what people see")
    func hidden() throws {
        let block = try HeaderBlock.parse(
            bytes(
                "Subject: =?utf-8?Q?a=0D=0ABcc=3A_x?=\r\nFrom: =?utf-8?Q?boss=40corp.example=22=3C=3E?= <evil@b.example>\r\n\r\n"
            ))
        #expect(block.decodedText("subject") == "a  Bcc: x")
        #expect(try block.addresses("from").mailboxes.map(\.address.description) == ["evil@b.example"])
    }

    @Test("random bytes never crash anything", arguments: 1...8 as ClosedRange<UInt64>)
    func random(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let alphabet = bytes("\r\n\r\n\t :;=?\"'()<>@,.\\[]-_*%/aBq0 8\0") + [0xC3, 0xBC, 0xFF, 0x80]
        for _ in 0..<400 {
            let junk = generator.bytes(Int.random(in: 0...300, using: &generator), from: alphabet)
            let prefix =
                ["", "Content-Type: multipart/mixed; boundary=-\r\n\r\n", "To: ", "Subject: =?utf-8?Q?"].randomElement(
                    using: &generator) ?? ""
            let message = try MIMEMessage.parse(bytes(prefix) + junk)
            #expect(rangesNest(message.root))
            _ = (message.subject, message.to, message.date, message.text, message.attachments.map(\.filename))
            _ = try? AddressList.parse(junk)
            _ = ContentType(parsing: junk)
            _ = MailDate(parsing: junk)
            _ = EncodedWord.decode(junk)
            _ = Charset.decode(junk, charset: "iso-2022-jp")
        }
    }

    // MARK: Time

    /// Eight times the input may take 8 times as long; 24 leaves room for a busy machine and is far from 64.
    private let linear = 24.0

    @Test(
        "comments, quotes and brackets without end cost linear time",
        arguments: [
            "(", "((", "()", "(a)", "\"", "\"\" ", "\\", "(\\", "<", "[", ",", ";", ":", "@", ".", "a.", "a@", "a@b.c,",
            "<@a,", "a ", "a(b) ", "=?", "=?a?q?",
            "=?a?q?b?=", "=?a?q?b?= ", "=?a?q?(", "x: a@b.c;",
        ])
    func addressTime(unit: String) {
        var limits = MIMELimits()
        limits.addressesPerList = .max
        let ratio = growth(from: 6_000 / unit.utf8.count) { count in
            _ = try? AddressList.parse(repeated(unit, count), limits: limits)
        }
        #expect(ratio < linear)
    }

    @Test(
        "fields of MIME cost linear time",
        arguments: [
            ";", "x=y;", "x=\"", "(", "x=(;", "=", " ", "x= ", "x*0=a;", "x*1*=%41;", "a*", "x=a b (c) ", "%", "\\",
            "x=\"\\\"\"; ",
        ])
    func parameterTime(unit: String) {
        var limits = MIMELimits()
        limits.parameters = .max
        let ratio = growth(from: 6_000 / unit.utf8.count) { count in
            _ = ContentType(parsing: bytes("a/b;") + repeated(unit, count), limits: limits)
        }
        #expect(ratio < linear)
    }

    @Test(
        "encoded words cost linear time, also when each names another charset",
        arguments: [
            "=?", "=?a?", "=?utf-8?q?", "=?utf-8?q?a?=", "=?utf-8?b?w7w=?= ", "=?utf-8*x?q?a", "?", "=",
            "=?koi8-r?q?=C1?= =?euc-jp?q?=C6=FC?= ", "=?utf-8?q? ",
        ])
    func wordTime(unit: String) {
        let ratio = growth(from: 6_000 / unit.utf8.count) { count in _ = EncodedWord.decode(repeated(unit, count)) }
        #expect(ratio < linear)
    }

    @Test("a thousand charsets in one header open only a few converters")
    func charsets() {
        let names = [
            "koi8-r", "koi8-u", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258",
            "iso-8859-2", "iso-8859-3",
            "iso-8859-4", "iso-8859-5", "iso-8859-7", "iso-8859-10", "iso-8859-13", "iso-8859-14", "iso-8859-16",
            "cp437", "cp850", "cp866",
        ]
        let text = (0..<5000).map { "=?\(names[$0 % names.count])?q?=C1?=" }.joined(separator: " ")
        #expect(cpuTime { _ = EncodedWord.decode(text) } < 5e9)
    }

    @Test(
        "bodies cost linear time",
        arguments: [
            "--", "--\r\n", "--b\r\n", "-- \r\n", "--b--\r\n", "--b ", "\r\n", "\n", "\r", "--ba\r\n", " ",
            "--b          ",
        ])
    func bodyTime(unit: String) {
        var limits = MIMELimits()
        limits.partCount = .max
        limits.headerLineBytes = .max
        limits.headerBytes = .max
        let head = bytes("Content-Type: multipart/mixed; boundary=b\r\n\r\n")
        let ratio = growth(from: 6_000 / unit.utf8.count) { count in
            _ = try? MIMEMessage.parse(head + repeated(unit, count), limits: limits)
        }
        #expect(ratio < linear)
    }

    @Test("deep nesting does not make each line cost more than its depth")
    func deepTime() {
        var head = ""
        for level in 0..<45 {
            head +=
                "Content-Type: multipart/mixed; boundary=\(String(repeating: "b", count: 60))\(level)\r\n\r\n--\(String(repeating: "b", count: 60))\(level)\r\n"
        }
        let start = bytes(head + "\r\n")
        let line = "--" + String(repeating: "b", count: 62) + "\r\n"
        let ratio = growth(from: 100) { count in _ = try? MIMEMessage.parse(start + repeated(line, count)) }
        #expect(ratio < linear)
    }

    @Test(
        "transfer encodings cost linear time",
        arguments: ["=", "= ", "==\r\n", "\t", " =", "=\r", "=4", "A", "A=", "=A=\r\n"])
    func codecTime(unit: String) {
        let ratio = growth(from: 6_000 / unit.utf8.count) { count in
            let input = repeated(unit, count)
            _ = QuotedPrintable.decode(input)
            _ = QuotedPrintable.encode(input)
            _ = Base64.decodeLeniently(input)
            _ = Base64.decode(input)
        }
        #expect(ratio < linear)
    }

    @Test(
        "a quarter of a megabyte of one byte is read or refused at once",
        arguments: bytes("(\"<[@,;:=?\\ \t\r\n-a\0") + [0xFF])
    func oneByte(byte: UInt8) {
        let input = [UInt8](repeating: byte, count: 256 * 1024)
        let time = cpuTime {
            _ = try? AddressList.parse(input)
            _ = try? HeaderBlock.parse(input)
            _ = try? MIMEMessage.parse(bytes("Content-Type: multipart/mixed; boundary=-\r\n\r\n") + input)
            _ = ContentType(parsing: input)
            _ = EncodedWord.decode(input)
            _ = try? EmailAddress(parsing: input)
            _ = EmailAddress.normalizedDomain(string(input))
            _ = LineDiscipline.firstViolation(in: input)
        }
        #expect(time < 5e9)
    }
}
