// A finished message goes on byte for byte, but for the few fields that a submission server adds or takes away.

import JSON
import MIME
import Mapping
import Model
import Testing

@Suite("Finished messages")
struct MIMEDialectTests {
    private func map(
        _ text: String,
        sender: String? = nil,
        recipients: [String] = [],
        trace: RawSubmission.Trace? = nil,
        _ context: MappingContext? = nil
    ) throws -> MappedMessage {
        let raw = RawSubmission(
            bytes: Array(text.utf8), sender: try sender.map { try EmailAddress(parsing: $0) },
            recipients: try recipients.map { try EmailAddress(parsing: $0) },
            trace: trace ?? .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false))
        return try MIMEDialect.map(raw, context ?? Sample.context())
    }

    private func text(_ mapped: MappedMessage) throws -> String {
        String(decoding: try #require(Sample.raw(mapped.envelopes[0])), as: UTF8.self)
    }

    private static let complete =
        "X-First: 1\r\nFrom: Sales <sales@example.com>\r\nTo: ann@example.net\r\nDate: Mon, 4 Jan 2027 10:00:00 +0100\r\n"
        + "Message-ID: <1@example.com>\r\nSubject: folded\r\n  subject\r\nX-Odd   : spaced \t\r\nx-last:\r\n\r\n"
        + "body \t\r\n.\r\n..\r\nFrom: not a header\r\n\r\nBcc: not a header\r\n"

    @Test("a complete message gets a Received field on top, and is otherwise the same bytes")
    func byteIdentical() throws {
        let result = try text(map(Self.complete))
        #expect(result.hasSuffix(Self.complete))
        let added = String(result.dropLast(Self.complete.count))
        let received = String(decoding: HeaderBlockText.unfolded(added), as: UTF8.self)
        #expect(
            received
                == "Received: by mail.example.org (Postern) with HTTP id cor_01kev2x5r0000001; Fri, 15 Jan 2027 08:00:00 +0000\r\n"
        )
    }

    @Test("bytes that are no text, and a body without its last line end, stay as they are")
    func eightBit() throws {
        let header = Array("From: a@example.com\r\nTo: b@example.net\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n".utf8)
        let bytes = header + [0xFF, 0xFE, 0x80, 0xC3, 0x28] + Array("no line end".utf8)
        let mapped = try MIMEDialect.map(
            RawSubmission(
                bytes: bytes, sender: nil, recipients: [],
                trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false)),
            Sample.context())
        let result = try #require(Sample.raw(mapped.envelopes[0]))
        #expect(Array(result.suffix(bytes.count)) == bytes)
    }

    @Test("Bcc, Return-Path and Idempotency-Key are taken out, with their folds, and nothing else")
    func removedFields() throws {
        let input =
            "bCC: dora@hidden.example,\r\n eve@hidden.example\r\nFrom: a@example.com\r\nReturn-Path: <x@y.example>\r\n"
            + "To: b@example.net\r\nIdempotency-Key: k-1\r\nDate: x\r\nMessage-ID: <1@x>\r\nX-Bcc: stays\r\n\r\nBcc: body\r\n"
        let mapped = try map(input)
        #expect(
            mapped.envelopes.map(\.recipient.description) == [
                "b@example.net", "dora@hidden.example", "eve@hidden.example",
            ])
        let result = try text(mapped)
        #expect(!result.contains("hidden.example") && !result.contains("y.example") && !result.contains("k-1"))
        #expect(
            result.hasSuffix(
                "From: a@example.com\r\nTo: b@example.net\r\nDate: x\r\nMessage-ID: <1@x>\r\nX-Bcc: stays\r\n\r\nBcc: body\r\n"
            ))
        #expect(MIMEDialect.idempotencyKey(in: Array(input.utf8)) == "k-1")
        #expect(MIMEDialect.idempotencyKey(in: Array(Self.complete.utf8)) == nil)
    }

    @Test(
        "Date and Message-ID are added only where they are missing",
        arguments: [
            ("", ["received", "date", "message-id"]), ("Date: x\r\n", ["received", "message-id"]),
            ("Message-ID: <1@x>\r\n", ["received", "date"]), ("message-id: <1@x>\r\nDATE: x\r\n", ["received"]),
        ])
    func missingFields(_ fields: String, _ expected: [String]) throws {
        let input = "From: a@example.com\r\n\(fields)To: b@example.net\r\n\r\nHi\r\n"
        let bytes = try #require(Sample.raw(map(input).envelopes[0]))
        let message = try MIMEMessage.parse(bytes)
        let names = message.headers.fields.map { String(decoding: bytes[$0.nameRange], as: UTF8.self).lowercased() }
        #expect(Array(names.prefix(expected.count)) == expected)
        #expect(message.headers.count(of: "date") == 1 && message.headers.count(of: "message-id") == 1)
        if expected.contains("message-id") { #expect(message.messageID == "01kev2x5r0000001@example.com") }
        if expected.contains("date") { #expect(message.date?.unixSeconds == 1_800_000_000) }
    }

    @Test("the trace names the client as the door saw it")
    func trace() throws {
        let cases: [(hello: String?, address: String, expected: String)] = [
            ("client.example", "192.0.2.7", "from client.example ([192.0.2.7]) by mail.example.org"),
            (nil, "2001:db8::7", "from unknown ([IPv6:2001:db8::7]) by mail.example.org"),
        ]
        for (hello, address, expected) in cases {
            let result = try text(
                map(
                    Self.complete,
                    trace: .init(hello: hello, address: address, protocolName: "ESMTPSA", hasCheckedLines: true)))
            let received = String(decoding: HeaderBlockText.unfolded(result), as: UTF8.self)
            #expect(received.hasPrefix("Received: \(expected) (Postern) with ESMTPSA id cor_"))
        }
    }

    @Test(
        "what breaks the mail standards, or could be read in two ways, is refused",
        arguments: [
            "From: a@example.com\nTo: b@example.net\r\n\r\nHi\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\n\r\nHi\n",
            "From: a@example.com\r\nTo: b@example.net\r\n\r\nHi\rHo\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\n\r\nHi\u{0}\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\n\r\nHi\r", "To: b@example.net\r\n\r\nHi\r\n", "\r\nHi\r\n", "",
            "From: a@example.com\r\nFrom: c@example.org\r\nTo: b@example.net\r\n\r\nHi\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\nfrom : c@example.org\r\n\r\nHi\r\n",
            "From: a@example.com, c@example.org\r\nTo: b@example.net\r\n\r\nHi\r\n",
            "From: Group: a@example.com, c@example.org;\r\nTo: b@example.net\r\n\r\nHi\r\n",
            "From: Nobody:;\r\nTo: b@example.net\r\n\r\nHi\r\n", "From: nobody\r\nTo: b@example.net\r\n\r\nHi\r\n",
            "From:\r\nTo: b@example.net\r\n\r\nHi\r\n", "From: a@example.com\r\nTo: nobody\r\n\r\nHi\r\n",
            "From: a@example.com\r\n\r\nHi\r\n", "From: a@example.com\r\nTo: friends:;\r\n\r\nHi\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\nSubject: a\r\nSubject: b\r\n\r\nHi\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\nTo: c@example.net\r\n\r\nHi\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\nDate: x\r\nDate: y\r\n\r\nHi\r\n",
            "From: a@example.com\r\nno header\r\nTo: b@example.net\r\n\r\nHi\r\n",
            "From: a@example.com\r\nTo: b@example.net\r\n\r\n\(String(repeating: "x", count: 999))\r\n",
        ])
    func refused(_ input: String) {
        let error = #expect(throws: PosternError.self) { try map(input) }
        #expect(error?.code == .malformedMessage)
    }

    @Test("the envelope's recipients win over the header's; without them To, Cc and Bcc are taken, each person once")
    func recipients() throws {
        let input =
            "From: a@example.com\r\nTo: Ann <ann@example.net>, bob@example.net\r\nCc: ann@EXAMPLE.net\r\n"
            + "Bcc: Friends: carl@example.net, bob@example.net;\r\n\r\nHi\r\n"
        #expect(
            try map(input).envelopes.map(\.recipient.description) == [
                "ann@example.net", "bob@example.net", "carl@example.net",
            ])
        let given = try map(input, recipients: ["x@example.org", "y@example.org", "x@EXAMPLE.org"])
        #expect(given.envelopes.map(\.recipient.description) == ["x@example.org", "y@example.org"])
        #expect(given.envelopes.allSatisfy { Sample.raw($0) == Sample.raw(given.envelopes[0]) })
    }

    @Test("the number of recipients is limited, also when they stand in the header")
    func recipientLimit() throws {
        let context = try Sample.context(limits: MappingLimits(recipients: 2))
        let header = "From: a@example.com\r\nTo: b@example.net, c@example.net, d@example.net\r\n\r\nHi\r\n"
        let error = #expect(throws: PosternError.self) { try map(header, context) }
        #expect(error?.code == .tooManyRecipients)
        #expect(try map(header, recipients: ["x@example.net", "y@example.net"], context).envelopes.count == 2)
    }

    @Test("sender, names and subject of the envelope come from where they should")
    func envelope() throws {
        let input =
            "From: =?utf-8?q?J=C3=BCrgen?= <j@example.com>\r\nReply-To: Help <help@example.com>\r\nTo: b@example.net\r\n"
            + "Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\n\r\nHi\r\n"
        let own = try map(input, sender: "bounces@example.org").envelopes[0]
        #expect(own.sender.description == "bounces@example.org")
        #expect(own.content.from.name == "Jürgen" && own.content.from.address.description == "j@example.com")
        #expect(own.content.replyTo.name == "Help" && own.content.replyTo.address.description == "help@example.com")
        #expect(own.content.subject == "Grüße")
        #expect(try map(input).envelopes[0].sender.description == "j@example.com")
    }

    @Test("two submissions of the same envelope and bytes have one digest, all others another")
    func digests() throws {
        func digest(_ text: String, _ sender: String?, _ recipients: [String]) throws -> [UInt8] {
            RawSubmission(
                bytes: Array(text.utf8), sender: try sender.map { try EmailAddress(parsing: $0) },
                recipients: try recipients.map { try EmailAddress(parsing: $0) },
                trace: .init(hello: "h", address: "a", protocolName: "p", hasCheckedLines: true)
            ).digest
        }
        let all = try [
            digest("x", nil, []), digest("y", nil, []), digest("x", "a@example.com", []),
            digest("x", nil, ["a@example.com"]),
            digest("x", "a@example.com", ["b@example.net"]),
            digest("x", "a@example.com", ["b@example.net", "c@example.net"]),
        ]
        #expect(Set(all).count == all.count)
        #expect(try digest("x", "a@example.com", []) == all[2])
    }
}

/// The first field of a header on one line.
enum HeaderBlockText {
    static func unfolded(_ text: String) -> [UInt8] {
        var line: [UInt8] = []
        let bytes = Array(text.utf8)
        for (index, byte) in bytes.enumerated() {
            let isFold = byte == 13 && index + 2 < bytes.count && (bytes[index + 2] == 32 || bytes[index + 2] == 9)
            let isFoldEnd = byte == 10 && index + 1 < bytes.count && (bytes[index + 1] == 32 || bytes[index + 1] == 9)
            if isFold || isFoldEnd { continue }
            line.append(byte)
            if byte == 10 { break }
        }
        return line
    }
}
