// What has to hold between settings, looked at after a change.

import JSON
import Model
import Testing

@Suite("Setting rules")
struct SettingRulesTests {
    private static func values(_ json: JSONObject) throws -> [String: any SettingValue] {
        var values: [String: any SettingValue] = [:]
        for member in json.members {
            values[member.name] = try #require(Settings.declaration(member.name)).fromJSON(member.value)
        }
        return values
    }

    private static func pointers(
        _ vault: JSONObject,
        instance: JSONObject = JSONObject(),
        touching keys: Set<String>,
        pools: IPPools? = IPPools.none
    ) throws -> [String] {
        let settings = SettingsSnapshot(vault: try values(vault), instance: try values(instance))
        return SettingRules.problems(in: settings, touching: keys, pools: pools).map(\.pointer)
    }

    static let pairs = [
        ("burst_ceiling", "send_rate_limit"), ("key_burst_ceiling", "key_send_rate_limit"),
        ("agent_burst_ceiling", "agent_send_rate_limit"), ("domain_burst_ceiling", "domain_send_rate_limit"),
    ]

    @Test("a ceiling needs its limit, wherever either of them stands", arguments: pairs)
    func ceilings(_ ceiling: String, _ limit: String) throws {
        let (one, both) = (JSONObject([ceiling: .integer(5)]), JSONObject([ceiling: .integer(5), limit: .integer(5)]))
        let rate = JSONObject([limit: .integer(5)])
        #expect(try Self.pointers(one, touching: [ceiling]) == ["/\(ceiling)"])
        #expect(try Self.pointers(one, touching: [limit]) == ["/\(limit)"], "the limit was taken away")
        #expect(try Self.pointers(one, touching: [limit, ceiling]) == ["/\(ceiling)"])
        #expect(try Self.pointers(one, touching: ["route"]).isEmpty, "another change is not held up")
        #expect(try Self.pointers(both, touching: [limit, ceiling]).isEmpty)
        #expect(try Self.pointers(one, instance: rate, touching: [ceiling]).isEmpty)
        #expect(try Self.pointers(JSONObject(), instance: one, touching: [limit]) == ["/\(limit)"])
        #expect(try Self.pointers(rate, touching: [limit]).isEmpty)
        for (other, _) in Self.pairs where other != ceiling {
            #expect(try Self.pointers(one, touching: [other]).isEmpty)
        }
    }

    @Test("fixed and verp need an address", arguments: ["fixed", "verp"])
    func envelopeAddress(_ strategy: String) throws {
        let (key, address) = ("default_envelope_strategy", "envelope_address")
        let alone = JSONObject([key: .string(strategy)])
        let given = JSONObject([address: .string("b@example.com")])
        #expect(try Self.pointers(alone, touching: [key]) == ["/\(key)"])
        #expect(try Self.pointers(alone, touching: [address]) == ["/\(address)"])
        #expect(try Self.pointers(alone, touching: ["route"]).isEmpty)
        #expect(try Self.pointers(alone, instance: given, touching: [key]).isEmpty)
        #expect(try Self.pointers(given, instance: alone, touching: [address]).isEmpty)
        #expect(try Self.pointers(JSONObject([key: .string("from")]), touching: [key, address]).isEmpty)
        #expect(try Self.pointers(given, touching: [address]).isEmpty)
    }

    @Test("fixed:<pool> has to name a pool")
    func fixedPool() throws {
        let key = "ip_pool_strategy"
        let pools = IPPools([(domain: "a.example", name: "warm", addresses: ["192.0.2.1"])])
        for (text, isThere) in [("fixed:warm", true), ("fixed:Warm", false), ("from_domain", true), ("caller", true)] {
            let expected = isThere ? [] : ["/\(key)"]
            #expect(try Self.pointers(JSONObject([key: .string(text)]), touching: [key], pools: pools) == expected)
        }
        let absent = JSONObject([key: .string("fixed:none such")])
        #expect(try Self.pointers(absent, touching: ["route"], pools: pools).isEmpty)
        #expect(try Self.pointers(JSONObject(), instance: absent, touching: [key], pools: pools) == ["/\(key)"])
        #expect(try Self.pointers(absent, touching: [key], pools: nil).isEmpty, "an instance has no pools")
    }

    @Test("the instance's values are looked at as a whole")
    func instance() throws {
        let defaults = try Self.values(
            JSONObject([
                "burst_ceiling": .integer(3), "default_envelope_strategy": .string("verp"),
                "ip_pool_strategy": .string("fixed:any"),
            ]))
        #expect(
            SettingRules.problems(inInstance: defaults).map(\.pointer) == [
                "/burst_ceiling", "/default_envelope_strategy",
            ])
        #expect(SettingRules.problems(inInstance: [:]).isEmpty)
    }

    @Test("what mail needs and the instance does not have is listed; a smart host's only where it is the route")
    func missing() throws {
        let none = SettingRules.missing(fromInstance: [:]).map(\.key)
        #expect(none.contains("route") && none.contains("ip_pool_missing") && none.contains("allowed_sender_domains"))
        #expect(!none.contains("smarthost_host") && !none.contains("default_tags"))
        let some = try Self.values(JSONObject(["route": .string("smarthost"), "auth_mode": .string("both")]))
        let rest = SettingRules.missing(fromInstance: some).map(\.key)
        #expect(rest.contains("smarthost_host") && !rest.contains("route") && !rest.contains("auth_mode"))
        var all: [String: any SettingValue] = [:]
        for declaration in Settings.all where !declaration.isOptional { all[declaration.key] = 1 }
        #expect(SettingRules.missing(fromInstance: all).isEmpty)
    }
}
