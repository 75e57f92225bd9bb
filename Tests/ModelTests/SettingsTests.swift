// Every setting: which values it takes from the API and from the environment, and where a value comes from.

import JSON
import Model
import Testing

@Suite("Settings")
struct SettingsTests {
    static let accepted: [(key: String, json: String, environment: String)] = [
        ("default_priority", "0", "0"), ("default_priority", "1000", "1000"), ("default_priority", "7", "7"),
        ("default_tags", #"["a","b c"]"#, "a, b c"), ("default_tags", "[]", ""),
        ("default_campaign_id", #""spring""#, "spring"),
        ("allowed_sender_domains", #"["acme.com","*.acme.com"]"#, "acme.com,*.acme.com"),
        ("allowed_sender_domains", #"["xn--bcher-kva.example"]"#, " Bücher.example ,"),
        ("ip_pool_strategy", #""from_domain""#, "from_domain"), ("ip_pool_strategy", #""none""#, "none"),
        ("ip_pool_strategy", #""caller""#, "caller"), ("ip_pool_strategy", #""fixed:warm up""#, "fixed:warm up"),
        ("ip_pool_strategy", #""fixed:fixed:a""#, "fixed:fixed:a"), ("ip_pool_missing", #""refuse""#, "refuse"),
        ("ip_pool_missing", #""default""#, "default"), ("default_envelope_strategy", #""from""#, "from"),
        ("default_envelope_strategy", #""fixed""#, "fixed"), ("default_envelope_strategy", #""verp""#, "verp"),
        ("envelope_address", #""bounces@Example.com""#, "bounces@Example.com"),
        ("envelope_address", #""\"a b\"@example.com""#, #""a b"@example.com"#),
        ("auth_mode", #"{"default":"api_key","/v1/send":"both"}"#, " api_key , /v1/send=both "),
        (
            "auth_mode", #"{"default":"both","/ses":"smtp","/v1/send/odoo":"api_key"}"#,
            "/v1/send/odoo=api_key,both,/ses=smtp"
        ),
        ("send_rate_limit", "1", "1"), ("send_rate_limit", "1000000000", "1000000000"),
        ("burst_ceiling", "1", "1"), ("key_send_rate_limit", "7", "7"), ("key_burst_ceiling", "7", "7"),
        ("agent_send_rate_limit", "7", "7"), ("agent_burst_ceiling", "7", "7"),
        ("domain_send_rate_limit", "7", "7"), ("domain_burst_ceiling", "7", "7"),
        ("repeat_limit", "1000000", "1000000"),
        ("auto_reply_limit", "1", "1"), ("approve_over_rate_threshold", "100", "100"),
        ("agent_send_requires_approval", "true", "yes"), ("agent_send_requires_approval", "false", "0"),
        ("outbound_guard", #""off""#, "off"), ("retention_days", "1", "1"), ("retention_days", "3650", "3650"),
        ("auth_mode", #""api_key""#, "api_key"), ("auth_mode", #""smtp""#, "smtp"), ("auth_mode", #""both""#, "both"),
        ("inbound_smtp_enabled", "true", "true"), ("inbound_smtp_enabled", "false", "OFF"),
        ("live_send_enabled", "true", "1"), ("live_send_enabled", "false", "no"), ("live_send_enabled", "true", "Yes"),
        ("route", #""shadow""#, "shadow"), ("route", #""smarthost""#, "smarthost"),
        ("smarthost_host", #""mx.example.com""#, "mx.example.com"), ("smarthost_port", "1", "1"),
        ("smarthost_port", "65535", "65535"), ("smarthost_tls", #""required""#, "required"),
        ("smarthost_tls", #""implicit""#, "implicit"), ("smarthost_tls", #""opportunistic""#, "opportunistic"),
        ("smarthost_tls", #""none""#, "none"), ("smarthost_username", #""u""#, "u"),
        ("smarthost_password", #""p""#, "p"),
    ]

    @Test("a value means the same from the API and from the environment", arguments: accepted)
    func acceptedValues(_ key: String, _ json: String, _ environment: String) throws {
        let declaration = try #require(Settings.declaration(key))
        let expected = try JSONParser.parse(json)
        #expect(try declaration.fromJSON(expected).json == expected)
        #expect(try declaration.fromEnvironment(environment).json == expected)
    }

    static let refusedJSON: [(key: String, json: String)] = [
        ("default_priority", "-1"), ("default_priority", "1001"), ("default_priority", "1.5"),
        ("default_priority", #""5""#), ("default_priority", "true"), ("default_priority", "[]"),
        ("default_tags", #""a""#), ("default_tags", "[1]"), ("default_tags", #"["a\nb"]"#), ("default_tags", #"[""]"#),
        ("default_tags", #"["a\u0085b"]"#), ("default_campaign_id", #""a\u0085b""#), ("default_campaign_id", "1"),
        ("default_campaign_id", #""a\r\nb""#), ("default_campaign_id", #""a\u0000""#),
        ("allowed_sender_domains", #""acme.com""#), ("allowed_sender_domains", #"["acme.com","*"]"#),
        ("allowed_sender_domains", #"[""]"#), ("allowed_sender_domains", "[null]"),
        ("allowed_sender_domains", #"{"0":"acme.com"}"#), ("ip_pool_strategy", #""random""#),
        ("ip_pool_strategy", #""From_Domain""#), ("auth_mode", #""""#), ("auth_mode", "true"),
        ("auth_mode", "{}"), ("auth_mode", #"{"/v1/send":"both"}"#), ("auth_mode", #"{"default":"none"}"#),
        ("auth_mode", #"{"default":"both","/v1/sendx":"smtp"}"#), ("auth_mode", #"{"default":"both","/v1":"smtp"}"#),
        ("auth_mode", #"{"default":"both","/v1/keys":"smtp"}"#),
        ("auth_mode", #"{"default":"both","/v1/send/":"smtp"}"#),
        ("auth_mode", #"{"default":"both","/v1//send":"smtp"}"#),
        ("auth_mode", #"{"default":"both","v1/send":"smtp"}"#),
        ("auth_mode", #"{"default":"both","/v1/send/%6d":"smtp"}"#), ("auth_mode", #"{"default":"both","/":"smtp"}"#),
        ("auth_mode", #"{"default":"both","/ses":true}"#), ("auth_mode", #"{"default":"both","/ses":null}"#),
        ("auth_mode", #""api_key,/v1/nowhere=both""#), ("auth_mode", #"["both"]"#),
        ("ip_pool_strategy", #""fixed""#), ("ip_pool_strategy", #""fixed:""#), ("ip_pool_strategy", #""fixed: a""#),
        ("ip_pool_strategy", #""fixed:a ""#), ("ip_pool_strategy", #""fixed:a\u0000b""#), ("ip_pool_strategy", "{}"),
        ("ip_pool_missing", #""ignore""#), ("default_envelope_strategy", #""VERP""#),
        ("envelope_address", #""Bounces <b@example.com>""#), ("envelope_address", #""b@example.com,c@example.com""#),
        ("envelope_address", #""b@example.com\r\nX: y""#), ("envelope_address", #""example.com""#),
        ("envelope_address", "1"), ("send_rate_limit", "0"), ("send_rate_limit", "-1"),
        ("send_rate_limit", "1000000001"), ("send_rate_limit", "1.0e3"), ("burst_ceiling", "0"),
        ("burst_ceiling", "9223372036854775808"), ("key_send_rate_limit", "0"), ("key_burst_ceiling", "0"),
        ("agent_send_rate_limit", "0"), ("agent_burst_ceiling", "0"), ("domain_send_rate_limit", "0"),
        ("domain_burst_ceiling", "0"), ("repeat_limit", "0"), ("repeat_limit", "1000001"), ("auto_reply_limit", "0"),
        ("approve_over_rate_threshold", "0"), ("agent_send_requires_approval", "1"), ("outbound_guard", #""on""#),
        ("outbound_guard", "false"), ("retention_days", "0"), ("retention_days", "3651"),
        ("inbound_smtp_enabled", #""true""#), ("inbound_smtp_enabled", "1"), ("live_send_enabled", "0"),
        ("route", #""mailerQ""#), ("route", "null"), ("smarthost_host", #""""#), ("smarthost_host", #""a\nb""#),
        ("smarthost_port", "0"), ("smarthost_port", "65536"), ("smarthost_port", #""25""#),
        ("smarthost_tls", #""yes""#), ("smarthost_username", "{}"), ("smarthost_password", "1"),
    ]

    @Test("a value of the wrong kind or outside of its bounds is refused", arguments: refusedJSON)
    func refusedValues(_ key: String, _ json: String) throws {
        let declaration = try #require(Settings.declaration(key))
        let value = try JSONParser.parse(json)
        let problem = #expect(throws: SettingProblem.self) { try declaration.fromJSON(value) }
        #expect(problem?.message.isEmpty == false)
    }

    @Test(
        "the environment is as strict",
        arguments: [
            ("default_priority", ""), ("default_priority", "5 "), ("default_priority", "0x5"),
            ("default_priority", "1001"),
            ("live_send_enabled", ""), ("live_send_enabled", "maybe"), ("live_send_enabled", "2"), ("route", ""),
            ("route", "SHADOW"), ("smarthost_port", "-25"), ("smarthost_port", "99999999999999999999"),
            ("auth_mode", ""), ("auth_mode", "/v1/send=both"), ("auth_mode", "both,api_key"),
            ("auth_mode", "both,both"),
            ("auth_mode", "both,/ses=smtp,/ses=smtp"), ("auth_mode", "both,/v1/send"), ("auth_mode", "both,=smtp"),
            ("auth_mode", "both,/ses="),
            ("auth_mode", "both," + Array(repeating: "/ses/x=smtp", count: 51).joined(separator: ",")),
            ("ip_pool_strategy", "fixed:"), ("ip_pool_strategy", "fixed:" + String(repeating: "p", count: 101)),
            ("envelope_address", ""), ("envelope_address", "a@b@c"), ("retention_days", "1 day"),
            ("allowed_sender_domains", "acme.com;example.com"), ("smarthost_host", ""),
            ("default_campaign_id", String(repeating: "x", count: 1025)),
        ])
    func refusedEnvironment(_ key: String, _ text: String) throws {
        let declaration = try #require(Settings.declaration(key))
        #expect(throws: SettingProblem.self) { try declaration.fromEnvironment(text) }
    }

    @Test("default tags keep to the rules of tags")
    func tagLimits() throws {
        let declaration = try #require(Settings.declaration("default_tags"))
        func tags(_ count: Int, _ length: Int) -> JSONValue {
            .array((0..<count).map { _ in .string(String(repeating: "t", count: length)) })
        }
        #expect(throws: Never.self) { try declaration.fromJSON(tags(50, 128)) }
        #expect(throws: SettingProblem.self) { try declaration.fromJSON(tags(51, 1)) }
        #expect(throws: SettingProblem.self) { try declaration.fromJSON(tags(1, 129)) }
    }

    @Test("the settings of the product scope that this release has are all declared, each once and explained")
    func declarations() {
        let keys = Settings.all.map(\.key)
        #expect(Set(keys).count == keys.count)
        for key in [
            "default_priority", "default_tags", "default_campaign_id", "allowed_sender_domains", "ip_pool_strategy",
            "live_send_enabled", "inbound_smtp_enabled", "auth_mode", "route", "default_envelope_strategy",
            "send_rate_limit", "burst_ceiling", "approve_over_rate_threshold", "agent_send_requires_approval",
            "outbound_guard", "retention_days",
        ] { #expect(keys.contains(key)) }
        for declaration in Settings.all {
            #expect(!declaration.summary.isEmpty && !declaration.typeName.isEmpty)
            #expect(declaration.environmentKey == "POSTERN_DEFAULT_" + declaration.key.uppercased())
        }
        #expect(Settings.all.filter(\.isSecret).map(\.key) == ["smarthost_password"])
        #expect(Settings.declaration("no_such_setting") == nil)
    }

    @Test("the vault's value wins over the instance's, and each says where it is from")
    func sources() throws {
        let snapshot = SettingsSnapshot(
            vault: ["default_priority": 3], instance: ["default_priority": 9, "route": RouteName.shadow])
        #expect(try snapshot.require(Settings.defaultPriority) == 3)
        #expect(try snapshot.require(Settings.route) == .shadow)
        #expect(snapshot.source("default_priority") == .vault)
        #expect(snapshot.source("route") == .instance)
        #expect(snapshot.source("auth_mode") == .unset)
        #expect(snapshot.value(Settings.authMode) == nil)
        #expect(snapshot.erased("route")?.json == .string("shadow"))
        #expect(snapshot.erased("auth_mode")?.json == nil)
    }

    @Test("a value of the vault that cannot be read is none, and not the instance's either")
    func unreadable() {
        let snapshot = SettingsSnapshot(
            vault: [:], instance: ["send_rate_limit": 100, "route": RouteName.shadow],
            unreadable: ["send_rate_limit": .string("ten"), "route": .null])
        #expect(snapshot.value(Settings.sendRateLimit) == nil && snapshot.erased("send_rate_limit")?.json == nil)
        #expect(snapshot.source("send_rate_limit") == .vault)
        #expect(snapshot.unreadableValue("send_rate_limit") == .string("ten"))
        #expect(snapshot.unreadableValue("default_priority") == nil)
        let missing = #expect(throws: PosternError.self) { try snapshot.require(Settings.route) }
        #expect(missing?.code == .settingUnset && missing?.detail.contains("route") == true)
        #expect(missing?.detail.contains("cannot read") == true)
        let error = #expect(throws: PosternError.self) { try snapshot.checkReadable() }
        #expect(error?.code == .settingUnset && error?.fix.contains("{\"route\": …}") == true, "one after the other")
        #expect(throws: Never.self) { try SettingsSnapshot(vault: [:], instance: [:]).checkReadable() }
    }

    @Test("a value that nobody set is an error that names both places, for every setting")
    func unset() {
        let snapshot = SettingsSnapshot(vault: [:], instance: [:])
        let error = #expect(throws: PosternError.self) { try snapshot.require(Settings.defaultPriority) }
        #expect(error?.code == .settingUnset)
        #expect(error?.detail.contains("default_priority") == true)
        #expect(error?.fix.contains("PATCH /v1/settings") == true)
        #expect(error?.fix.contains("POSTERN_DEFAULT_DEFAULT_PRIORITY") == true)
        #expect(Settings.all.allSatisfy { snapshot.source($0.key) == .unset })
    }

    @Test("scopes survive their stored form; unknown names give nothing")
    func scopes() {
        for rawValue in 0..<32 {
            let scopes = Scopes(rawValue: rawValue)
            #expect(Scopes(stored: scopes.stored) == scopes)
        }
        #expect(Scopes.all.namesInOrder == ["send", "mailerq", "amqp", "read", "admin"])
        #expect(Scopes(name: "root") == nil && Scopes(name: "Send") == nil && Scopes(name: "") == nil)
        #expect(Scopes(stored: "root,,send ,read") == .read)
    }
}
