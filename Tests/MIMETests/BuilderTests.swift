// Messages that we make: right, clean, the same every time, and read back as what went in.

import MIME
import Testing

@Suite struct BuilderTests {
    private func builder() throws -> MIMEBuilder {
        var builder = MIMEBuilder(
            from: try Mailbox(name: "Ann Example", address: address("ann@example.com")),
            messageID: "abc.123@example.com",
            date: 1_795_197_600,
            boundarySeed: "abc.123"
        )
        builder.to = [Mailbox(try address("bob@example.org"))]
        builder.subject = "Minutes"
        return builder
    }

    private func parsed(_ builder: MIMEBuilder) throws -> MIMEMessage {
        let bytes = try builder.build()
        #expect(LineDiscipline.firstViolation(in: bytes) == nil)
        #expect(bytes.suffix(2) == [0x0D, 0x0A])
        let message = try MIMEMessage.parse(bytes)
        #expect(SubmissionHeaders.check(message.headers).isEmpty)
        #expect(message.headers.decodedText("mime-version") == "1.0")
        return message
    }

    @Test("a plain message, byte for byte")
    func plain() throws {
        var builder = try builder()
        builder.text = "Hello,\nworld\n"
        #expect(
            string(try builder.build())
                == string(
                    crlf(
                        """
                        Date: Fri, 20 Nov 2026 18:00:00 +0000
                        From: Ann Example <ann@example.com>
                        To: bob@example.org
                        Subject: Minutes
                        Message-ID: <abc.123@example.com>
                        MIME-Version: 1.0
                        Content-Type: text/plain; charset=us-ascii
                        Content-Transfer-Encoding: 7bit

                        Hello,
                        world

                        """
                    )
                )
        )
    }

    @Test("everything that goes in comes out: addresses, text, HTML, inline images, attachments, further headers")
    func everything() throws {
        var builder = try builder()
        builder.sender = Mailbox(try address("secretary@example.com"))
        builder.replyTo = [try Mailbox(name: "Jürgen, M.", address: address("j@bücher.example"))]
        builder.cc = [Mailbox(try address("\"odd one\"@example.net"))]
        builder.subject = "Grüße aus München — und noch sehr viel mehr Text, damit der Betreff gefaltet werden muss"
        builder.text = "Grüße\n.\nFrom here\n"
        builder.html = "<p>Grüße</p><img src=\"cid:logo@x\">\n"
        builder.attachments = [
            .init(filename: "Übersicht 2026.pdf", contentType: "application/pdf", bytes: Array(0...255)),
            .init(filename: "logo.png", contentType: "image/png", bytes: [1, 2, 3], contentID: "<logo@x>"),
            .init(filename: nil, contentType: "text/csv; charset=utf-8", bytes: bytes("a,b\n")),
        ]
        builder.headers = [
            try HeaderField(name: "List-Unsubscribe", value: "<https://example.com/u/1>"),
            try HeaderField(name: "X-Note", value: "Grüße"),
        ]
        let message = try parsed(builder)
        #expect(message.from == [builder.from])
        #expect(message.sender == builder.sender)
        #expect(message.replyTo.first?.name == "Jürgen, M.")
        #expect(message.replyTo.first?.address.domain == "xn--bcher-kva.example")
        #expect(message.cc == builder.cc)
        #expect(message.subject == builder.subject)
        #expect(message.text == builder.text)
        #expect(message.html == builder.html)
        #expect(message.date?.unixSeconds == builder.date)
        #expect(message.messageID == builder.messageID)
        #expect(message.headers.decodedText("x-note") == "Grüße")
        #expect(message.root.contentType.mediaType == "multipart/mixed")
        #expect(
            message.root.children.map(\.contentType.mediaType) == [
                "multipart/alternative", "application/pdf", "text/csv",
            ])
        #expect(
            message.root.children.first?.children.map(\.contentType.mediaType) == ["text/plain", "multipart/related"])
        let attachments = message.attachments
        #expect(attachments.map(\.filename) == ["logo.png", "Übersicht 2026.pdf", nil])
        #expect(attachments.map(\.contentID) == ["logo@x", nil, nil])
        #expect(attachments.map { message.decodedBody(of: $0) } == [[1, 2, 3], Array(0...255), bytes("a,b\n")])
        let header = message.bytes[..<message.headers.bodyStart]
        #expect(LineDiscipline.firstViolation(in: Array(header), maximumLineLength: 76) == nil)
        #expect(header.allSatisfy { $0 < 0x80 })
    }

    @Test("the same input makes the same bytes; another seed makes other boundaries")
    func deterministic() throws {
        var builder = try builder()
        builder.text = "a"
        builder.html = "b"
        let first = try builder.build()
        #expect(try builder.build() == first)
        builder.boundarySeed = "other"
        #expect(try builder.build() != first)
    }

    @Test(
        "only the levels that are needed are made",
        arguments: [
            (true, false, 0, 0, "text/plain"), (false, true, 0, 0, "text/html"), (false, false, 0, 0, "text/plain"),
            (true, true, 0, 0, "multipart/alternative"), (false, true, 1, 0, "multipart/related"),
            (true, false, 0, 1, "multipart/mixed"),
            (true, false, 1, 0, "multipart/mixed"), (true, true, 1, 0, "multipart/alternative"),
            (true, true, 1, 1, "multipart/mixed"),
        ])
    func levels(text: Bool, html: Bool, inline: Int, attached: Int, root: String) throws {
        var builder = try builder()
        builder.text = text ? "text" : nil
        builder.html = html ? "html" : nil
        builder.attachments = (0..<inline).map {
            .init(filename: nil, contentType: "image/png", bytes: [1], contentID: "i\($0)")
        }
        builder.attachments += (0..<attached).map { _ in .init(filename: "a", contentType: "a/b", bytes: [2]) }
        let message = try parsed(builder)
        #expect(message.root.contentType.mediaType == root)
        #expect(message.attachments.count == inline + attached)
    }

    @Test(
        "text takes the transfer encoding that suits it",
        arguments: [
            ("plain\n", false, TransferEncoding.sevenBit),
            ("Grüße und viele ganz normale Wörter dazu\n", false, .quotedPrintable),
            ("日本語です、こんにちは\n", false, .base64), ("Grüße\n", true, .eightBit),
            (String(repeating: "x", count: 999), true, .quotedPrintable),
            (String(repeating: "x", count: 998), false, .sevenBit),
            ("nul \0 in a text that is otherwise plain\n", true, .quotedPrintable),
            ("From me\n", true, .quotedPrintable), ("bare\rCR becomes a line end", false, .sevenBit),
            ("", false, .sevenBit),
        ])
    func encodings(text: String, eightBit: Bool, expected: TransferEncoding) throws {
        var builder = try builder()
        builder.text = text
        builder.html = "x"
        builder.eightBit = eightBit
        let message = try parsed(builder)
        #expect(message.textPart?.transferEncoding == expected)
        #expect(message.text == string(LineDiscipline.normalizingBareNewlines(text)).replacingCRLF)
    }

    @Test("a boundary never occurs in the content, even if the content knows it")
    func boundaries() throws {
        var builder = try builder()
        builder.text = "x"
        builder.html = "y"
        func boundary(_ builder: MIMEBuilder) throws -> String {
            try #require(MIMEMessage.parse(builder.build()).root.contentType.parameter("boundary"))
        }
        var hostile = ""
        for _ in 0..<20 {
            let used = try boundary(builder)
            #expect(!hostile.contains(used))
            hostile += "--\(used)--\n"
            builder.text = hostile
        }
        let message = try parsed(builder)
        #expect(message.text == hostile)
        #expect(message.html == "y")
    }

    @Test(
        "an enclosed message goes unencoded, or as a file when that cannot be",
        arguments: [
            ("From: a@b.example\r\n\r\nhi\r\n", false, "message/rfc822"),
            ("From: a@b.example\r\n\r\nhü\r\n", true, "message/rfc822"),
            ("From: a@b.example\r\n\r\nhü\r\n", false, "application/octet-stream"),
            ("From: a@b.example\n\nhi\n", true, "application/octet-stream"),
        ])
    func enclosed(text: String, eightBit: Bool, type: String) throws {
        var builder = try builder()
        builder.eightBit = eightBit
        builder.attachments = [.init(filename: "forwarded.eml", contentType: "message/rfc822", bytes: bytes(text))]
        let message = try parsed(builder)
        let part = try #require(message.attachments.first)
        #expect(part.contentType.mediaType == type)
        #expect(message.decodedBody(of: part) == bytes(text))
    }

    @Test(
        "structural headers cannot be set as further headers",
        arguments: [
            "From", "to", "CC", "Bcc", "subject", "Date", "message-id", "MIME-Version", "Content-Type",
            "content-anything", "Sender",
            "Reply-To", "Return-Path", "Received", "dkim-signature", "Resent-Bcc", "Resent-To",
        ])
    func reserved(name: String) throws {
        var builder = try builder()
        builder.headers = [try HeaderField(name: name, value: "x")]
        let made = builder
        #expect(code(try made.build()) == .reservedHeader)
    }

    @Test(
        "no string that goes in can add a line to the header",
        arguments: ["\r\nBcc: x@y.z", "\nBcc: x@y.z", "\rBcc: x@y.z", "\0", "\u{85}"])
    func injection(evil: String) throws {
        let plain = try builder()
        var changed = plain
        changed.subject = "a" + evil
        #expect(code(try changed.build()) == .invalidHeaderValue)
        changed = plain
        changed.messageID = "a\(evil)@b"
        #expect(code(try changed.build()) == .invalidMessageID)
        changed = plain
        changed.attachments = [.init(filename: "a" + evil, contentType: "a/b", bytes: [])]
        #expect(code(try changed.build()) == .invalidFilename)
        changed.attachments = [.init(filename: "a", contentType: "a/b" + evil, bytes: [])]
        #expect(code(try changed.build()) == .invalidContentType)
        changed.attachments = [.init(filename: "a", contentType: "a/b; x=\"\(evil)\"; \(evil)=y", bytes: [])]
        #expect(try MIMEMessage.parse(changed.build()).bcc.isEmpty)
        #expect(try LineDiscipline.firstViolation(in: changed.build()) == nil)
        changed.attachments = [.init(filename: "a", contentType: "a/b", bytes: [], contentID: "a" + evil)]
        #expect(code(try changed.build()) == .invalidContentID)
        changed = plain
        changed.boundarySeed = evil
        changed.text = "a" + evil
        changed.html = evil
        let message = try parsed(changed)
        #expect(message.bcc.isEmpty)
        #expect(message.headers.fields.count == 7)
    }

    @Test(
        "attachments cannot be multiparts, nor without a type", arguments: ["multipart/mixed", "nothing", "", "a/b/c"])
    func badTypes(type: String) throws {
        var builder = try builder()
        builder.attachments = [.init(filename: nil, contentType: type, bytes: [])]
        #expect(code(try builder.build()) == .invalidContentType)
    }

    @Test("a message id is left@right", arguments: ["", "a", "a@", "@b", "a@b@c", "a b@c", "<a@b", "ä@b", "a@b\u{7F}"])
    func badIDs(id: String) throws {
        var builder = try builder()
        builder.messageID = id
        #expect(code(try builder.build()) == .invalidMessageID)
    }

    @Test("dates outside of 1900 to 9999 are refused")
    func badDates() throws {
        for date in [Int64.min, -2_208_988_801, 253_402_300_800, Int64.max] {
            var builder = try builder()
            builder.date = date
            #expect(code(try builder.build()) == .invalidDate)
        }
    }

    @Test("a thousand recipients fold into a header that reads back")
    func manyRecipients() throws {
        var builder = try builder()
        builder.to = try (0..<1000).map {
            try Mailbox(name: "Person, No. \($0)", address: address("p\($0)@example.com"))
        }
        let message = try parsed(builder)
        #expect(message.to == builder.to)
        #expect(LineDiscipline.firstViolation(in: message.bytes, maximumLineLength: 78) == nil)
    }

    @Test("a local part that is not ASCII goes as UTF-8 and says so")
    func smtputf8() throws {
        var builder = try builder()
        #expect(!builder.needsSMTPUTF8)
        builder.cc = [Mailbox(try address("jürgen@example.com"))]
        #expect(builder.needsSMTPUTF8)
        #expect(try parsed(builder).cc == builder.cc)
    }
}

extension String {
    var replacingCRLF: String { String(decoding: utf8.filter { $0 != 0x0D }, as: UTF8.self) }
}
