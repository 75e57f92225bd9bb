// Envelope senders and sending addresses where a message names none: by the vault's strategies.

import JSON
import MIME
import Mapping
import Model
import Testing

@Suite("Envelope strategies")
struct EnvelopeRuleTests {
    private func envelopes(_ to: String, _ context: MappingContext) throws -> [Envelope] {
        let document = try JSONParser.parse(#"{"from":"sales@example.com","to":\#(to),"text":"t"}"#)
        return try SimpleDialect.map(document, context).envelopes
    }

    private func context(
        _ strategy: String?,
        _ address: String? = nil,
        _ more: JSONObject = JSONObject(),
        pools: [String: [String]] = [:]
    ) throws -> MappingContext {
        var changes = more
        changes["default_envelope_strategy"] = strategy.map(JSONValue.string) ?? .null
        if let address { changes["envelope_address"] = .string(address) }
        return try Sample.context(changes, pools: pools)
    }

    @Test("from: the envelope's sender is the From address")
    func from() throws {
        let envelopes = try envelopes(#"["ann@example.net","bob@example.net"]"#, context("from"))
        #expect(envelopes.map(\.sender.description) == ["sales@example.com", "sales@example.com"])
    }

    @Test("fixed: it is the vault's address")
    func fixed() throws {
        let envelopes = try envelopes(#""ann@example.net""#, context("fixed", "bounces@example.org"))
        #expect(envelopes[0].sender.description == "bounces@example.org")
        #expect(envelopes[0].content.from.address.description == "sales@example.com")
    }

    @Test(
        "verp: each recipient has a sender of its own",
        arguments: [
            ("ann@example.net", "bounces+ann=example.net@example.org"),
            ("ann+x@example.net", "bounces+ann+x=example.net@example.org"),
            ("ann@bücher.example", "bounces+ann=xn--bcher-kva.example@example.org"),
        ])
    func verp(recipient: String, sender: String) throws {
        let envelopes = try envelopes(#"["\#(recipient)","bob@example.net"]"#, context("verp", "bounces@example.org"))
        #expect(envelopes.map(\.sender.description) == [sender, "bounces+bob=example.net@example.org"])
    }

    @Test("verp: a recipient that does not fit stands as a digest, another one for each", arguments: [40, 60])
    func longRecipients(length: Int) throws {
        let names = ["a", "b"].map { String(repeating: $0, count: length) + "@long-name-of-a-company.example.net" }
        let envelopes = try envelopes(#"["\#(names[0])","\#(names[1])"]"#, context("verp", "bounces@example.org"))
        let senders = envelopes.map(\.sender)
        #expect(senders[0] != senders[1])
        for sender in senders {
            #expect(sender.localPart.utf8.count <= 64 && sender.localPart.hasPrefix("bounces+"))
            #expect(sender.domain == "example.org")
        }
        #expect(try self.envelopes(#""\#(names[0])""#, context("verp", "bounces@example.org"))[0].sender == senders[0])
    }

    @Test("verp: a quoted local part does not make the sender a quoted one")
    func quotedRecipient() throws {
        let envelopes = try envelopes(#""\"ann smith\"@example.net""#, context("verp", "bounces@example.org"))
        #expect(!envelopes[0].sender.description.contains("\""))
    }

    @Test("a sender that the caller names goes before the strategy")
    func ownSender() throws {
        let document = try JSONParser.parse(
            #"{"recipient":"ann@example.net","envelope":"own@example.com","mime":{"to":"ann@example.net","from":{"address":"a@example.com"},"text":"t"}}"#
        )
        let mapped = try CanonicalDialect.map(document, context("verp", "bounces@example.org"))
        #expect(mapped.envelopes[0].sender.description == "own@example.com")
    }

    @Test(
        "without a strategy, or without the address that it needs, there is no message",
        arguments: ["fixed", "verp", nil])
    func unset(strategy: String?) throws {
        let error = #expect(throws: PosternError.self) { try envelopes(#""ann@example.net""#, context(strategy)) }
        #expect(error?.code == .settingUnset)
        let key = strategy == nil ? "default_envelope_strategy" : "envelope_address"
        #expect(error?.detail.contains(key) == true)
    }

    @Test("a fixed pool is found by its name, a caller's by the caller")
    func namedPools() throws {
        let pools = ["main": ["192.0.2.1", "2001:db8::1"], "agents": ["192.0.2.2"]]
        let fixed = try context("from", nil, JSONObject(["ip_pool_strategy": .string("fixed:main")]), pools: pools)
        #expect(try envelopes(#""ann@example.net""#, fixed)[0].ips == ["192.0.2.1", "2001:db8::1"])
        let caller = try context("from", nil, JSONObject(["ip_pool_strategy": .string("caller")]), pools: pools)
        #expect(try envelopes(#""ann@example.net""#, caller)[0].ips == [])
    }

    @Test(
        "where there is no pool, the vault says whether that is an error",
        arguments: ["from_domain", "fixed:none", "caller"])
    func missingPool(strategy: String) throws {
        var changes = JSONObject(["ip_pool_strategy": .string(strategy), "ip_pool_missing": .string("refuse")])
        let error = #expect(throws: PosternError.self) {
            try envelopes(#""ann@example.net""#, context("from", nil, changes))
        }
        #expect(error?.code == .noIPPool)
        changes["ip_pool_missing"] = .string("default")
        #expect(try envelopes(#""ann@example.net""#, context("from", nil, changes))[0].ips == [])
        changes["ip_pool_missing"] = .null
        let unset = #expect(throws: PosternError.self) {
            try envelopes(#""ann@example.net""#, context("from", nil, changes))
        }
        #expect(unset?.code == .settingUnset)
    }
}
