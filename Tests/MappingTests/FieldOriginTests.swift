// What the map answers say of each field: the payload's place, the setting, or the rule that it came from.

import JSON
import Mapping
import Model
import Testing

@Suite("Origins of fields")
struct FieldOriginTests {
    @Test("of the simple form: places in the payload, settings, and what another field gave")
    func simple() throws {
        let document = try JSONParser.parse(
            #"{"from":"Sales <sales@example.com>","to":["ann@example.net"],"cc":"bob@example.net","subject":"s","text":"t"}"#
        )
        let context = try Sample.context(
            JSONObject(["default_tags": .array([.string("a")])]), isExplained: true)
        let mapped = try SimpleDialect.map(document, context)
        #expect(mapped.origins.count == 2)
        let (first, second) = (mapped.origins[0], mapped.origins[1])
        #expect(first["recipient"] == .payload("/to/0"))
        #expect(second["recipient"] == .payload("/cc"))
        #expect(first["mime.from.address"] == .payload("/from"))
        #expect(first["mime.from.name"] == .payload("/from"))
        #expect(first["mime.replyto"] == .field("mime.from"))
        #expect(first["envelope"] == .field("mime.from.address"))
        #expect(first["priority"] == .setting("default_priority", .vault))
        #expect(first["tags"] == .setting("default_tags", .vault))
        #expect(first["campaign_id"] == .absent)
        #expect(first["ips"] == .setting("ip_pool_missing", .vault))
    }

    @Test("of the canonical form: what stands in the document came from there")
    func canonical() throws {
        let document = try JSONParser.parse(
            #"{"recipient":"ann@example.net","priority":7,"mime":{"to":"ann@example.net","from":{"address":"a@example.com"},"text":"t","headers":{"Feedback-ID":"1"}}}"#
        )
        let context = try Sample.context(pools: ["example.com": ["192.0.2.1"]], isExplained: true)
        let mapped = try CanonicalDialect.map(document, context)
        let origins = try #require(mapped.origins.first)
        #expect(origins["recipient"] == .payload("/recipient"))
        #expect(origins["priority"] == .payload("/priority"))
        #expect(origins["ips"] == .pool("example.com"))
        #expect(origins["mime.from.name"] == .field("mime.from.address"))
        #expect(origins["mime.headers.Feedback-ID"] == .payload("/mime/headers/Feedback-ID"))
    }

    @Test("nothing is explained to a sender")
    func silence() throws {
        let document = try JSONParser.parse(#"{"from":"a@example.com","to":"b@example.net","text":"t"}"#)
        #expect(try SimpleDialect.map(document, Sample.context()).origins.isEmpty)
    }

    @Test("every origin has its own form in JSON")
    func forms() throws {
        var origins = FieldOrigins()
        origins["a"] = .payload("/to/0")
        origins["b"] = .message("From")
        origins["c"] = .setting("default_priority", .instance)
        origins["d"] = .pool("main")
        origins["e"] = .field("mime.from")
        origins["f"] = .absent
        var writer = JSONWriter()
        origins.write(to: &writer)
        #expect(
            writer.text
                == #"{"a":{"from":"payload","at":"/to/0"},"b":{"from":"message","at":"From"},"c":{"from":"setting","setting":"default_priority","source":"instance"},"d":{"from":"ip_pool","at":"main"},"e":{"from":"field","at":"mime.from"},"f":{"from":"absent"}}"#
        )
    }
}
