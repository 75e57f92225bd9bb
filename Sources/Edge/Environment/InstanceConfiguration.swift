// The instance's configuration, read and checked as a whole before anything is opened or made.

package import Model
package import Sealing

package struct InstanceConfiguration: Sendable {
    package enum Database: Sendable {
        case sqlite(path: String)
        /// May hold a password.
        case postgreSQL(url: Secret<String>)
    }

    package struct HTTP: Sendable {
        package var host: String
        package var port: Int
        package var publicURL: String?
        package var connections: Int
        package var idleTimeout: Int
    }

    package struct SMTP: Sendable {
        package var host: String
        package var port: Int
        package var tlsPort: Int
        package var connections: Int
        package var connectionsPerAddress: Int
        package var idleTimeout: Int
    }

    package struct Delivery: Sendable {
        package var retryInitial: Double
        package var retryMaximum: Double
        package var deadline: Double
        package var clientTimeout: Double?
        package var trustRootsFile: String?
    }

    package var dataDirectory: String
    package var database: Database
    package var masterKey: Secret<String>?
    package var masterKeyFile: String
    package var hostname: String?
    package var http: HTTP
    package var smtp: SMTP
    package var delivery: Delivery
    package var broker: BrokerConfiguration?
    package var mailerQ: MailerQConfiguration
    package var alerts: AlertConfiguration
    package var people: People
    /// `nil`: no single sign-on.
    package var openID: OpenIDConfiguration?
    /// Seconds that a process counts as alive without a sign.
    package var processLease: Double
    package var tlsCertificate: String?
    package var tlsKey: String?
    package var isGatewayEnabled: Bool
    package var isInboundSMTPEnabled: Bool
    package var isLiveSendEnabled: Bool
    package var maxMessageBytes: Int
    package var maxRecipients: Int
    package var minFreeDiskBytes: Int
    package var logLevel: String
    /// Values of vault settings that hold where a vault has none, by key.
    package var settingDefaults: [String: any SettingValue]

    /// - Parameter layers: values by key, the strongest first: the environment, the file, what is shipped.
    /// - Throws: `ConfigurationProblems` with everything that is wrong.
    package init(layers: [[String: String]], extraProblems: [String] = []) throws(ConfigurationProblems) {
        var source = ConfigurationSource(layers: layers)
        for problem in extraProblems { source.problem(problem) }
        source.refuseUnknownKeys()
        let data = source.text(.dataDirectory) ?? "data"
        dataDirectory = data
        database = Self.database(&source, data)
        masterKey = source.text(.masterKey).map(Secret.init)
        masterKeyFile = source.text(.masterKeyFile) ?? "\(data)/master.key"
        if masterKey != nil, source.text(.masterKeyFile) != nil {
            source.problem("POSTERN_MASTER_KEY and POSTERN_MASTER_KEY_FILE are both set; keep one of them")
        }
        hostname = source.text(.hostname)
        http = HTTP(
            host: source.text(.httpHost) ?? "127.0.0.1", port: source.integer(.httpPort, in: 0...65535, default: 8025),
            publicURL: source.webURL(.publicURL),
            connections: source.integer(.httpConnections, in: 1...1_000_000, default: 4096),
            idleTimeout: source.integer(.httpIdleTimeout, in: 1...3600, default: 60))
        smtp = SMTP(
            host: source.text(.smtpHost) ?? "127.0.0.1", port: source.integer(.smtpPort, in: 0...65535, default: 2587),
            tlsPort: source.integer(.smtpTLSPort, in: 0...65535, default: 2465),
            connections: source.integer(.smtpConnections, in: 1...1_000_000, default: 2000),
            connectionsPerAddress: source.integer(.smtpConnectionsPerAddress, in: 1...1_000_000, default: 200),
            idleTimeout: source.integer(.smtpIdleTimeout, in: 1...3600, default: 300))
        delivery = Delivery(
            retryInitial: source.seconds(.retryInitial, in: 0.05...86_400) ?? 60,
            retryMaximum: source.seconds(.retryMaximum, in: 0.05...86_400) ?? 3600,
            deadline: source.seconds(.deliveryDeadline, in: 1...2_592_000) ?? 432_000,
            clientTimeout: source.seconds(.smtpClientTimeout, in: 0.1...3600),
            trustRootsFile: source.text(.tlsCAFile))
        broker = BrokerConfiguration(&source)
        mailerQ = MailerQConfiguration(&source)
        alerts = AlertConfiguration(&source)
        people = People(&source)
        openID = OpenIDConfiguration(&source)
        processLease = source.seconds(.processLease, in: 5...3600) ?? 60
        tlsCertificate = source.text(.tlsCertificate)
        tlsKey = source.text(.tlsKey)
        isGatewayEnabled = source.boolean(.gatewayEnabled, default: false)
        isInboundSMTPEnabled = source.boolean(.inboundSMTPEnabled, default: false)
        isLiveSendEnabled = source.boolean(.liveSendEnabled, default: false)
        maxMessageBytes = source.integer(.maxMessageBytes, in: 65_536...1_073_741_824, default: 36_700_160)
        maxRecipients = source.integer(.maxRecipients, in: 100...1000, default: 1000)
        minFreeDiskBytes = source.integer(.minFreeDiskBytes, in: 0...1_099_511_627_776, default: 268_435_456)
        logLevel = source.text(.logLevel)?.lowercased() ?? "info"
        settingDefaults = source.settingDefaults()
        if (tlsCertificate == nil) != (tlsKey == nil) {
            source.problem("POSTERN_TLS_CERT and POSTERN_TLS_KEY belong together; only one of them is set")
        }
        if !["trace", "debug", "info", "notice", "warning", "error", "critical"].contains(logLevel) {
            source.problem("POSTERN_LOG_LEVEL is \"\(logLevel.prefix(40))\", which is no log level")
        }
        if smtp.port == smtp.tlsPort, smtp.port != 0 {
            source.problem("POSTERN_SMTP_PORT and POSTERN_SMTP_TLS_PORT are both \(smtp.port)")
        }
        guard source.problems.isEmpty else { throw ConfigurationProblems(problems: source.problems) }
    }

    private static func database(_ source: inout ConfigurationSource, _ data: String) -> Database {
        guard let url = source.text(.databaseURL) else { return .sqlite(path: "\(data)/postern.db") }
        guard let database = Database(url: url) else {
            source.problem("POSTERN_DATABASE_URL must have the form sqlite:PATH or postgres://…")
            return .sqlite(path: "")
        }
        return database
    }
}

extension InstanceConfiguration.Database {
    /// - Parameter url: `sqlite:PATH`, `postgres://…` or `postgresql://…`.
    package init?(url: String) {
        if url.hasPrefix("sqlite:"), url.count > 7 {
            self = .sqlite(path: String(url.dropFirst(7)))
        } else if url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") {
            self = .postgreSQL(url: Secret(url))
        } else {
            return nil
        }
    }
}

extension InstanceConfiguration {
    /// Nobody may sign in over a network in clear, so that doors on other addresses need a certificate.
    package func checkExposure() throws(ConfigurationProblems) {
        let isLoopback = ["localhost", "::1"].contains(smtp.host) || smtp.host.hasPrefix("127.")
        if isGatewayEnabled, isInboundSMTPEnabled, !isLoopback, tlsCertificate == nil {
            throw ConfigurationProblems(problems: [
                "POSTERN_SMTP_HOST is \(smtp.host), which others can reach: set POSTERN_TLS_CERT and POSTERN_TLS_KEY"
            ])
        }
    }
}
