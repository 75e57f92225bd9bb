// No text field of any dialect can add a header line, a recipient or a body.

import JSON
import MIME
import Mapping
import Model
import Testing

@Suite("Header injection")
struct HeaderInjectionTests {
    static let attacks = [
        "x\r\nBcc: evil@example.org", "x\nBcc: evil@example.org", "x\rBcc: evil@example.org", "x\r\n\r\n<b>body</b>",
        "x\u{0}\r\nBcc: evil@example.org", "x\u{85}Bcc: evil@example.org", "x\u{2028}Bcc: evil@example.org",
        "x\u{B}Bcc: evil@example.org", "=?utf-8?q?x=0D=0ABcc:_evil@example.org?=", "x\r\n\tBcc: evil@example.org",
        "x%0d%0aBcc: evil@example.org", "\"\r\nBcc: evil@example.org", "x> \r\nBcc: evil@example.org",
    ]

    /// Every place in which a text can be given, as a document with that text in it.
    static let places: [(name: String, make: @Sendable (String) -> JSONValue)] = [
        ("canonical subject", { canonical(mime: ["subject": .string($0)]) }),
        ("canonical from name", { canonical(mime: ["from": party($0)]) }),
        ("canonical reply-to name", { canonical(mime: ["replyto": party($0)]) }),
        (
            "canonical from address",
            { canonical(mime: ["from": .object(JSONObject(["address": .string("a@example.com" + $0)]))]) }
        ),
        ("canonical envelope", { canonical(["envelope": .string("a@example.com" + $0)]) }),
        ("canonical header value", { canonical(mime: ["headers": .object(JSONObject(["X-Test": .string($0)]))]) }),
        ("canonical header name", { canonical(mime: ["headers": .object(JSONObject([$0: .string("v")]))]) }),
        ("canonical campaign", { canonical(["campaign_id": .string($0)]) }),
        ("canonical tag", { canonical(["tags": .array([.string($0)])]) }),
        ("simple subject", { simple(["subject": .string($0)]) }),
        ("simple from", { simple(["from": .string("\"\($0)\" <a@example.com>")]) }),
        ("simple bare from", { simple(["from": .string("\($0) <a@example.com>")]) }),
        ("simple to", { simple(["to": .array([.string("\"\($0)\" <b@example.net>"), .string("c@example.net")])]) }),
        ("simple cc", { simple(["cc": .string("b@example.net" + $0)]) }),
        ("simple reply-to", { simple(["reply_to": .string("\"\($0)\" <b@example.net>")]) }),
        (
            "simple header value",
            { simple(["headers": .object(JSONObject(["X-Test": .string($0)])), "cc": .string("d@example.net")]) }
        ),
        ("simple file name", { attachment(["filename": .string($0)]) }),
        ("simple content type", { attachment(["content_type": .string("text/plain; name=" + $0)]) }),
        ("simple content id", { attachment(["content_id": .string($0)]) }),
    ]

    @Test("an attack on any field is refused, or is harmless text in that field", arguments: places.indices)
    func everyField(_ index: Int) throws {
        let place = Self.places[index]
        let context = try Sample.context()
        let clean = try built(place.make("harmless"), context) ?? []
        let names = try fieldNames(clean)
        for attack in Self.attacks {
            guard let bytes = try built(place.make(attack), context) else { continue }
            let message = try MIMEMessage.parse(bytes)
            #expect(LineDiscipline.firstViolation(in: bytes) == nil, "\(place.name): \(attack.debugDescription)")
            #expect(message.headers.end == .blankLine)
            #expect(message.bcc.isEmpty && message.headers.count(of: "bcc") == 0)
            if place.name != "canonical header name" {
                #expect(try fieldNames(bytes) == names, "\(place.name): \(attack.debugDescription)")
            }
            #expect(!((message.text ?? "") + (message.html ?? "")).contains("<b>body</b>"))
        }
    }

    /// The finished message; `nil` when the document was refused.
    private func built(_ document: JSONValue, _ context: MappingContext) throws -> [UInt8]? {
        do {
            let isCanonical = document.objectValue?["recipient"] != nil
            let mapped =
                try isCanonical ? CanonicalDialect.map(document, context) : SimpleDialect.map(document, context)
            // Once accepted it must be possible to build it.
            return Array(try Sample.message(mapped.envelopes[0]).utf8)
        } catch let error as PosternError where error.code == .validationFailed && !error.problems.isEmpty {
            return nil
        }
    }

    /// The fields of the header and of every part's header.
    private func fieldNames(_ bytes: [UInt8]) throws -> [String] {
        try MIMEMessage.parse(bytes).root.all.flatMap { part in
            part.headers.fields.map { String(decoding: bytes[$0.nameRange], as: UTF8.self).lowercased() }
        }
    }

    private static func canonical(
        _ changes: KeyValuePairs<String, JSONValue> = [:],
        mime: KeyValuePairs<String, JSONValue> = [:]
    ) -> JSONValue {
        var body = JSONObject(["to": .string("b@example.net"), "from": party("Sales"), "text": .string("Hi")])
        for (name, value) in mime { body[name] = value }
        var document = JSONObject(["recipient": .string("b@example.net"), "mime": .object(body)])
        for (name, value) in changes { document[name] = value }
        return .object(document)
    }

    private static func party(_ name: String) -> JSONValue {
        .object(JSONObject(["name": .string(name), "address": .string("a@example.com")]))
    }

    private static func simple(_ changes: KeyValuePairs<String, JSONValue>) -> JSONValue {
        var document = JSONObject([
            "from": .string("a@example.com"), "to": .string("b@example.net"), "text": .string("Hi"),
        ])
        for (name, value) in changes { document[name] = value }
        return .object(document)
    }

    private static func attachment(_ changes: KeyValuePairs<String, JSONValue>) -> JSONValue {
        var attachment = JSONObject(["filename": .string("a.txt"), "content": .string("aGk=")])
        for (name, value) in changes { attachment[name] = value }
        return simple(["html": .string("<p>Hi</p>"), "attachments": .array([.object(attachment)])])
    }
}
