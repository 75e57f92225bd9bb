// The keys of the instance's configuration: declared once, read by the start, checked for typing errors, written to
// docs/configuration.md.

import Model

package struct ConfigurationKey: Sendable, Hashable {
    package let name: String
    /// For documentation.
    package let type: String
    /// For documentation; `nil` where there is none.
    package let defaultText: String?
    package let summary: String
    /// Whether a change takes effect without a restart.
    package let reloads: Bool

    init(_ name: String, _ type: String, default defaultText: String?, reloads: Bool = false, _ summary: String) {
        self.name = name
        self.type = type
        self.defaultText = defaultText
        self.reloads = reloads
        self.summary = summary
    }

    package static let dataDirectory = ConfigurationKey(
        "POSTERN_DATA_DIR", "path", default: "data", "Where the embedded database, keys and the quickstart card live.")
    package static let databaseURL = ConfigurationKey(
        "POSTERN_DATABASE_URL", "URL", default: "sqlite:<data>/postern.db",
        "The database: `sqlite:PATH`, or `postgres://user:password@host/name?sslmode=verify-full`.")
    package static let masterKey = ConfigurationKey(
        "POSTERN_MASTER_KEY", "32 bytes in base64", default: nil,
        "Wraps the vaults' data keys. Without it and without the file, `quickstart` makes `<data>/master.key` (0600).")
    package static let masterKeyFile = ConfigurationKey(
        "POSTERN_MASTER_KEY_FILE", "path", default: "<data>/master.key", "A file that holds the master key instead.")
    package static let httpHost = ConfigurationKey(
        "POSTERN_HTTP_HOST", "address", default: "127.0.0.1", "Where the HTTP door listens.")
    package static let httpPort = ConfigurationKey(
        "POSTERN_HTTP_PORT", "port", default: "8025", "Its port; 0 lets the system choose.")
    package static let publicURL = ConfigurationKey(
        "POSTERN_PUBLIC_URL", "URL", default: "http://<host>:<port>", "What links to this instance begin with.")
    package static let httpConnections = ConfigurationKey(
        "POSTERN_HTTP_CONNECTIONS", "integer", default: "4096", "HTTP connections at once.")
    package static let httpIdleTimeout = ConfigurationKey(
        "POSTERN_HTTP_IDLE_TIMEOUT", "seconds", default: "60", "After so long without a byte a connection is closed.")
    package static let hostname = ConfigurationKey(
        "POSTERN_HOSTNAME", "domain", default: "the system's name", "Our name in greetings, EHLO and Received fields.")
    package static let smtpHost = ConfigurationKey(
        "POSTERN_SMTP_HOST", "address", default: "127.0.0.1", "Where the SMTP doors listen.")
    package static let smtpPort = ConfigurationKey(
        "POSTERN_SMTP_PORT", "port", default: "2587", "Submission with STARTTLS; 0 lets the system choose.")
    package static let smtpTLSPort = ConfigurationKey(
        "POSTERN_SMTP_TLS_PORT", "port", default: "2465",
        "Submission with TLS from the first byte; listens only where there is a certificate.")
    package static let smtpConnections = ConfigurationKey(
        "POSTERN_SMTP_CONNECTIONS", "integer", default: "2000", "SMTP connections at once, both ports together.")
    package static let smtpConnectionsPerAddress = ConfigurationKey(
        "POSTERN_SMTP_CONNECTIONS_PER_ADDRESS", "integer", default: "200", "SMTP connections of one client address.")
    package static let smtpIdleTimeout = ConfigurationKey(
        "POSTERN_SMTP_IDLE_TIMEOUT", "seconds", default: "300",
        "How long an SMTP client may be silent; in the middle of a message at most 180.")
    package static let tlsCertificate = ConfigurationKey(
        "POSTERN_TLS_CERT", "path", default: nil, reloads: true,
        "Certificate chain in PEM. A changed file takes effect within 30 seconds. `quickstart` makes a self-signed one."
    )
    package static let tlsKey = ConfigurationKey(
        "POSTERN_TLS_KEY", "path", default: nil, reloads: true, "The certificate's private key in PEM.")
    package static let tlsCAFile = ConfigurationKey(
        "POSTERN_TLS_CA_FILE", "path", default: nil,
        "Certificates in PEM that are trusted beside the system's: for smart hosts, RabbitMQ, MailerQ and webhooks. For "
            + "PostgreSQL they stand in for the URL's `sslrootcert`.")
    package static let gatewayEnabled = ConfigurationKey(
        "POSTERN_EMAILGATEWAY_ENABLED", "boolean", default: "false (quickstart: true)",
        "Off: the gateway's paths answer 404 and no SMTP port listens.")
    package static let inboundSMTPEnabled = ConfigurationKey(
        "POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED", "boolean", default: "false (quickstart: true)", "The SMTP doors.")
    package static let liveSendEnabled = ConfigurationKey(
        "POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED", "boolean", default: "false",
        "Off: shadow mode for every vault; what is still queued is captured.")
    package static let maxMessageBytes = ConfigurationKey(
        "POSTERN_MAX_MESSAGE_BYTES", "bytes", default: "36700160", "A finished message at most: 35 MiB.")
    package static let maxRecipients = ConfigurationKey(
        "POSTERN_MAX_RECIPIENTS", "integer", default: "1000", "Recipients of one submission, 100 to 1000.")
    package static let retryInitial = ConfigurationKey(
        "POSTERN_RETRY_INITIAL", "seconds", default: "60", "Before the second attempt; doubles from attempt to attempt."
    )
    package static let retryMaximum = ConfigurationKey(
        "POSTERN_RETRY_MAX", "seconds", default: "3600", "Between two attempts at most.")
    package static let deliveryDeadline = ConfigurationKey(
        "POSTERN_DELIVERY_DEADLINE", "seconds", default: "432000",
        "From acceptance, or from `send_at`, until a message expires: 5 days.")
    package static let smtpClientTimeout = ConfigurationKey(
        "POSTERN_SMTP_CLIENT_TIMEOUT", "seconds", default: "the times of RFC 5321 §4.5.3.2",
        "Caps every wait for a smart host.")
    package static let minFreeDiskBytes = ConfigurationKey(
        "POSTERN_MIN_FREE_DISK_BYTES", "bytes", default: "268435456",
        "With less free disk, submissions are refused with 503 and 452: 256 MiB.")
    package static let logLevel = ConfigurationKey(
        "POSTERN_LOG_LEVEL", "one of trace, debug, info, notice, warning, error, critical", default: "info",
        "What is logged, to standard error.")

    package static let all: [ConfigurationKey] =
        [
            dataDirectory, databaseURL, masterKey, masterKeyFile, httpHost, httpPort, publicURL, httpConnections,
            httpIdleTimeout, hostname, smtpHost, smtpPort, smtpTLSPort, smtpConnections, smtpConnectionsPerAddress,
            smtpIdleTimeout, tlsCertificate, tlsKey, tlsCAFile, gatewayEnabled, inboundSMTPEnabled, liveSendEnabled,
            maxMessageBytes, maxRecipients, retryInitial, retryMaximum, deliveryDeadline, smtpClientTimeout,
            minFreeDiskBytes, logLevel,
        ] + gateway + people + openID

    /// Keys of the command line's client, which a server sees without using them.
    static let clientKeys: Set<String> = ["POSTERN_URL", "POSTERN_TOKEN", "POSTERN_VAULT"]

    /// The gateway's flags under the names of the product scope (seed 000).
    static let aliases: [String: String] = [
        "AGENT_VAULT_CUSTOM_EMAILGATEWAY_ENABLED": gatewayEnabled.name,
        "AGENT_VAULT_CUSTOM_EMAILGATEWAY_INBOUND_SMTP_ENABLED": inboundSMTPEnabled.name,
        "AGENT_VAULT_CUSTOM_EMAILGATEWAY_LIVE_SEND_ENABLED": liveSendEnabled.name,
    ]
}
