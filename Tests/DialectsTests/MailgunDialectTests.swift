// What a fixture cannot say of Mailgun's form: the id of its answer, batches of a thousand, hostile placeholders.

import Dialects
import Forms
import JSON
import Mapping
import Model
import Testing

@Suite("The Mailgun dialect")
struct MailgunDialectTests {
    private func read(_ fields: [FormField]) throws(PosternError) -> [NativeMessage] {
        try MailgunDialect.read(.form(Form(fields)), .forTests)
    }

    private let minimal = [
        FormField("from", "Ada <ada@Bücher.example>"), FormField("text", "x"), FormField("subject", "s"),
    ]

    @Test("JSON is not Mailgun's payload")
    func json() {
        let error = #expect(throws: PosternError.self) { try MailgunDialect.read(.json(.null), .forTests) }
        #expect(error?.code == .unsupportedMediaType)
    }

    @Test("the id of the answer is the Message-ID that the message has")
    func messageID() {
        let correlation = MappingContext.forTests.correlation
        func id(_ fields: [FormField]) -> String? {
            MailgunDialect.messageID(of: Form(fields), correlation: correlation)
        }
        let ours = id(minimal)
        #expect(ours?.hasSuffix("@xn--bcher-kva.example") == true)
        #expect(ours?.hasPrefix(String(correlation.text.dropFirst(4))) == true)
        #expect(id(minimal + [FormField("h:message-ID", "<own@example.com>")]) == "own@example.com")
        let header = "From: Ada <ada@bücher.example>\r\nTo: b@example.com\r\n"
        #expect(id([FormField("message", header + "Message-Id: <1@example.com>\r\n\r\nx")]) == "1@example.com")
        #expect(id([FormField("message", header + "\r\nx")]) == ours)
        #expect(id([FormField("message", "no header at all")]) == nil)
        #expect(id([]) == nil)
    }

    @Test("a batch of a thousand is a thousand messages; an address that stands twice is one")
    func batch() throws {
        let addresses = (0..<1000).map { "u\($0)@receiver.test" }
        let variables = addresses.map { "\"\($0)\":{\"n\":\"\($0.count)\"}" }.joined(separator: ",")
        let messages = try read(
            minimal + addresses.map { FormField("to", $0) } + [
                FormField("to", "U0 <u0@RECEIVER.test>"), FormField("recipient-variables", "{\(variables)}"),
                FormField("h:X-N", "%recipient.n%"),
            ])
        #expect(messages.count == 1000)
        #expect(messages.allSatisfy { $0.to.count == 1 && $0.headers.count == 1 })
        #expect(messages[999].headers[0].value.value == "18")
    }

    @Test("a batch whose messages would fill the memory is refused, whatever makes them large")
    func amplification() {
        let addresses = (0..<1000).map { "u\($0)@receiver.test" }
        let large = String(repeating: "x", count: 2000)
        let variables = FormField("recipient-variables", "{\"u1@receiver.test\":{\"a\":\"\(large)\"}}")
        let everyone = FormField("to", addresses.joined(separator: ","))
        let one = FormField("to", "u1@receiver.test")
        let file = FormField.Value.file(filename: "f", contentType: nil, bytes: Array(large.utf8))
        for fields in [
            [everyone, FormField("html", large)], [everyone, FormField(name: "attachment", value: file)],
            [one, FormField("html", String(repeating: "%recipient.a%", count: 1000))],
            [one] + (0..<45).map { FormField("v:\($0)", String(repeating: "%recipient.a%", count: 10)) },
            [everyone, FormField("h:X-A", String(large.prefix(900)))], [everyone, FormField("v:a", large)],
        ] {
            let error = #expect(throws: PosternError.self) {
                try MailgunDialect.read(
                    .form(Form(minimal + [variables] + fields)), .forTests(messageBytes: 200_000))
            }
            #expect(error?.code == .messageTooLarge)
        }
    }

    @Test("one address more than a submission may have is refused before anything is made of the texts")
    func tooManyRecipients() throws {
        func fields(_ count: Int) -> [FormField] {
            minimal + (0..<count).map { FormField("to", "u\($0)@receiver.test") } + [
                FormField("recipient-variables", #"{"u0@receiver.test":{"a":"b"}}"#)
            ]
        }
        #expect(try read(fields(1000)).count == 1000)
        // The text would be a problem for every recipient but the first.
        let error = #expect(throws: PosternError.self) {
            try read(fields(1001) + [FormField("html", "%recipient.a%")])
        }
        #expect(error?.code == .tooManyRecipients)
    }

    @Test("what a batch has in common is read once, however many it is for")
    func sharedTexts() throws {
        // Looked at anew for every recipient, this is a hundred megabytes.
        let text = String(repeating: "% ", count: 50_000)
        func seconds(_ recipients: Int) throws -> Double {
            let addresses = (0..<recipients).map { "u\($0)@receiver.test" }.joined(separator: ",")
            let fields = [
                FormField("to", addresses), FormField("html", text),
                FormField("recipient-variables", #"{"u0@receiver.test":{"a":"b"}}"#),
            ]
            let start = ContinuousClock.now
            let messages = try read(minimal + fields)
            #expect(messages.count == recipients && messages.allSatisfy { $0.html?.value == text })
            return (ContinuousClock.now - start) / .seconds(1)
        }
        _ = try seconds(2)
        let (few, many) = (try seconds(10), try seconds(1000))
        #expect(many < max(few, 0.05) * 20, "\(few) s, and \(many) s")
    }

    @Test("the same variable, several ones and none at their places, for each recipient")
    func places() throws {
        let messages = try read(
            minimal + [
                FormField("to", "a@example.com, b@example.com"),
                FormField("html", "%recipient.x%%recipient.y%, %recipient.x% 100% %recipient.y"),
                FormField(
                    "recipient-variables",
                    """
                    {"a@example.com":{"x":"1","y":"%recipient.x%"},"b@example.com":{"x":"é","y":""}}
                    """),
            ])
        #expect(
            messages.map { $0.html?.value } == [
                "1%recipient.x%, 1 100% %recipient.y", "é, é 100% %recipient.y",
            ])
    }

    @Test("header fields and custom data beyond what a message may have are one problem each, for a whole batch")
    func tooManyFields() throws {
        let error = #expect(throws: PosternError.self) {
            try read(
                minimal + [
                    FormField("to", "a@example.com, b@example.com"),
                    FormField("recipient-variables", #"{"a@example.com":{"a":"b"}}"#),
                ] + (0..<60).flatMap { [FormField("h:X-\($0)", "x"), FormField("v:\($0)", "x")] })
        }
        #expect(error?.problems.map(\.pointer) == ["h:X-52", "v:50"])
    }

    @Test(
        "files without a type have the one that their name tells",
        arguments: [
            ("a.pdf", "application/pdf"), ("A.JPG", "image/jpeg"), ("a.md", "text/markdown"),
            ("a", "application/octet-stream"),
        ])
    func fileTypes(_ name: String, _ type: String) throws {
        let file = FormField.Value.file(filename: name, contentType: nil, bytes: [1])
        let messages = try read(
            minimal + [FormField("to", "a@example.com"), FormField(name: "attachment", value: file)])
        #expect(messages.first?.attachments.map(\.value.contentType) == [type])
    }

    @Test("a body of refused placeholders is one problem for each name, not for each place")
    func refusedPlaceholders() {
        let body = String(repeating: "%recipient% %unsubscribe_url% ", count: 1000)
        let error = #expect(throws: PosternError.self) {
            try read(minimal + [FormField("to", "a@example.com"), FormField("html", body)])
        }
        #expect(error?.problems.map(\.pointer) == ["html", "html"])
        let missing = String(repeating: "%recipient.x%", count: 1000)
        let other = #expect(throws: PosternError.self) {
            try read(
                minimal + [
                    FormField("to", "a@example.com"), FormField("html", missing),
                    FormField("recipient-variables", #"{"a@example.com":{}}"#),
                ])
        }
        #expect(other?.problems.map(\.pointer) == ["html"])
    }

    @Test("a body of percent signs is read in linear time, and stays as it is")
    func percentSigns() throws {
        for piece in ["%", "% ", "%recipient.", "%recipient.a% %recipient.b"] {
            func seconds(_ count: Int) throws -> Double {
                let body = String(repeating: piece, count: count)
                let start = ContinuousClock.now
                let messages = try read(minimal + [FormField("to", "a@example.com"), FormField("html", body)])
                #expect(messages.first?.html?.value == body)
                return (ContinuousClock.now - start) / .seconds(1)
            }
            _ = try seconds(100)
            let (few, many) = (try seconds(2000), try seconds(32000))
            #expect(many < max(few, 0.002) * 100, "\(piece)")
        }
    }
}

extension MappingContext {
    static let forTests = forTests(messageBytes: MappingLimits().messageBytes)

    static func forTests(messageBytes: Int) -> MappingContext {
        MappingContext(
            settings: SettingsSnapshot(vault: [:], instance: [:]), pools: IPPools([]),
            limits: .init(messageBytes: messageBytes),
            hostname: "mail.example.org", now: Timestamp(milliseconds: 1_800_000_000_000),
            correlations: { CorrelationID(high: 1, low: 1) })
    }
}
