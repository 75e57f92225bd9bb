// What a fixture cannot say of SendGrid's form: its limits, and the payloads that are none.

import Dialects
import Forms
import JSON
import Mapping
import Model
import Testing

@Suite("The SendGrid dialect")
struct SendGridDialectTests {
    private func document(personalizations count: Int) throws -> JSONValue {
        let one = #"{"to":[{"email":"a@example.com"}]}"#
        return try JSONParser.parse(
            """
            {"personalizations":[\(Array(repeating: one, count: count).joined(separator: ","))],
             "from":{"email":"b@example.com"},"subject":"x","content":[{"type":"text/plain","value":"x"}]}
            """)
    }

    private func read(_ payload: NativePayload) throws(PosternError) -> [NativeMessage] {
        try SendGridDialect.read(payload, .forTests)
    }

    @Test("a thousand personalizations are a thousand messages, and none or one more are refused as a whole")
    func count() throws {
        #expect(try read(.json(document(personalizations: 1000))).count == 1000)
        for count in [0, 1001] {
            let error = #expect(throws: PosternError.self) { try read(.json(document(personalizations: count))) }
            #expect(error?.code == .validationFailed)
            #expect(error?.problems.map(\.pointer) == ["/personalizations"])
        }
    }

    @Test("a thousand messages that share a large file are refused before they are made")
    func amplification() throws {
        guard case .object(var object) = try document(personalizations: 1000) else { return }
        let content = String(repeating: "QUJD", count: 500)
        object["attachments"] = .array([.object(JSONObject(["content": .string(content), "filename": .string("f")]))])
        let error = #expect(throws: PosternError.self) {
            try SendGridDialect.read(.json(.object(object)), .forTests(messageBytes: 200_000))
        }
        #expect(error?.code == .messageTooLarge)
    }

    @Test("a form is not SendGrid's payload")
    func form() {
        let error = #expect(throws: PosternError.self) { try read(.form(Form([FormField("to", "a@example.com")]))) }
        #expect(error?.code == .unsupportedMediaType)
    }

    @Test("a time as far away as numbers go is a problem, no crash", arguments: [Int64.max, .min, 0])
    func times(_ seconds: Int64) throws {
        guard case .object(var object) = try document(personalizations: 1) else { return }
        object["send_at"] = .integer(seconds)
        let error = #expect(throws: PosternError.self) { try read(.json(.object(object))) }
        #expect(error?.problems.map(\.pointer) == ["/send_at"])
    }
}
