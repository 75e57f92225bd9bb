// Whoever can publish to a result queue, and whoever writes an SMTP reply, can send us this.

import JSON
import MailerQ
import Testing

@Suite("Hostile results")
struct HostileResultTests {
    private func parse(
        _ text: String,
        from queue: MailerQResultQueue = .failure,
        _ change: (inout MailerQLimits) -> Void = { _ in }
    ) throws -> MailerQResult {
        var limits = MailerQLimits()
        change(&limits)
        return try MailerQResult.parse(Array(text.utf8), from: queue, limits: limits)
    }

    private func code(of text: String) -> MailerQError.Code? {
        do {
            _ = try parse(text)
            return nil
        } catch {
            return (error as? MailerQError)?.code
        }
    }

    @Test(
        "what is not JSON is an error, never a result",
        arguments: ["", " ", "{", "}", "null junk", "{\"recipient\":}", "\u{0}", "{\"a\":1,}", "<xml/>", "{'a':1}"])
    func notJSON(_ text: String) {
        #expect(code(of: text) == .notJSON)
    }

    @Test(
        "JSON that is no result is an error",
        arguments: [
            "null", "[]", "\"text\"", "1", "{}", "{\"results\":1}", "{\"recipient\":1}", "[{\"recipient\":\"a@b\"}]",
        ])
    func notAResult(_ text: String) {
        #expect(code(of: text) == .notAResult)
    }

    @Test("a document that is too large is not looked at")
    func tooLarge() {
        let text = "{\"recipient\":\"\(String(repeating: "a", count: 1000))\"}"
        #expect(throws: MailerQError.self) { try parse(text) { $0.documentBytes = 500 } }
    }

    @Test("nesting without end is refused")
    func nesting() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(code(of: "{\"recipient\":\"a@b\",\"results\":\(deep)") == .notJSON)
    }

    @Test("no member has to be there, and none has to have its type")
    func wrongTypes() throws {
        let values = ["null", "1", "-1.5e300", "true", "\"\"", "\"text\"", "[]", "[[]]", "{}", "{\"time\":7}"]
        let top = ["envelope", "postern", "nextattempt", "delayed", "extracted", "queues", "mime", "domain"]
        let inner = [
            "state", "result", "type", "time", "mta", "from", "to", "code", "status", "description", "cipher",
            "certificate", "fatal", "attempt",
        ]
        for value in values {
            for name in top { _ = try parse("{\"recipient\":\"a@b.example\",\"\(name)\":\(value)}") }
            for name in inner {
                let result = try parse("{\"recipient\":\"a@b.example\",\"results\":[{\"\(name)\":\(value)}]}")
                #expect(result.attempts.count == 1)
            }
            let odd = try parse("{\"recipient\":\"a@b.example\",\"results\":[\(value)]}")
            #expect(odd.attempts.map(\.index) == [1])
            #expect(try parse("{\"recipient\":\"a@b.example\",\"results\":\(value)}").attempts.count <= 1)
        }
    }

    @Test("an attempt that is no object keeps its place, so that the others keep theirs")
    func places() throws {
        let result = try parse(
            #"{"recipient":"a@b","results":[null,{"state":"rcptto","result":"error","code":550}]}"#)
        #expect(result.attempts.map(\.index) == [1, 2])
        #expect(result.verdict == .bounced)
    }

    @Test("of very many attempts the last ones are kept, under their own numbers")
    func manyAttempts() throws {
        let results = repeatElement(#"{"state":"rcptto","result":"error","code":451}"#, count: 5_000)
        let result = try parse("{\"recipient\":\"a@b\",\"results\":[\(results.joined(separator: ","))]}")
        #expect(result.attempts.map(\.index) == Array(4_937...5_000))
    }

    @Test("texts are cut between characters, and can be kept anywhere")
    func texts() throws {
        let long = String(repeating: "€", count: 100_000)
        let result = try parse(
            "{\"recipient\":\"\(long)@b\",\"envelope\":\"\(long)\",\"results\":[{\"state\":\"\(long)\",\"result\":\"\(long)\","
                + "\"mta\":\"\(long)\",\"description\":\"a\\u0000b\\u001b[31m\\r\\nc\(long)\",\"status\":\"\(long)\"}]}"
        )
        let attempt = try #require(result.attempts.first)
        let limits = MailerQLimits()
        #expect(result.recipient?.utf8.count == 318)
        #expect((result.envelope?.utf8.count ?? .max) <= limits.wordBytes)
        #expect((attempt.mta?.utf8.count ?? .max) <= limits.wordBytes)
        let description = try #require(attempt.description)
        #expect(description.hasPrefix("a b [31m\nc€"))
        #expect(description.hasSuffix("€") && description.utf8.count <= limits.descriptionBytes)
        #expect(!description.unicodeScalars.contains("\u{FFFD}"))
        #expect(attempt.status == nil && attempt.state == .unknown)
    }

    @Test("a reply in another charset, byte for byte, and bare control characters do not lose the result")
    func mended() throws {
        var bytes = Array(#"{"recipient":"a@b.example","results":[{"state":"rcptto","result":"error","code":550,"#.utf8)
        bytes += Array("\"description\":\"Bo\u{00EE}te pleine".utf8.filter { $0 != 0xC3 }) + [0x1B, 0x0A, 0x09, 0xFF]
        bytes += Array("\"}]}".utf8)
        let result = try MailerQResult.parse(bytes, from: .failure)
        #expect(result.verdict == .bounced)
        #expect(result.attempts[0].description == "Bo\u{FFFD}te pleine   \u{FFFD}")
    }

    @Test(
        "a reference that is not well-formed is none",
        arguments: [
            "null", "1", "\"msg_1\"", "[]", "{}",
            #"{"message":"msg_1","vault":"vlt_1","correlation":"cor_1"}"#,
            #"{"message":"msg_1","vault":"vlt_1","handover":1}"#,
            #"{"message":"msg_1","vault":"vlt_1","correlation":"cor_1","handover":0}"#,
            #"{"message":"msg_1","vault":"vlt_1","correlation":"cor_1","handover":"1"}"#,
            #"{"message":"msg_1","vault":"vlt_1","correlation":"cor_1","handover":1.5}"#,
            #"{"message":"msg_1","vault":"vlt_1","correlation":"cor_1","handover":99999999999999}"#,
            #"{"message":"msg_1'; --","vault":"vlt_1","correlation":"cor_1","handover":1}"#,
            #"{"message":"","vault":"vlt_1","correlation":"cor_1","handover":1}"#,
            #"{"message":"msg_1","vault":["vlt_1"],"correlation":"cor_1","handover":1}"#,
            #"{"message":"msg_1","vault":"vlt_1\u0000","correlation":"cor_1","handover":1}"#,
            #"{"message":"msg_é","vault":"vlt_1","correlation":"cor_1","handover":1}"#,
        ])
    func references(_ text: String) throws {
        #expect(try parse("{\"recipient\":\"a@b\",\"postern\":\(text)}").reference == nil)
    }

    @Test(
        "codes count only where they are SMTP's",
        arguments: [
            ("550", 550), ("\"550\"", 550), ("550.0", 550), ("0", nil), ("-550", nil), ("5500", nil), ("\"5 5\"", nil),
            ("\"+55\"", nil), ("1e400", nil), ("550.5", nil), ("true", nil), ("9223372036854775807", nil), ("199", nil),
            ("600", nil),
        ] as [(String, Int?)])
    func codes(_ text: String, _ code: Int?) throws {
        let document =
            "{\"recipient\":\"a@b\",\"results\":[{\"state\":\"rcptto\",\"result\":\"error\",\"code\":\(text)}]}"
        guard let result = try? parse(document) else {
            #expect(text == "1e400", "JSON itself has no such number")
            return
        }
        #expect(result.attempts[0].code == code)
    }

    @Test("every fixture, cut anywhere or with any byte changed, is a result or an error", arguments: Fixture.all)
    func damaged(_ fixture: Fixture) throws {
        let document = try #require(try JSONParser.parse(fixture.bytes).objectValue?["document"])
        let bytes = JSONWriter.write(document)
        for end in stride(from: 0, to: bytes.count, by: 7) {
            #expect(throws: MailerQError.self) { try MailerQResult.parse(Array(bytes[..<end]), from: .failure) }
        }
        for index in stride(from: 0, to: bytes.count, by: 5) {
            for byte in [0x00, 0x22, 0x2C, 0x5C, 0x7B, 0xFF] as [UInt8] {
                var changed = bytes
                changed[index] = byte
                guard let result = try? MailerQResult.parse(changed, from: .success) else { continue }
                #expect(result.attempts.count <= 64)
            }
        }
    }
}
