// Which buckets a submission takes from.

import MIME
import Model
import Testing

@testable import Rates

@Suite("Rate rules")
struct RateRulesTests {
    private let key = KeyID(stored: "key_0000000000000001")
    private let parent = KeyID(stored: "key_0000000000000002")

    private func settings(_ values: KeyValuePairs<Setting<Int>, Int>) -> SettingsSnapshot {
        SettingsSnapshot(
            vault: Dictionary(uniqueKeysWithValues: values.map { ($0.key.key, $0.value as any SettingValue) }),
            instance: [:])
    }

    private func caller(agent: KeyID? = nil, limits: [KeyRateLimit] = []) -> Caller {
        var caller = Caller(
            vault: VaultID(stored: "vlt_0000000000000001"), identity: .key(key), label: "tests", scopes: .all)
        caller.agent = agent
        caller.limits = limits
        return caller
    }

    private func addresses(_ texts: String...) throws -> [EmailAddress] {
        try texts.map { try EmailAddress(parsing: $0) }
    }

    @Test("nothing is charged where no limit is set, not even with ceilings")
    func none() throws {
        let ceilings = settings([
            Settings.burstCeiling: 1, Settings.keyBurstCeiling: 1, Settings.agentBurstCeiling: 1,
            Settings.domainBurstCeiling: 1,
        ])
        let to = try addresses("a@example.org")
        #expect(RateRules.charges(caller: caller(agent: key), settings: ceilings, recipients: to).isEmpty)
        #expect(RateRules.charges(caller: caller(), settings: settings([:]), recipients: to).isEmpty)
    }

    @Test("every limit that is set is charged a token a recipient, a domain's a token for each of its own")
    func all() throws {
        let settings = settings([
            Settings.sendRateLimit: 100, Settings.burstCeiling: 20, Settings.keySendRateLimit: 50,
            Settings.agentSendRateLimit: 40, Settings.agentBurstCeiling: 80, Settings.domainSendRateLimit: 30,
            Settings.approveOverRateThreshold: 25,
        ])
        let caller = caller(agent: parent, limits: [KeyRateLimit(key: parent, limit: RateLimit(7))])
        let to = try addresses("a@Example.ORG", "b@example.org", "c@bücher.example", "d@[192.0.2.1]")
        let charges = RateRules.charges(caller: caller, settings: settings, recipients: to)
        let found = Dictionary(
            uniqueKeysWithValues: charges.map { ($0.bucket.text, ($0.tokens, $0.bucket.limit)) })
        func expect(_ text: String, _ tokens: Int, _ limit: RateLimit) {
            #expect(found[text]?.0 == tokens && found[text]?.1 == limit, "\(text)")
        }
        expect("vault", 4, RateLimit(100, burst: 20))
        expect("key:\(key)", 4, RateLimit(50))
        expect("own:\(parent)", 4, RateLimit(7))
        expect("agent:\(parent)", 4, RateLimit(40, burst: 80))
        expect("approval:\(key)", 4, RateLimit(25))
        expect("domain:example.org", 2, RateLimit(30))
        expect("domain:xn--bcher-kva.example", 1, RateLimit(30))
        expect("domain:[192.0.2.1]", 1, RateLimit(30))
        #expect(found.count == 8)
    }

    @Test("the agents' limit is no tool's, and no recipients cost nothing")
    func tool() {
        let settings = settings([Settings.agentSendRateLimit: 1, Settings.sendRateLimit: 1])
        #expect(RateRules.buckets(of: caller(), settings: settings).map(\.text) == ["vault"])
        #expect(RateRules.charges(caller: caller(), settings: settings, recipients: []).isEmpty)
    }

    @Test("a key and its child share the limit that the key was given")
    func shared() {
        let limits = [KeyRateLimit(key: parent, limit: RateLimit(7)), KeyRateLimit(key: key, limit: RateLimit(3))]
        #expect(
            RateRules.buckets(of: caller(limits: limits), settings: settings([:])).map(\.text)
                == ["own:\(parent)", "own:\(key)"])
    }
}
