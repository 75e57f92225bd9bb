// Documents for MailerQ, byte for byte.

import JSON
import MailerQ
import Testing

@Suite("MailerQ messages")
struct MessageTests {
    private var content: MailerQContent {
        var content = MailerQContent(
            to: "jane@example.net", from: .init(name: "Ops", address: "ops@acme.com"),
            replyTo: .init(name: "Help", address: "help@acme.com"))
        content.subject = "Grüße"
        content.text = "Hi\r\n"
        content.html = ["<p>Hi</p>", "<p>\"Bye\"</p>"]
        content.headers = [
            .init(name: "Feedback-ID", value: "1:acme"), .init(name: "Message-ID", value: "<x@acme.com>"),
        ]
        return content
    }

    private func text(_ message: MailerQMessage) throws -> String {
        String(decoding: try message.encoded(), as: UTF8.self)
    }

    @Test("the smallest message has a recipient and a mime")
    func smallest() throws {
        let message = MailerQMessage(
            recipient: "a@example.net", envelope: nil, mime: .string(Array("A: b\r\n\r\nc".utf8)))
        #expect(try text(message) == #"{"recipient":"a@example.net","mime":"A: b\r\n\r\nc"}"#)
    }

    @Test("the canonical form is the product scope's, all of it")
    func canonical() throws {
        var message = MailerQMessage(
            recipient: "jane@example.net", envelope: "bounce@acme.com", mime: .canonical(content))
        message.priority = 7
        message.ips = ["192.0.2.1", "2001:db8::1"]
        message.tags = ["a", "ü"]
        message.campaignID = "c-1"
        message.tracking = .init(userID: "u", endpointID: "e", context: "x", isVisible: false)
        message.nextAttempt = MailerQTime(unixSeconds: 1_800_000_000)
        message.maxDeliverTime = MailerQTime(unixSeconds: 1_800_086_400)
        message.queues = .init(success: .named("s"), failure: .named("f"), retry: .named("r"))
        message.reference = MailerQReference(message: "msg_1", vault: "vlt_1", correlation: "cor_1", handover: 2)
        #expect(
            try text(message) == #"{"recipient":"jane@example.net","envelope":"bounce@acme.com","priority":7,"#
                + #""ips":["192.0.2.1","2001:db8::1"],"tags":["a","ü"],"campaign_id":"c-1","#
                + #""tracking":{"userId":"u","endpointId":"e","context":"x","visible":false},"#
                + #""nextattempt":{"time":"2027-01-15 08:00:00"},"maxdelivertime":"2027-01-16 08:00:00","#
                + #""queues":{"success":"s","failure":"f","retry":"r"},"#
                + #""mime":{"to":"jane@example.net","from":{"address":"ops@acme.com","name":"Ops"},"#
                + #""replyto":{"address":"help@acme.com","name":"Help"},"subject":"Grüße","text":"Hi\r\n","#
                + #""content":[{"type":"html","content":"<p>Hi</p>"},{"type":"html","content":"<p>\"Bye\"</p>"}],"#
                + #""headers":{"Feedback-ID":"1:acme","Message-ID":"<x@acme.com>"}},"#
                + #""postern":{"message":"msg_1","vault":"vlt_1","correlation":"cor_1","handover":2}}"#)
    }

    @Test("the responsive form is that of MailerQ's documents")
    func responsive() throws {
        let message = MailerQMessage(recipient: "jane@example.net", envelope: "", mime: .responsive(content))
        #expect(
            try text(message) == #"{"recipient":"jane@example.net","envelope":"","#
                + #""mime":{"from":{"address":"ops@acme.com","name":"Ops"},"#
                + #""replyTo":{"address":"help@acme.com","name":"Help"},"to":"jane@example.net","subject":"Grüße","#
                + #""text":"Hi\r\n","content":"<p>Hi</p>\r\n<p>\"Bye\"</p>","#
                + #""headers":{"Feedback-ID":"1:acme","Message-ID":"<x@acme.com>"}}}"#)
    }

    @Test("what is empty is left out: an empty array of ips would make MailerQ fail the message")
    func empty() throws {
        var bare = MailerQContent(
            to: "a@example.net", from: .init(name: "n", address: "f@acme.com"),
            replyTo: .init(name: "n", address: "f@acme.com"))
        bare.text = ""
        for mime in [MailerQMessage.MIME.canonical(bare), .responsive(bare)] {
            var message = MailerQMessage(recipient: "a@example.net", envelope: "f@acme.com", mime: mime)
            message.ips = []
            let object = try #require(try JSONParser.parse(message.encoded()).objectValue)
            #expect(object.members.map(\.name) == ["recipient", "envelope", "mime"])
            let names = try #require(object["mime"]?.objectValue).members.map(\.name)
            #expect(Set(names).isDisjoint(with: ["subject", "content", "headers"]) && names.contains("text"))
        }
    }

    @Test("a queue that is switched off is null, and one that is not spoken of is not there")
    func queues() throws {
        var message = MailerQMessage(recipient: "a@example.net", envelope: nil, mime: .string([]))
        message.queues = .init(success: .none, failure: .named("f"))
        let queues = try JSONParser.parse(message.encoded()).objectValue?["queues"]
        #expect(queues == .object(JSONObject(["success": .null, "failure": .string("f")])))
    }

    @Test(
        "a finished message comes out of the JSON byte for byte",
        arguments: [
            "", "Subject: x\r\n\r\n\"quoted\" \\ back\tslash\r\n", "A: b\r\n\r\n\u{7F}\u{1}€😀\u{2028}\r\n.\r\n",
        ])
    func roundTrip(_ text: String) throws {
        let message = MailerQMessage(recipient: "a@example.net", envelope: nil, mime: .string(Array(text.utf8)))
        #expect(try JSONParser.parse(message.encoded()).objectValue?["mime"] == .string(text))
    }

    @Test("bytes that are not UTF-8 are an error, not another message")
    func notUTF8() {
        let message = MailerQMessage(recipient: "a@example.net", envelope: nil, mime: .string([0x41, 0xE9, 0x42]))
        #expect(throws: MailerQError.self) { try message.encoded() }
    }
}
