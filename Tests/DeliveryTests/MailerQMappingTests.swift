// From an accepted submission to MailerQ's document, in its three modes.

import CoreTestSupport
import Delivery
import JSON
import MIME
import MailerQ
import Model
import Outbox
import SQL
import Store
import Testing

@Suite("Mapping to MailerQ")
struct MailerQMappingTests {
    private static let full = #"""
        {"recipient":"jane@example.net","envelope":"bounce@example.com","priority":7,"ips":["192.0.2.1"],
         "tags":["a","b"],"campaign_id":"c-1",
         "tracking":{"userId":"u","endpointId":"e","context":"x","visible":true},
         "mime":{"to":"jane@example.net","from":{"address":"ops@example.com","name":"Ops"},
          "replyto":{"address":"help@example.com","name":"Help"},"subject":"Grüße","text":"Hi",
          "content":[{"type":"html","content":"<p>1</p>"},{"type":"html","content":"<p>2</p>"}],
          "headers":{"List-Unsubscribe":"<https://example.com/u>","Feedback-ID":"1:x"}}}
        """#

    private static let plain = #"""
        {"recipient":"jane@example.net","mime":{"to":"jane@example.net","from":{"address":"ops@example.com"},"text":"Hi"}}
        """#

    /// The message as the other routes send it.
    private func built(_ id: Model.MessageID, _ house: TestHouse) async throws -> MIMEMessage {
        try MIMEMessage.parse(
            try #require(try await Payloads(database: house.database).message(id, in: house.vault.id)))
    }

    @Test("canonical: the document is the product scope's, with our reference and nothing else")
    func canonical() async throws {
        try await withHouse { house in
            let id = try await house.submit(canonical: Self.full)
            let message = try #require(try await house.message(id))
            let built = try await built(id, house)
            let document = try await MailerQPreview(
                database: house.database,
                mapping: MailerQMapping(
                    mode: .canonical, queues: .init(success: .named("won"), failure: .named("lost")))
            ).document(for: id, in: house.vault.id)
            let expected =
                #"{"recipient":"jane@example.net","envelope":"bounce@example.com","priority":7,"ips":["192.0.2.1"],"#
                + #""tags":["a","b"],"campaign_id":"c-1","#
                + #""tracking":{"userId":"u","endpointId":"e","context":"x","visible":true},"#
                + #""maxdelivertime":"\#(MailerQTime(message.deadline))","#
                + #""queues":{"success":"won","failure":"lost"},"#
                + #""mime":{"to":"jane@example.net","from":{"address":"ops@example.com","name":"Ops"},"#
                + #""replyto":{"address":"help@example.com","name":"Help"},"subject":"Grüße","text":"Hi","#
                + #""content":[{"type":"html","content":"<p>1</p>"},{"type":"html","content":"<p>2</p>"}],"#
                + #""headers":{"List-Unsubscribe":"<https://example.com/u>","Feedback-ID":"1:x","#
                + #""Message-ID":"<\#(try #require(built.messageID))>","Date":"\#(try #require(built.date))"}},"#
                + #""postern":{"message":"\#(id)","vault":"\#(house.vault.id)","#
                + #""correlation":"\#(message.correlation)","handover":1}}"#
            #expect(document.map { String(decoding: $0, as: UTF8.self) } == expected)
        }
    }

    @Test("responsive: the names are those of MailerQ's documents")
    func responsive() async throws {
        try await withHouse { house in
            let id = try await house.submit(canonical: Self.full)
            let mime = try #require(try await house.preview(id, .init(.responsive))?["mime"]?.objectValue)
            #expect(
                mime.members.map(\.name) == ["from", "replyTo", "to", "subject", "text", "content", "headers"])
            #expect(mime["content"] == .string("<p>1</p>\r\n<p>2</p>"))
            #expect(mime["replyTo"]?.objectValue?["address"] == .string("help@example.com"))
        }
    }

    @Test("string: the finished message, the same that other routes send")
    func string() async throws {
        try await withHouse { house in
            let id = try await house.submit(canonical: Self.full)
            let mime = try await house.preview(id, .init(.string))?["mime"]?.stringValue
            #expect(mime.map { Array($0.utf8) } == (try await built(id, house)).bytes)
        }
    }

    @Test(
        "every hand-over has the same Message-ID and Date, whatever the mode and the time",
        arguments: MailerQMIMEMode.allCases)
    func sameIdentity(_ mode: MailerQMIMEMode) async throws {
        try await withHouse { house in
            let id = try await house.submit(canonical: Self.plain)
            let built = try await built(id, house)
            for handOver in 1...3 {
                let document = try #require(try await house.preview(id, .init(mode)))
                #expect(document["postern"]?.objectValue?["handover"] == .integer(Int64(handOver)))
                if let text = document["mime"]?.stringValue {
                    #expect(Array(text.utf8) == built.bytes)
                } else {
                    let headers = document["mime"]?.objectValue?["headers"]?.objectValue
                    #expect(headers?["Message-ID"]?.stringValue == "<\(try #require(built.messageID))>")
                    #expect(headers?["Date"]?.stringValue == built.date?.description)
                }
                house.clock.advance(seconds: 7)
                try await house.database.write { connection in
                    try connection.execute("UPDATE smtp_relay_logs SET attempts = attempts + 1 WHERE id = \(id.text)")
                }
            }
        }
    }

    @Test(
        "a message that was submitted as one goes as one in every mode, to each of its recipients",
        arguments: MailerQMIMEMode.allCases)
    func raw(_ mode: MailerQMIMEMode) async throws {
        try await withHouse { house in
            let text = "From: ops@example.com\r\nTo: a@example.net, b@example.net\r\nSubject: \"x\"\r\n\r\nHi \\ €\r\n"
            let ids = try await house.submit(raw: Array(text.utf8))
            #expect(ids.count == 2)
            for (id, recipient) in zip(ids, ["a@example.net", "b@example.net"]) {
                let document = try #require(try await house.preview(id, .init(mode)))
                #expect(document["recipient"] == .string(recipient))
                #expect(document["envelope"] == .string("ops@example.com"))
                #expect(document["priority"] == .integer(5))
                let mime = try #require(document["mime"]?.stringValue)
                #expect(Array(mime.utf8) == (try await built(id, house)).bytes)
                #expect(mime.hasSuffix(text))
            }
        }
    }

    @Test("x-mq fields of a finished message never reach MailerQ, folded or not, and all else does")
    func rawOrders() async throws {
        try await withHouse { house in
            let text =
                "From: ops@example.com\r\nX-MQ-IP: 192.0.2.66\r\nTo: a@example.net\r\nx-mq-smarthost-hostname:\r\n"
                + " evil.example\r\n\tmore\r\nX-Mq-: 1\r\nx-MQ-tag : t\r\nX-MQX: stays\r\nNot-x-mq-ip: stays\r\n\r\n"
                + "x-mq-ip: text\r\n"
            let id = try await house.submit(raw: Array(text.utf8))[0]
            let mime = try #require(try await house.preview(id, .init(.canonical))?["mime"]?.stringValue)
            #expect(
                mime.hasSuffix(
                    "From: ops@example.com\r\nTo: a@example.net\r\nX-MQX: stays\r\nNot-x-mq-ip: stays\r\n\r\n"
                        + "x-mq-ip: text\r\n"))
            let header = try HeaderBlock.parse(Array(mime.utf8))
            #expect(!header.fields.contains { header.name(of: $0).lowercased().hasPrefix("x-mq-") })
        }
    }

    @Test("x-mq headers of an envelope never reach MailerQ", arguments: MailerQMIMEMode.allCases)
    func envelopeOrders(_ mode: MailerQMIMEMode) async throws {
        try await withHouse { house in
            let id = try await house.submit(
                canonical: #"""
                    {"recipient":"jane@example.net","mime":{"to":"jane@example.net","from":{"address":"ops@example.com"},
                     "text":"Hi","headers":{"X-MQ-ip":"192.0.2.66","x-mq-Tag":"t","X-Kept":"k"}}}
                    """#)
            let document = try await MailerQPreview(database: house.database, mapping: .init(mode))
                .document(for: id, in: house.vault.id)
            let text = String(decoding: try #require(document), as: UTF8.self)
            #expect(!text.lowercased().contains("x-mq-") && !text.contains("192.0.2.66"))
            #expect(text.contains("X-Kept"))
        }
    }

    @Test("a message in another charset goes out with the same content")
    func otherCharset() async throws {
        try await withHouse { house in
            var bytes = Array("From: ops@example.com\r\nTo: a@example.net\r\nSubject: caf".utf8) + [0xE9]
            bytes += Array("\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".utf8)
            bytes += Array(
                "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".utf8)
            bytes +=
                [0xE9, 0x74, 0xE9, 0x0D, 0x0A] + Array("--b\r\nContent-Type: application/octet-stream\r\n\r\n".utf8)
            bytes +=
                [0xFF, 0xFE, 0x01]
                + Array("\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nété\r\n--b--\r\n".utf8)
            let id = try await house.submit(raw: bytes)[0]
            let mime = try #require(try await house.preview(id, .init(.canonical))?["mime"]?.stringValue)
            let sent = try MIMEMessage.parse(Array(mime.utf8))
            let parts = sent.root.children
            #expect(sent.subject == "café")
            #expect(sent.headers.first("mime-version") != nil)
            #expect(parts.map(\.transferEncoding) == [.quotedPrintable, .base64, .sevenBit])
            #expect(parts[0].text(in: sent.bytes) == "été")
            #expect(sent.decodedBody(of: parts[1]) == [0xFF, 0xFE, 0x01])
            #expect(parts[2].text(in: sent.bytes) == "été")
        }
    }

    @Test(
        "a body in another charset is encoded and says so, once",
        arguments: ["", "8bit", "binary", "7bit", "x-unknown"])
    func otherCharsetOfOnePart(_ encoding: String) async throws {
        try await withHouse { house in
            var bytes = Array("From: \"M".utf8) + [0xFC] + Array("ller, Bob\" <ops@example.com>\r\n".utf8)
            if !encoding.isEmpty { bytes += Array("Content-Transfer-Encoding:\r\n \(encoding)\r\n".utf8) }
            bytes += Array("To: a@example.net\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n".utf8)
            bytes += [0xE9, 0x74, 0xE9, 0x0D, 0x0A]
            let id = try await house.submit(raw: bytes)[0]
            let mime = try #require(try await house.preview(id, .init(.canonical))?["mime"]?.stringValue)
            let sent = try MIMEMessage.parse(Array(mime.utf8))
            #expect(sent.headers.count(of: "content-transfer-encoding") == 1)
            #expect(sent.headers.count(of: "mime-version") == 1)
            #expect(sent.root.transferEncoding == .quotedPrintable && sent.text == "été\n")
            #expect(sent.from.map(\.name) == ["Müller, Bob"])
            #expect(sent.from.map(\.address.description) == ["ops@example.com"])
        }
    }

    @Test("what cannot be put into UTF-8 fails, and says what would help")
    func beyondMending() async throws {
        try await withHouse { house in
            var bytes = Array("From: ops@example.com\r\nTo: a@example.net\r\nMIME-Version: 1.0\r\n".utf8)
            bytes += Array("Content-Type: multipart/mixed; boundary=b\r\n\r\n".utf8) + [0xE9]
            bytes += Array("\r\n--b\r\n\r\nHi\r\n--b--\r\n".utf8)
            let id = try await house.submit(raw: bytes)[0]
            await #expect(throws: PosternError.self) { try await house.preview(id, .init(.canonical)) }
            let route = MailerQRoute(
                configuration: .init(exchange: "", routingKey: "outbox"), publisher: ScriptedPublisher(),
                database: house.database, mapping: .init(.canonical), clock: house.clock)
            let outcome = try #require(await route.deliver(try await house.claimAll()).first)
            #expect(outcome.result == .failed)
            #expect(outcome.reply?.asData().contains("not UTF-8") == true)
        }
    }

    @Test("no pool, no ips: an empty array would make MailerQ fail the message")
    func noAddresses() async throws {
        try await withHouse { house in
            let id = try await house.submit(canonical: Self.plain)
            for mode in MailerQMIMEMode.allCases {
                let document = try #require(try await house.preview(id, .init(mode)))
                #expect(document["ips"] == nil && document["tags"] == nil && document["tracking"] == nil)
            }
        }
    }

    @Test("a priority beyond AMQP's byte becomes the highest that there is")
    func priority() async throws {
        try await withHouse(settings: TestHouse.settings.changing(["default_priority": .integer(1000)])) { house in
            let id = try await house.submit(canonical: Self.plain)
            #expect(try await house.preview(id, .init(.canonical))?["priority"] == .integer(255))
            let raw = try await house.submit(
                raw: Array("From: ops@example.com\r\nTo: a@example.net\r\n\r\nHi\r\n".utf8))
            #expect(try await house.preview(raw[0], .init(.canonical))?["priority"] == .integer(255))
        }
    }

    @Test("a schedule and a deadline become MailerQ's own")
    func times() async throws {
        try await withHouse { house in
            let sendAt = house.clock.now().adding(seconds: 3600)
            let id = try await house.submit(
                .simple(
                    try JSONParser.parse(
                        #"{"from":"ops@example.com","to":"a@example.net","text":"Hi","send_at":"\#(sendAt)"}"#)))[0]
            let document = try #require(try await house.preview(id, .init(.canonical)))
            let deadline = try #require(try await house.message(id)).deadline
            #expect(document["nextattempt"]?.objectValue?["time"] == .string(MailerQTime(sendAt).description))
            #expect(document["maxdelivertime"] == .string(MailerQTime(deadline).description))
            let now = try await house.submit(canonical: Self.plain)
            #expect(try await house.preview(now, .init(.canonical))?["nextattempt"] == nil)
        }
    }

    @Test("international domains are in A-labels, header values in encoded words")
    func wireForms() async throws {
        try await withHouse { house in
            let id = try await house.submit(
                canonical: #"""
                    {"recipient":"jane@bücher.example","mime":{"to":"jane@bücher.example",
                     "from":{"address":"ops@example.com"},"text":"Hi","headers":{"X-Note":"grün"}}}
                    """#)
            let document = try #require(try await house.preview(id, .init(.canonical)))
            #expect(document["recipient"] == .string("jane@xn--bcher-kva.example"))
            let mime = try #require(document["mime"]?.objectValue)
            #expect(mime["to"] == .string("jane@xn--bcher-kva.example"))
            let note = try #require(mime["headers"]?.objectValue?["X-Note"]?.stringValue)
            #expect(note.utf8.allSatisfy { $0 < 0x80 } && EncodedWord.decode(note) == "grün")
        }
    }

    @Test("there is nothing to see of another vault's message")
    func otherVault() async throws {
        try await withHouse { house in
            let id = try await house.submit(canonical: Self.plain)
            let other = try await house.neighbour().vault.id
            let preview = MailerQPreview(database: house.database, mapping: .init(.canonical))
            #expect(try await preview.document(for: id, in: other) == nil)
        }
    }
}
