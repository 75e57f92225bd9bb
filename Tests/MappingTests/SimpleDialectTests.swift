// The form for people and agents: one recipient is an envelope of blocks, several share one finished message.

import JSON
import MIME
import Mapping
import Model
import Testing

@Suite("Simple form")
struct SimpleDialectTests {
    private func map(_ json: String, _ context: MappingContext? = nil) throws -> MappedMessage {
        try SimpleDialect.map(JSONParser.parse(json), context ?? Sample.context())
    }

    @Test(
        "one bare recipient is blocks; a name, a copy or an attachment makes it a finished message",
        arguments: [
            (#""to":"ann@example.net""#, false), (#""to":["ann@example.net"]"#, false),
            (#""to":"ann@example.net","reply_to":"r@example.com""#, false), (#""to":"Ann <ann@example.net>""#, true),
            (#""to":["ann@example.net","bob@example.net"]"#, true),
            (#""to":"ann@example.net","cc":"bob@example.net""#, true),
            (#""to":"ann@example.net","bcc":"bob@example.net""#, true), (#""bcc":"bob@example.net""#, true),
            (#""to":"ann@example.net","reply_to":["r@example.com","s@example.com"]"#, true),
            (#""to":"ann@example.net","attachments":[{"filename":"a.txt","content":"aGk="}]"#, true),
        ])
    func plainOrRaw(_ members: String, _ isRaw: Bool) throws {
        let mapped = try map(#"{"from":"sales@example.com","text":"Hi",\#(members)}"#)
        #expect(mapped.envelopes.allSatisfy { (Sample.raw($0) != nil) == isRaw })
    }

    @Test("all recipients share one message, in which To and Cc read right and Bcc is not")
    func sharedMessage() throws {
        let mapped = try map(
            """
            {"from":"Sales <sales@example.com>","to":["Ann <ann@example.net>","bob@example.net"],"cc":"Carl <carl@example.net>",
             "bcc":["Secret Dora <dora@hidden.example>"],"reply_to":["r@example.com","s@example.com"],"subject":"Grüße",
             "text":"Hi","html":"<p>Hi</p>","headers":{"X-Order":"7"}}
            """)
        #expect(
            mapped.envelopes.map(\.recipient.description) == [
                "ann@example.net", "bob@example.net", "carl@example.net", "dora@hidden.example",
            ])
        let bytes = try #require(Sample.raw(mapped.envelopes[0]))
        for envelope in mapped.envelopes {
            guard case .raw(let message) = envelope.content.body,
                case .raw(let first) = mapped.envelopes[0].content.body
            else {
                Issue.record("not a finished message")
                return
            }
            #expect(message === first, "one copy for all")
        }
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(!text.contains("dora") && !text.contains("hidden") && !text.lowercased().contains("bcc"))
        let message = try MIMEMessage.parse(bytes)
        #expect(message.to.map(\.description) == ["Ann <ann@example.net>", "bob@example.net"])
        #expect(message.cc.map(\.description) == ["Carl <carl@example.net>"])
        #expect(message.from.map(\.description) == ["Sales <sales@example.com>"])
        #expect(message.replyTo.count == 2)
        #expect(message.subject == "Grüße" && message.text == "Hi\n" || message.text == "Hi")
        #expect(message.html?.contains("<p>Hi</p>") == true)
        #expect(message.headers.decodedText("x-order") == "7")
        #expect(message.messageID?.hasSuffix("@example.com") == true)
        #expect(LineDiscipline.firstViolation(in: bytes) == nil)
    }

    @Test("attachments come out byte for byte, inline ones under their content id")
    func attachments() throws {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let base64 = String(decoding: Base64.encode(bytes), as: UTF8.self)
        let mapped = try map(
            """
            {"from":"sales@example.com","to":"ann@example.net","html":"<img src=\\"cid:logo@x\\">","attachments":[
              {"filename":"Übersicht.bin","content":"\(base64)"},
              {"filename":"logo.png","content_type":"image/png","content":"\(base64)","content_id":"logo@x"}]}
            """)
        let raw = try #require(Sample.raw(mapped.envelopes[0]))
        let message = try MIMEMessage.parse(raw)
        let parts = message.attachments
        #expect(Set(parts.compactMap(\.filename)) == ["Übersicht.bin", "logo.png"])
        for part in parts { #expect(message.decodedBody(of: part) == bytes) }
        let logo = try #require(parts.first { $0.filename == "logo.png" })
        #expect(
            logo.contentID == "logo@x" && logo.contentType.mediaType == "image/png"
                && logo.disposition?.isInline == true)
    }

    @Test("a person is written to once, however often and however spelt they are named")
    func duplicates() throws {
        let mapped = try map(
            #"{"from":"a@example.com","to":["x@example.net","x@EXAMPLE.net"],"cc":"X <x@example.net>","bcc":"X@example.net","text":"t"}"#
        )
        #expect(mapped.envelopes.map(\.recipient.description) == ["x@example.net", "X@example.net"])
    }

    @Test("the number of recipients is limited")
    func recipientLimit() throws {
        let context = try Sample.context(limits: MappingLimits(recipients: 3))
        func recipients(_ count: Int) -> String { (0..<count).map { "\"r\($0)@example.net\"" }.joined(separator: ",") }
        #expect(
            try map(#"{"from":"a@example.com","bcc":[\#(recipients(3))],"text":"t"}"#, context).envelopes.count == 3)
        let error = #expect(throws: PosternError.self) {
            try map(#"{"from":"a@example.com","bcc":[\#(recipients(4))],"text":"t"}"#, context)
        }
        #expect(error?.code == .tooManyRecipients)
    }

    @Test("metadata and the time of sending are handed on")
    func metadataAndTime() throws {
        let mapped = try map(
            #"{"from":"a@example.com","to":"b@example.net","text":"t","metadata":{"order":"7","":"x"},"#
                + #""send_at":"2027-01-16T09:00:00+01:00"}"#)
        #expect(mapped.metadata == ["order": "7", "": "x"])
        #expect(mapped.sendAt?.description == "2027-01-16T08:00:00.000Z")
    }

    @Test("metadata is limited in number and size")
    func metadataLimits() throws {
        func attempt(_ metadata: String) throws -> MappedMessage {
            try map(#"{"from":"a@example.com","to":"b@example.net","text":"t","metadata":{\#(metadata)}}"#)
        }
        func entries(_ count: Int) -> String { (0..<count).map { "\"k\($0)\":\"v\"" }.joined(separator: ",") }
        #expect(try attempt(entries(50)).metadata.count == 50)
        #expect(throws: PosternError.self) { try attempt(entries(51)) }
        #expect(try attempt("\"k\":\"\(String(repeating: "v", count: 4095))\"").metadata.count == 1)
        #expect(throws: PosternError.self) { try attempt("\"k\":\"\(String(repeating: "v", count: 4096))\"") }
    }

    @Test("the same submission gives the same bytes every time")
    func deterministic() throws {
        let json =
            #"{"from":"Ä <a@example.com>","to":["b@example.net","c@example.net"],"text":"ü","html":"<p>ü</p>","#
            + #""attachments":[{"filename":"a.bin","content":"AAEC"}]}"#
        #expect(try Sample.raw(map(json).envelopes[0]) == Sample.raw(map(json).envelopes[1]))
        let plain = #"{"from":"Ä <a@example.com>","to":"b@example.net","text":"ü","html":"<p>ü</p>"}"#
        let first = try Sample.message(map(plain).envelopes[0])
        #expect(try Sample.message(map(plain).envelopes[0]) == first)
        // What was stored in between builds the same message too.
        let stored = try CanonicalDialect.stored(JSONWriter.write(Sample.json(map(plain).envelopes[0])))
        #expect(try Sample.message(stored) == first)
        #expect(first.contains("Message-ID: <01kev2x5r0000001@example.com>\r\n"))
        #expect(first.contains("Date: Fri, 15 Jan 2027 08:00:00 +0000\r\n"))
    }
}
