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

    @Test(
        "as many header fields as a message may have, and more are one problem and not read",
        arguments: [
            (50, []), (52, ["/headers"]), (20_000, ["/headers"]),
        ])
    func headers(_ count: Int, _ problems: [String]) throws {
        guard case .object(var object) = try document(personalizations: 1) else { return }
        var headers = JSONObject(["Message-ID": .string("<1@example.com>")])
        // Every second one could not be a field.
        for index in 0..<count {
            headers[problems.isEmpty || index % 2 == 0 ? "X-\(index)" : "X \(index)"] = .string("x")
        }
        object["headers"] = .object(headers)
        guard problems.isEmpty else {
            let error = #expect(throws: PosternError.self) { try read(.json(.object(object))) }
            #expect(error?.problems.map(\.pointer) == problems)
            return
        }
        let message = try #require(try read(.json(.object(object))).first)
        #expect(message.headers.count == count && message.messageID?.value == "<1@example.com>")
    }

    @Test("a personalization's fields take the place of the document's, whatever their case")
    func ownHeaders() throws {
        let payload = try JSONParser.parse(
            """
            {"personalizations":[{"to":[{"email":"a@example.com"}],"headers":{"x-b":"own","X-D":"own"}}],
             "from":{"email":"b@example.com"},"subject":"x","content":[{"type":"text/plain","value":"x"}],
             "headers":{"X-A":"common","X-B":"common","X-C":"common"}}
            """)
        let headers = try #require(try read(.json(payload)).first).headers.map(\.value)
        #expect(headers.map { "\($0.name) \($0.value)" } == ["X-A common", "X-C common", "x-b own", "X-D own"])
    }

    @Test("files beyond what a message may have are one problem, and none is decoded")
    func attachments() throws {
        guard case .object(var object) = try document(personalizations: 2) else { return }
        let file = JSONValue.object(JSONObject(["content": .string("%"), "filename": .string("f")]))
        object["attachments"] = .array(Array(repeating: file, count: 101))
        let error = #expect(throws: PosternError.self) { try read(.json(.object(object))) }
        #expect(error?.problems.map(\.pointer) == ["/attachments"])
    }

    @Test("files that messages share are checked once: what is wrong with one is one problem")
    func sharedAttachments() throws {
        guard case .object(var object) = try document(personalizations: 2) else { return }
        func files(_ type: String) -> JSONValue {
            let file = JSONObject([
                "content": .string("QUJD"), "filename": .string("f"), "type": .string(type),
            ])
            return .array([.object(file)])
        }
        object["attachments"] = files("text/plain")
        #expect(try read(.json(.object(object))).allSatisfy(\.hasCheckedAttachments))
        object["attachments"] = files("no type")
        let error = #expect(throws: PosternError.self) { try read(.json(.object(object))) }
        #expect(error?.problems.map(\.pointer) == ["/attachments/0"])
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
