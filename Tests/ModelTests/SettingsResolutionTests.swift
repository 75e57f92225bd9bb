// Properties that hold of every setting there is, with values made at random: where a value comes from, and that no way of
// writing it down changes it.

import JSON
import Model
import Testing

/// A source of random values that can be made again from its seed.
private struct Dice: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &self)]
    }
}

/// A value that the setting takes, as JSON and as it is written in the environment.
private func sample(_ declaration: SettingDeclaration, _ dice: inout Dice) -> (json: JSONValue, environment: String) {
    func text(_ value: String) -> (JSONValue, String) { (.string(value), value) }
    func integer(_ range: ClosedRange<Int>) -> (JSONValue, String) {
        let value = Int.random(in: range, using: &dice)
        return (.integer(Int64(value)), String(value))
    }
    func list(_ elements: [String]) -> (JSONValue, String) {
        (.array(elements.map { .string($0) }), elements.joined(separator: ","))
    }
    let word = "w\(Int.random(in: 0...99_999, using: &dice))"
    switch declaration.key {
    case "default_priority": return integer(0...1000)
    case "smarthost_port": return integer(1...65535)
    case "retention_days": return integer(1...3650)
    case "repeat_limit", "auto_reply_limit": return integer(1...1_000_000)
    case "send_rate_limit", "burst_ceiling", "key_send_rate_limit", "key_burst_ceiling", "agent_send_rate_limit",
        "agent_burst_ceiling", "domain_send_rate_limit", "domain_burst_ceiling", "approve_over_rate_threshold":
        return integer(1...1_000_000_000)
    case "inbound_smtp_enabled", "live_send_enabled", "agent_send_requires_approval":
        let value = Bool.random(using: &dice)
        return (.bool(value), dice.pick(value ? ["true", "1", "yes", "ON"] : ["false", "0", "No", "off"]))
    case "default_tags": return list((0...Int.random(in: 0...9, using: &dice)).map { "\(word)-\($0)" })
    case "allowed_sender_domains": return list(["\(word).example", "*.\(word).example"])
    case "default_campaign_id", "smarthost_host", "smarthost_username", "smarthost_password": return text(word)
    case "envelope_address": return text("\(word)@example.com")
    case "default_envelope_strategy": return text(dice.pick(["from", "fixed", "verp"]))
    case "ip_pool_strategy": return text(dice.pick(["from_domain", "fixed:\(word)", "caller", "none"]))
    case "ip_pool_missing": return text(dice.pick(["refuse", "default"]))
    case "smarthost_tls": return text(dice.pick(["required", "implicit", "opportunistic", "none"]))
    case "outbound_guard": return text("off")
    case "route": return text(dice.pick(RouteName.allCases.map(\.rawValue)))
    case "auth_mode":
        let modes = ["api_key", "smtp", "both"]
        let (standard, other) = (dice.pick(modes), dice.pick(modes))
        guard Bool.random(using: &dice) else { return text(standard) }
        let path = dice.pick(AuthModes.paths) + dice.pick(["", "/\(word)"])
        let object = JSONObject(["default": .string(standard), path: .string(other)])
        return (.object(object), "\(standard),\(path)=\(other)")
    default:
        Issue.record("the test knows no value of \(declaration.key)")
        return text("")
    }
}

@Suite("Settings resolution")
struct SettingsResolutionTests {
    static let keys = Settings.all.map(\.key)

    @Test(
        "a value is the same from JSON, from the environment, and after it was written and read again", arguments: keys)
    func roundTrips(_ key: String) throws {
        let declaration = try #require(Settings.declaration(key))
        var strays: [String] = []
        for seed in 0..<100 as Range<UInt64> {
            var dice = Dice(seed: seed)
            let (json, environment) = sample(declaration, &dice)
            let value = try declaration.fromJSON(json)
            let written = try JSONParser.parse(JSONWriter.write(value.json))
            let others = [
                value.json, try declaration.fromEnvironment(environment).json, try declaration.fromJSON(written).json,
            ]
            if others.contains(where: { $0 != json }) { strays.append(environment) }
        }
        #expect(strays.isEmpty)
    }

    @Test(
        "of every setting: the vault's value, else the instance's, else setting_unset",
        arguments: 0..<100 as Range<UInt64>)
    func resolution(_ seed: UInt64) throws {
        var dice = Dice(seed: seed)
        var vault: [String: any SettingValue] = [:]
        var instance: [String: any SettingValue] = [:]
        for declaration in Settings.all {
            if Bool.random(using: &dice) {
                vault[declaration.key] = try declaration.fromJSON(sample(declaration, &dice).json)
            }
            if Bool.random(using: &dice) {
                instance[declaration.key] = try declaration.fromEnvironment(sample(declaration, &dice).environment)
            }
        }
        let snapshot = SettingsSnapshot(vault: vault, instance: instance)
        var strays: [String] = []
        for declaration in Settings.all {
            let (own, shared) = (vault[declaration.key]?.json, instance[declaration.key]?.json)
            let source: SettingsSnapshot.Source = own != nil ? .vault : shared != nil ? .instance : .unset
            let isRight =
                snapshot.erased(declaration.key)?.json == own ?? shared
                && snapshot.vaultValue(declaration.key)?.json == own
                && snapshot.instanceValue(declaration.key)?.json == shared && snapshot.source(declaration.key) == source
            if !isRight { strays.append(declaration.key) }
        }
        #expect(strays.isEmpty)
        try required(Settings.defaultPriority, snapshot)
        try required(Settings.defaultEnvelopeStrategy, snapshot)
        try required(Settings.allowedSenderDomains, snapshot)
        try required(Settings.ipPoolStrategy, snapshot)
        try required(Settings.ipPoolMissing, snapshot)
        try required(Settings.authMode, snapshot)
        try required(Settings.inboundSMTPEnabled, snapshot)
        try required(Settings.liveSendEnabled, snapshot)
        try required(Settings.route, snapshot)
        try required(Settings.agentSendRequiresApproval, snapshot)
        try required(Settings.smarthostHost, snapshot)
        try required(Settings.smarthostPort, snapshot)
        try required(Settings.smarthostTLS, snapshot)
    }

    private func required<Value>(_ setting: Setting<Value>, _ snapshot: SettingsSnapshot) throws {
        let expected = snapshot.erased(setting.key)?.json
        #expect(snapshot.value(setting)?.json == expected)
        guard expected == nil else {
            #expect(try snapshot.require(setting).json == expected)
            return
        }
        let error = #expect(throws: PosternError.self) { try snapshot.require(setting) }
        #expect(error?.code == .settingUnset && error?.detail.contains(setting.key) == true)
        #expect(error?.fix.contains("POSTERN_DEFAULT_\(setting.key.uppercased())") == true)
    }

    @Test("every required setting is one that the resolution test asks for")
    func requiredSettings() {
        #expect(
            Settings.all.filter { !$0.isOptional }.map(\.key).sorted() == [
                "agent_send_requires_approval", "allowed_sender_domains", "auth_mode", "default_envelope_strategy",
                "default_priority", "inbound_smtp_enabled", "ip_pool_missing", "ip_pool_strategy", "live_send_enabled",
                "route", "smarthost_host", "smarthost_port", "smarthost_tls",
            ])
    }

    @Test("every setting is explained in words that fit into a table of Markdown")
    func texts() {
        for declaration in Settings.all {
            for text in [declaration.summary, declaration.typeName] {
                #expect(!text.isEmpty && !text.contains("\n") && !text.contains("|"))
                #expect(text.count(where: { $0 == "`" }).isMultiple(of: 2))
            }
            #expect(declaration.summary.last == ".")
        }
    }
}
