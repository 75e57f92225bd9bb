// The instance's configuration: what holds without any, what is refused, and that one start names everything that is wrong.

import Model
import Testing

@testable import Environment

@Suite("Instance configuration")
struct InstanceConfigurationTests {
    private func read(_ layers: [String: String]...) throws(ConfigurationProblems) -> InstanceConfiguration {
        try InstanceConfiguration(layers: layers)
    }

    private func problems(_ layers: [String: String]..., extra: [String] = []) -> [String] {
        do throws(ConfigurationProblems) {
            _ = try InstanceConfiguration(layers: layers, extraProblems: extra)
            return []
        } catch {
            return error.problems
        }
    }

    @Test("without any key everything is on this machine, and nothing is open or sent")
    func defaults() throws {
        let configuration = try read([:])
        #expect(configuration.dataDirectory == "data")
        #expect(configuration.database.path == "data/postern.db")
        #expect(configuration.masterKeyFile == "data/master.key")
        #expect(configuration.masterKey == nil)
        #expect((configuration.http.host, configuration.http.port) == ("127.0.0.1", 8025))
        #expect((configuration.http.connections, configuration.http.idleTimeout) == (4096, 60))
        #expect(configuration.http.publicURL == nil)
        #expect(
            (configuration.smtp.host, configuration.smtp.port, configuration.smtp.tlsPort) == ("127.0.0.1", 2587, 2465))
        #expect((configuration.smtp.connections, configuration.smtp.connectionsPerAddress) == (2000, 200))
        #expect(configuration.smtp.idleTimeout == 300)
        #expect((configuration.delivery.retryInitial, configuration.delivery.retryMaximum) == (60, 3600))
        #expect(configuration.delivery.deadline == 5 * 86_400)
        #expect(configuration.delivery.clientTimeout == nil)
        #expect((configuration.maxMessageBytes, configuration.maxRecipients) == (35 << 20, 1000))
        #expect(configuration.minFreeDiskBytes == 256 << 20)
        #expect(configuration.logLevel == "info")
        #expect(
            !configuration.isGatewayEnabled && !configuration.isInboundSMTPEnabled && !configuration.isLiveSendEnabled)
        #expect(configuration.settingDefaults.isEmpty)
    }

    @Test("paths follow the data directory unless they are named")
    func dataDirectory() throws {
        let moved = try read(["POSTERN_DATA_DIR": "/srv/p"])
        #expect((moved.database.path, moved.masterKeyFile) == ("/srv/p/postern.db", "/srv/p/master.key"))
        let named = try read([
            "POSTERN_DATA_DIR": "/srv/p", "POSTERN_DATABASE_URL": "sqlite:/db/x.db", "POSTERN_MASTER_KEY_FILE": "/k",
        ])
        #expect((named.database.path, named.masterKeyFile) == ("/db/x.db", "/k"))
    }

    @Test(
        "a value that cannot be used is named with its key",
        arguments: [
            ("POSTERN_HTTP_PORT", "65536"), ("POSTERN_HTTP_PORT", "-1"), ("POSTERN_HTTP_PORT", "8025 "),
            ("POSTERN_HTTP_PORT", "0x1F"), ("POSTERN_HTTP_PORT", "99999999999999999999"), ("POSTERN_SMTP_PORT", "smtp"),
            ("POSTERN_SMTP_TLS_PORT", "1.5"), ("POSTERN_HTTP_CONNECTIONS", "0"), ("POSTERN_HTTP_IDLE_TIMEOUT", "0"),
            ("POSTERN_HTTP_IDLE_TIMEOUT", "3601"), ("POSTERN_SMTP_CONNECTIONS", "0"),
            ("POSTERN_SMTP_CONNECTIONS_PER_ADDRESS", "none"), ("POSTERN_SMTP_IDLE_TIMEOUT", "5m"),
            ("POSTERN_RETRY_INITIAL", "0"), ("POSTERN_RETRY_INITIAL", "nan"), ("POSTERN_RETRY_MAX", "inf"),
            ("POSTERN_RETRY_MAX", "86401"), ("POSTERN_DELIVERY_DEADLINE", "0.5"),
            ("POSTERN_DELIVERY_DEADLINE", "5 days"), ("POSTERN_SMTP_CLIENT_TIMEOUT", "0"),
            ("POSTERN_MAX_MESSAGE_BYTES", "65535"), ("POSTERN_MAX_MESSAGE_BYTES", "35MiB"),
            ("POSTERN_MAX_RECIPIENTS", "99"), ("POSTERN_MAX_RECIPIENTS", "1001"), ("POSTERN_MIN_FREE_DISK_BYTES", "-1"),
            ("POSTERN_EMAILGATEWAY_ENABLED", "enabled"), ("POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED", "2"),
            ("POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED", "maybe"), ("POSTERN_LOG_LEVEL", "loud"),
            ("POSTERN_DATABASE_URL", "mysql://db/postern"), ("POSTERN_DATABASE_URL", "sqlite:"),
            ("POSTERN_PUBLIC_URL", "postern.example.com"), ("POSTERN_PROCESS_LEASE", "4"),
            ("POSTERN_MAILERQ_MIME", "Canonical"), ("POSTERN_MAILERQ_OPERATIONS", "POST /v1/inject"),
            ("POSTERN_ALERT_WEBHOOK_URL", "hooks.example.com"), ("POSTERN_ALERT_FAILURE_BACKLOG", "-1"),
        ])
    func badValue(key: String, value: String) {
        let problems = problems([key: value])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix(key) == true, "\(problems)")
    }

    @Test("an endless value is not printed whole")
    func endlessValue() {
        let problems = problems(["POSTERN_HTTP_PORT": String(repeating: "9", count: 10_000)])
        #expect(problems.count == 1)
        #expect(problems.allSatisfy { $0.utf8.count < 200 })
    }

    @Test(
        "truth has several words",
        arguments: [("true", true), ("1", true), ("YES", true), ("on", true), ("Off", false)])
    func booleans(text: String, value: Bool) throws {
        #expect(try read(["POSTERN_EMAILGATEWAY_ENABLED": text]).isGatewayEnabled == value)
    }

    @Test("one start names everything that is wrong, also what the file's reader found")
    func several() {
        let problems = problems(
            [
                "POSTERN_HTTP_PORT": "x", "POSTERN_LOG_LEVEL": "loud", "POSTERN_COLOUR": "red",
                "POSTERN_DEFAULT_ROUTE": "pigeon",
            ],
            extra: ["postern.env: line 3 is not KEY=value"])
        for word in ["POSTERN_HTTP_PORT", "POSTERN_LOG_LEVEL", "POSTERN_COLOUR", "POSTERN_DEFAULT_ROUTE", "line 3"] {
            #expect(problems.count(where: { $0.contains(word) }) == 1, "\(word)")
        }
        #expect(problems.count == 5)
        let text = ConfigurationProblems(problems: problems).description
        #expect(text.hasPrefix("the configuration has 5 problems:\n  - "))
        #expect(text.split(separator: "\n").count == 6)
    }

    @Test("a key of ours that nobody declared is refused, in whichever layer it stands")
    func unknownKeys() {
        let problems = problems(
            ["POSTERN_HTTP_PROT": "1"], ["POSTERN_SMPT_PORT": "2", "POSTERN_DEFAULT_COLOUR": "red"])
        #expect(problems.count == 3)
        #expect(problems.contains { $0.hasPrefix("POSTERN_SMPT_PORT is not a key of Postern") })
    }

    @Test("other programs' keys, and those of our own client, are none of a server's business")
    func otherKeys() throws {
        _ = try read([
            "PATH": "/bin", "POSTERNER": "x", "postern_http_prot": "1", "POSTERN_URL": "http://x",
            "POSTERN_TOKEN": "ak_",
        ])
    }

    @Test("the stronger layer wins, and an empty value is no value")
    func layers() throws {
        let configuration = try read(
            ["POSTERN_HTTP_PORT": "1", "POSTERN_SMTP_PORT": ""], ["POSTERN_HTTP_PORT": "2", "POSTERN_SMTP_PORT": "3"])
        #expect((configuration.http.port, configuration.smtp.port) == (1, 3))
    }

    @Test("the product scope's names of the three flags count, and ours go before them within a layer")
    func aliases() throws {
        let scope = "AGENT_VAULT_CUSTOM_EMAILGATEWAY_"
        let all = try read([
            "\(scope)ENABLED": "true", "\(scope)INBOUND_SMTP_ENABLED": "true", "\(scope)LIVE_SEND_ENABLED": "true",
        ])
        #expect(all.isGatewayEnabled && all.isInboundSMTPEnabled && all.isLiveSendEnabled)
        let both = try read(["\(scope)ENABLED": "true", "POSTERN_EMAILGATEWAY_ENABLED": "false"])
        #expect(!both.isGatewayEnabled)
        let layered = try read(["\(scope)ENABLED": "true"], ["POSTERN_EMAILGATEWAY_ENABLED": "false"])
        #expect(layered.isGatewayEnabled)
        #expect(problems(["\(scope)ENABLED": "perhaps"]).count == 1)
    }

    @Test("POSTERN_DEFAULT_… gives settings their instance-level values, with their types")
    func settingDefaults() throws {
        let defaults = try read([
            "POSTERN_DEFAULT_DEFAULT_PRIORITY": "7", "POSTERN_DEFAULT_ROUTE": "smarthost",
            "POSTERN_DEFAULT_LIVE_SEND_ENABLED": "yes",
            "POSTERN_DEFAULT_ALLOWED_SENDER_DOMAINS": "Example.com, *.example.org,",
        ]).settingDefaults
        let snapshot = SettingsSnapshot(vault: [:], instance: defaults)
        #expect(snapshot.value(Settings.defaultPriority) == 7)
        #expect(snapshot.value(Settings.route) == .smarthost)
        #expect(snapshot.value(Settings.liveSendEnabled) == true)
        #expect(snapshot.value(Settings.allowedSenderDomains)?.map(\.description) == ["example.com", "*.example.org"])
        #expect(defaults.count == 4)
    }

    @Test(
        "every setting that is no secret has such a key, and a wrong value in it is named",
        arguments: Settings.all.map(\.key))
    func badSettingDefault(key: String) throws {
        let setting = try #require(Settings.declaration(key))
        // No setting takes a control character.
        let problems = problems([setting.environmentKey: "\u{1}"])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix(setting.environmentKey) == true)
    }

    @Test("a secret is not taken from the environment, and is not printed either")
    func secrets() {
        let problems = problems(["POSTERN_DEFAULT_SMARTHOST_PASSWORD": "correct horse"])
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("POSTERN_DEFAULT_SMARTHOST_PASSWORD cannot be set") == true)
        #expect(!problems.contains { $0.contains("correct horse") })
    }

    @Test("what belongs together is set together, and what excludes each other is not")
    func pairs() {
        #expect(problems(["POSTERN_TLS_CERT": "a.crt"]).count == 1)
        #expect(problems(["POSTERN_TLS_KEY": "a.key"]).count == 1)
        #expect(problems(["POSTERN_TLS_CERT": "a.crt", "POSTERN_TLS_KEY": "a.key"]) == [])
        #expect(problems(["POSTERN_MASTER_KEY": "x", "POSTERN_MASTER_KEY_FILE": "/k"]).count == 1)
        #expect(problems(["POSTERN_SMTP_PORT": "2465"]).count == 1)
        #expect(problems(["POSTERN_SMTP_PORT": "0", "POSTERN_SMTP_TLS_PORT": "0"]) == [])
    }

    @Test("links begin with the public address, without a slash at its end")
    func publicURL() throws {
        let configuration = try read(["POSTERN_PUBLIC_URL": "https://postern.example.com//"])
        #expect(configuration.http.publicURL == "https://postern.example.com")
    }

    @Test(
        "SMTP that others can reach needs a certificate",
        arguments: [
            ("127.0.0.1", true), ("127.9.9.9", true), ("localhost", true), ("::1", true), ("0.0.0.0", false),
            ("::", false), ("192.0.2.1", false), ("mail.example.com", false),
        ])
    func exposure(host: String, isAllowed: Bool) throws {
        let open = ["POSTERN_EMAILGATEWAY_ENABLED": "1", "POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED": "1"]
        let host = ["POSTERN_SMTP_HOST": host]
        let bare = try read(open.merging(host) { $1 })
        let isTaken = (try? bare.checkExposure()) != nil
        #expect(isTaken == isAllowed)
        let certificate = ["POSTERN_TLS_CERT": "a.crt", "POSTERN_TLS_KEY": "a.key"]
        #expect(throws: Never.self) { try read(open, host, certificate).checkExposure() }
        // Nothing listens: nothing is exposed.
        #expect(throws: Never.self) { try read(host).checkExposure() }
    }

    @Test("every declared key is there once, and says what it is for")
    func declarations() {
        let keys = ConfigurationKey.all
        #expect(Set(keys.map(\.name)).count == keys.count)
        #expect(keys.allSatisfy { $0.name.hasPrefix("POSTERN_") && !$0.summary.isEmpty && !$0.type.isEmpty })
        #expect(!keys.contains { $0.name.hasPrefix("POSTERN_DEFAULT_") })
        #expect(Set(ConfigurationKey.aliases.values).isSubset(of: Set(keys.map(\.name))))
    }
}

extension InstanceConfiguration.Database {
    fileprivate var path: String? {
        guard case .sqlite(let path) = self else { return nil }
        return path
    }
}
