// What no fixture can hold: payloads that are not there, that are endless, and that are cut and twisted at random.

import Forms
import JSON
import MIME
import Mapping
import Model
import Testing

@testable import Dialects

@Suite("SES payloads of strangers")
struct SESDialectTests {
    private static let context: MappingContext = {
        let id = CorrelationID(high: 1, low: 1)
        return MappingContext(
            settings: SettingsSnapshot(vault: [:], instance: [:]), pools: IPPools([]), limits: .init(),
            hostname: "mail.example.org", now: Timestamp(milliseconds: 1_800_000_000_000), correlations: { id })
    }()

    private func error(_ payload: NativePayload) -> PosternError? {
        do throws(PosternError) {
            _ = try SESDialect.read(payload, Self.context)
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "what is no object is not valid",
        arguments: [JSONValue.null, .bool(true), .integer(1), .string("x"), .array([])])
    func noObject(_ value: JSONValue) {
        #expect(error(.json(value))?.code == .validationFailed)
    }

    @Test("an empty form is not valid")
    func noForm() {
        #expect(error(.form(Form([])))?.code == .validationFailed)
    }

    @Test("ten thousand fields cost no more than reading them, and are answered with fifty problems")
    func manyFields() {
        let kinds = ["Tags.member.%.Name", "Destination.ToAddresses.member.%", "X%", "Tags.member.%"]
        for kind in kinds {
            let fields = (1...10_000).map { FormField(kind.replacing("%", with: "\($0)"), "x") }
            let clock = ContinuousClock()
            var refusal: PosternError?
            let time = clock.measure { refusal = error(.form(Form([FormField("Action", "SendEmail")] + fields))) }
            #expect(refusal?.code == .validationFailed)
            #expect((1...50).contains(refusal?.problems.count ?? 0))
            #expect(time < .seconds(20), "\(kind): quadratic work would take minutes")
        }
    }

    @Test(
        "a number that is no place in a list is an unknown field",
        arguments: ["", "0", "-1", "01", "+1", "1.", "１", "99999999999"])
    func places(_ number: String) throws {
        let name = "Destination.ToAddresses.member.\(number)"
        let form = Form([FormField("Action", "SendEmail"), FormField(name, "bob@receiver.test")])
        let problems = try #require(error(.form(form))).problems
        #expect(problems.contains(JSONProblem(pointer: name, message: "unknown field")))
    }

    /// A message in which everything is said that can be.
    private static let form = [
        ("Action", "SendEmail"), ("Version", "2010-12-01"), ("Source", "Ada <ada@example.com>"),
        ("Destination.ToAddresses.member.1", "bob@receiver.test"), ("Destination.CcAddresses", ""),
        ("ReplyToAddresses.member.1", "help@example.com"), ("ReturnPath", "bounce@example.com"),
        ("Message.Subject.Data", "=?UTF-8?Q?x?="), ("Message.Body.Text.Data", "x"),
        ("Message.Body.Text.Charset", "UTF-8"),
        ("Tags.member.1.Name", "a"), ("Tags.member.1.Value", "b"), ("ConfigurationSetName", "c"),
        ("SourceArn", "arn:aws:ses:eu-west-1:1:identity/example.com"),
    ]
    private static let raw = [
        ("Action", "SendRawEmail"), ("Source", "Ada <ada@example.com>"), ("Destinations.member.1", "bob@receiver.test"),
        (
            "RawMessage.Data",
            String(
                decoding: Base64.encode(
                    Array("X-SES-MESSAGE-TAGS: a=b, c=d\nFrom: ada@example.com\nReturn-Path: <b@example.com>\n\nx".utf8)
                ),
                as: UTF8.self)
        ),
    ]
    private static let scraps = [
        "", "x", "\u{0}", "\r\n", "a@b", "<>", ",", ";", "\"", "\\", "=?", "?=", "=?UTF-8?B?", "%", "ü", "\u{202E}",
        "(", ":",
        ".member.1", "SendRawEmail", String(repeating: "(", count: 500), String(repeating: "<", count: 500),
    ]

    @Test("forms that are cut and twisted at random are messages or refusals, never a crash", arguments: [form, raw])
    func twistedForms(_ whole: [(String, String)]) {
        var generator = SplitMix(state: 0x5E5)
        for _ in 0..<3000 {
            var fields = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                let index = Int.random(in: 0..<fields.count, using: &generator)
                let scrap = Self.scraps.randomElement(using: &generator) ?? ""
                switch Int.random(in: 0..<4, using: &generator) {
                case 0 where fields.count > 1: fields.remove(at: index)
                case 1: fields[index].0 = Self.twisted(fields[index].0, scrap, &generator)
                case 2: fields.append(fields[index])
                default: fields[index].1 = Self.twisted(fields[index].1, scrap, &generator)
                }
            }
            check(error(.form(Form(fields.map { FormField($0.0, $0.1) }))))
        }
    }

    @Test("documents with a value of another kind anywhere are refused or taken, never a crash")
    func twistedDocuments() throws {
        let whole = try JSONParser.parse(
            """
            {"FromEmailAddress": "ada@example.com", "Destination": {"ToAddresses": ["bob@receiver.test"]},
             "ReplyToAddresses": ["help@example.com"], "FeedbackForwardingEmailAddress": "b@example.com",
             "Content": {"Simple": {"Subject": {"Data": "x", "Charset": "UTF-8"}, "Body": {"Html": {"Data": "x"}},
               "Headers": [{"Name": "X-A", "Value": "b"}],
               "Attachments": [
                 {"FileName": "a", "RawContent": "eA==", "ContentDisposition": "INLINE", "ContentId": "i"}]}},
             "EmailTags": [{"Name": "a", "Value": "b"}], "ConfigurationSetName": "c",
             "ConfigurationOverrides": {"Tracking": {"OpenTrackingEnabled": "DISABLED"}}}
            """)
        #expect(error(.json(whole)) == nil)
        let others: [JSONValue] = [
            .null, .bool(false), .integer(.min), .number(1.5), .string(""), .string("\u{0}\r\n"), .array([]),
            .array([.null, .array([])]), .object(JSONObject()), .object(JSONObject(["Data": .null])),
        ]
        var count = 0
        for twisted in Self.replacements(in: whole, by: others) {
            check(error(.json(twisted)))
            count += 1
        }
        #expect(count > 300)
    }

    private func check(_ error: PosternError?) {
        guard let error else { return }
        #expect([.validationFailed, .unsupportedFeature].contains(error.code), "\(error)")
        #expect(!error.problems.isEmpty && error.problems.count <= 50)
    }

    private static func twisted(_ text: String, _ scrap: String, _ generator: inout SplitMix) -> String {
        var scalars = Array(text.unicodeScalars)
        let place = Int.random(in: 0...scalars.count, using: &generator)
        if Bool.random(using: &generator) { scalars.removeSubrange(place...) }
        scalars.insert(contentsOf: scrap.unicodeScalars, at: min(place, scalars.count))
        return String(String.UnicodeScalarView(scalars))
    }

    /// The document with each of its values replaced by each of the others, one at a time.
    private static func replacements(in value: JSONValue, by others: [JSONValue]) -> [JSONValue] {
        var all = others
        switch value {
        case .object(let object):
            for member in object.members {
                for inner in replacements(in: member.value, by: others) {
                    var copy = object
                    copy[member.name] = inner
                    all.append(.object(copy))
                }
            }
        case .array(let elements):
            for index in elements.indices {
                for inner in replacements(in: elements[index], by: others) {
                    var copy = elements
                    copy[index] = inner
                    all.append(.array(copy))
                }
            }
        default: break
        }
        return all
    }
}

/// The same numbers in every run.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
