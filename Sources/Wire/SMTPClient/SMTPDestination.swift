// Where a message is handed to: one SMTP server, how to reach it and how to prove who we are.

/// A server to relay to. Also the key under which connections are pooled: two equal destinations share connections.
package struct SMTPDestination: Hashable, Sendable {
    /// A DNS name, or an IPv4 or IPv6 address without brackets.
    package var host: String
    /// 1–65535; 587 and 465 for submission, 25 between servers.
    package var port: Int
    package var tls: SMTPClientTLS
    /// Without credentials no AUTH is tried.
    package var credentials: SMTPCredentials?
    /// Our own name for EHLO: a fully qualified domain, or an address literal such as `[192.0.2.1]`.
    package var heloName: String
    /// Lets AUTH go over a connection that is in clear or whose certificate nobody verified. A loopback peer never
    /// needs it. Default false.
    package var allowsUnprotectedAuth: Bool

    package init(
        host: String,
        port: Int = 587,
        tls: SMTPClientTLS = .required,
        credentials: SMTPCredentials? = nil,
        heloName: String,
        allowsUnprotectedAuth: Bool = false
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.credentials = credentials
        self.heloName = heloName
        self.allowsUnprotectedAuth = allowsUnprotectedAuth
    }
}

/// How a connection is protected. `.required` is the default everywhere; only the two named modes below it are weaker.
package struct SMTPClientTLS: Hashable, Sendable {
    package enum Mode: String, CaseIterable, Hashable, Sendable {
        /// STARTTLS with a verified certificate, or no delivery (RFC 3207).
        case required
        /// TLS from the first byte with a verified certificate (RFC 8314 §3, port 465).
        case implicit
        /// STARTTLS where offered, whatever the certificate; else in clear (RFC 7435). Never sends credentials.
        case opportunistic
        /// In clear.
        case none
    }

    package var mode: Mode
    /// Certificates in PEM that are trusted beside the system's roots: a private authority, or a self-signed peer.
    package var extraTrustRootsPEM: String?
    /// The name sent as SNI and looked for in the certificate. Default: the destination's host.
    package var serverName: String?

    package init(_ mode: Mode, extraTrustRootsPEM: String? = nil, serverName: String? = nil) {
        self.mode = mode
        self.extraTrustRootsPEM = extraTrustRootsPEM
        self.serverName = serverName
    }

    package static let required = SMTPClientTLS(.required)
    package static let implicit = SMTPClientTLS(.implicit)
    package static let opportunistic = SMTPClientTLS(.opportunistic)
    package static let none = SMTPClientTLS(.none)
}

/// A user name and password for AUTH. Neither printing nor dumping a value shows the password.
package struct SMTPCredentials: Hashable, Sendable {
    package let username: String
    let password: String

    package init(username: String, password: String) {
        self.username = username
        self.password = password
    }
}

extension SMTPCredentials: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "SMTPCredentials(\(username), <redacted>)" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["username": username]) }
}
