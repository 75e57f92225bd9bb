// What is known of the client at the other end, for the delegate's decisions, for Received fields and for the log.

/// One connection as it stands at the moment of the call.
package struct SMTPConnectionInfo: Sendable {
    /// Distinguishes connections of this process in the log.
    package let id: UInt64
    /// The client's IP address without port; `""` on sockets that have none.
    package let remoteAddress: String
    package let remotePort: Int
    package let localPort: Int
    package var isTLS: Bool
    /// `TLSv1.3`, `TLSv1.2`; `nil` without TLS.
    package var tlsVersion: String?
    /// The argument of the last EHLO or HELO.
    package var hello: String?
    /// The client said EHLO, not HELO.
    package var isESMTP: Bool
    /// What `SMTPServerDelegate.authenticate` accepted.
    package var identity: (any Sendable)?

    package init(
        id: UInt64,
        remoteAddress: String,
        remotePort: Int,
        localPort: Int,
        isTLS: Bool = false,
        tlsVersion: String? = nil,
        hello: String? = nil,
        isESMTP: Bool = false,
        identity: (any Sendable)? = nil
    ) {
        self.id = id
        self.remoteAddress = remoteAddress
        self.remotePort = remotePort
        self.localPort = localPort
        self.isTLS = isTLS
        self.tlsVersion = tlsVersion
        self.hello = hello
        self.isESMTP = isESMTP
        self.identity = identity
    }
}
