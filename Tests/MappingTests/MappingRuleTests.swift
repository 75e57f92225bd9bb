// The mapping rules of the product scope (seed 000 §06), one test each.

import JSON
import MIME
import Mapping
import Model
import Testing

@Suite("Mapping rules")
struct MappingRuleTests {
    private func request(
        _ changes: KeyValuePairs<String, JSONValue?> = [:], mime: KeyValuePairs<String, JSONValue?> = [:]
    ) -> JSONValue {
        var body = JSONObject([
            "to": .string("ann@example.net"), "from": .object(JSONObject(["address": .string("sales@example.com")])),
            "text": .string("Hi"),
        ])
        for (name, value) in mime { body[name] = value }
        var document = JSONObject(["recipient": .string("ann@example.net"), "mime": .object(body)])
        for (name, value) in changes { document[name] = value }
        return .object(document)
    }

    private func envelope(_ document: JSONValue, _ context: MappingContext) throws -> Envelope {
        try #require(try CanonicalDialect.map(document, context).envelopes.first)
    }

    @Test("an absent priority is the vault's default_priority", arguments: [0, 1, 999])
    func priority(_ value: Int) throws {
        let context = try Sample.context(JSONObject(["default_priority": .integer(Int64(value))]))
        #expect(try envelope(request(), context).priority == value)
        #expect(try envelope(request(["priority": .integer(7)]), context).priority == 7)
    }

    @Test("without a priority and without a setting there is no message")
    func noPriority() throws {
        let context = try Sample.context(JSONObject(["default_priority": .null]))
        let error = #expect(throws: PosternError.self) { try CanonicalDialect.map(request(), context) }
        #expect(error?.code == .settingUnset)
        #expect(error?.fix.contains("POSTERN_DEFAULT_DEFAULT_PRIORITY") == true)
        #expect(throws: Never.self) { try CanonicalDialect.map(request(["priority": .integer(7)]), context) }
    }

    @Test("an absent envelope is the From address")
    func sender() throws {
        let context = try Sample.context()
        #expect(try envelope(request(), context).sender.description == "sales@example.com")
        let own = request(["envelope": .string("bounces@example.org")])
        #expect(try envelope(own, context).sender.description == "bounces@example.org")
    }

    @Test("absent ips are the pool of the From domain, not of the envelope's")
    func ips() throws {
        let context = try Sample.context(pools: ["example.com": ["192.0.2.1"], "example.org": ["192.0.2.2"]])
        let document = request(["envelope": .string("bounces@example.org")])
        #expect(try envelope(document, context).ips == ["192.0.2.1"])
        let own = request(["ips": .array([.string("192.0.2.9")])])
        #expect(try envelope(own, context).ips == ["192.0.2.9"])
        let elsewhere = try Sample.context(pools: ["mail.example.com": ["192.0.2.1"]])
        #expect(try envelope(request(), elsewhere).ips == [])
    }

    @Test("an absent From name is the From address")
    func fromName() throws {
        let context = try Sample.context()
        #expect(try envelope(request(), context).content.from.name == "sales@example.com")
        let named = request(mime: [
            "from": .object(JSONObject(["address": .string("sales@example.com"), "name": .string("Sales")]))
        ])
        #expect(try envelope(named, context).content.from.name == "Sales")
    }

    @Test("an absent Reply-To is the From, name and address")
    func replyTo() throws {
        let named = request(mime: [
            "from": .object(JSONObject(["address": .string("sales@example.com"), "name": .string("Sales")]))
        ])
        let content = try envelope(named, Sample.context()).content
        #expect(content.replyTo == content.from)
    }

    @Test("without text and without HTML the request is refused")
    func noBody() throws {
        let context = try Sample.context()
        for mime in [["text": nil], ["text": nil, "content": .array([])]] as [KeyValuePairs<String, JSONValue?>] {
            let error = #expect(throws: PosternError.self) { try CanonicalDialect.map(request(mime: mime), context) }
            #expect(error?.code == .validationFailed)
        }
    }

    @Test("the same rules hold for the simple form and for finished messages")
    func otherDialects() throws {
        let context = try Sample.context(pools: ["example.com": ["192.0.2.1"]])
        let simple = try SimpleDialect.map(
            JSONParser.parse(#"{"from":"sales@example.com","to":"ann@example.net","text":"Hi"}"#), context)
        let raw = try MIMEDialect.map(
            RawSubmission(
                bytes: Array("From: sales@example.com\r\nTo: ann@example.net\r\n\r\nHi\r\n".utf8), sender: nil,
                recipients: [],
                trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false)), context)
        for mapped in [simple, raw] {
            let envelope = try #require(mapped.envelopes.first)
            #expect(envelope.priority == 5 && envelope.ips == ["192.0.2.1"])
            #expect(envelope.sender.description == "sales@example.com")
            #expect(envelope.content.from.name == "sales@example.com")
            #expect(envelope.content.replyTo == envelope.content.from)
        }
    }

    @Test("what was accepted under other rules than today's still reads back")
    func oddDefaults() throws {
        let tags = (0..<60).map { "tag \($0)" } + [String(repeating: "t", count: 500)]
        let settings: [String: any SettingValue] = [
            "default_priority": 5, "ip_pool_strategy": IPPoolStrategy.fromDomain, "default_tags": tags,
            "default_envelope_strategy": EnvelopeStrategy.from,
        ]
        let context = MappingContext(
            settings: SettingsSnapshot(vault: settings, instance: [:]),
            pools: IPPools([(domain: "example.com", name: "main", addresses: (0..<150).map { "192.0.2.\($0)" })]),
            limits: .init(), hostname: "mail.example.org", now: Sample.now, correlations: { Sample.correlation })
        let envelope = try envelope(request(), context)
        let stored = JSONWriter.write(try Sample.json(envelope))
        #expect(try Sample.json(CanonicalDialect.stored(stored)) == Sample.json(envelope))
    }

    @Test("a message over the limit is refused in every dialect")
    func size() throws {
        let context = try Sample.context(limits: MappingLimits(messageBytes: 4_000))
        let long = String(repeating: "0123456789", count: 500)
        let attempts: [() throws -> Void] = [
            { _ = try CanonicalDialect.map(request(mime: ["text": .string(long)]), context) },
            {
                let blocks = JSONValue.array([.object(JSONObject(["type": .string("html"), "content": .string(long)]))])
                _ = try CanonicalDialect.map(request(mime: ["content": blocks]), context)
            },
            {
                _ = try SimpleDialect.map(
                    .object(
                        JSONObject([
                            "from": .string("a@example.com"), "to": .string("b@example.net"), "text": .string(long),
                        ])),
                    context)
            },
            {
                let to = JSONValue.array([.string("b@example.net"), .string("c@example.net")])
                _ = try SimpleDialect.map(
                    .object(JSONObject(["from": .string("a@example.com"), "to": to, "html": .string(long)])), context)
            },
            {
                _ = try MIMEDialect.map(
                    RawSubmission(
                        bytes: Array("From: a@example.com\r\nTo: b@example.net\r\n\r\n".utf8)
                            + (0..<60).flatMap { _ in Array("\(long.prefix(70))\r\n".utf8) },
                        sender: nil, recipients: [],
                        trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false)), context)
            },
        ]
        for attempt in attempts {
            let error = #expect(throws: PosternError.self) { try attempt() }
            #expect(error?.code == .messageTooLarge)
        }
        // Non-ASCII grows when it is encoded: what counts is what would be sent.
        let umlauts = request(mime: ["text": .string(String(repeating: "ä", count: 1_500))])
        let grown = #expect(throws: PosternError.self) { try CanonicalDialect.map(umlauts, context) }
        #expect(grown?.code == .messageTooLarge)
        #expect(throws: Never.self) { try CanonicalDialect.map(request(mime: ["text": .string("short")]), context) }
    }
}
