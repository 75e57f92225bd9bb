// How one listening SMTP server is set up.

package import NIOCore
package import NIOSSL
package import SMTP

package struct SMTPServerConfiguration: Sendable {
    /// Address or name to bind to.
    package var host: String
    /// 0 lets the system choose; see `SMTPServer.boundPort`.
    package var port: Int
    package var mode: Mode
    /// Asked for each handshake, so that a new certificate takes effect without a restart. While it gives `nil`,
    /// STARTTLS is not offered, and connections with implicit TLS are closed.
    package var tlsContext: @Sendable () -> NIOSSLContext?
    /// Our name in the greeting and the EHLO reply.
    package var hostname: String
    /// The words behind the name in the greeting; `ESMTP` should be the first.
    package var greeting = "ESMTP"
    package var offersAuthentication = true
    /// Mail is only taken after AUTH (530 5.7.0 before). Default `true`.
    package var requireAuthentication = true
    /// Clients on 127.0.0.0/8 and ::1 may authenticate without TLS. Default `false`.
    package var allowCleartextAuthOnLoopback = false
    /// See `SMTPServerSettings.offersDSN`.
    package var offersDSN = false
    package var limits = SMTPServerLimits()
    /// How long a graceful shutdown waits for messages that are being received or stored. Default 25 seconds.
    package var shutdownDeadline: TimeAmount = .seconds(25)

    package enum Mode: Hashable, Sendable {
        /// Begins in clear and offers STARTTLS (RFC 3207).
        case startTLS
        /// TLS from the first octet (RFC 8314 §3.3).
        case implicitTLS
        /// No TLS at all.
        case plain
    }

    package init(
        host: String,
        port: Int,
        mode: Mode,
        hostname: String,
        tlsContext: @escaping @Sendable () -> NIOSSLContext? = { nil }
    ) {
        self.host = host
        self.port = port
        self.mode = mode
        self.hostname = hostname
        self.tlsContext = tlsContext
    }

    /// What a session with this client offers and demands.
    func settings(isLoopback: Bool) -> SMTPServerSettings {
        let inClear = allowCleartextAuthOnLoopback && isLoopback
        return SMTPServerSettings(
            hostname: hostname,
            greeting: greeting,
            authentication: offersAuthentication ? (inClear ? .always : .underTLS) : .notOffered,
            requiresAuthentication: requireAuthentication,
            offersStartTLS: mode == .startTLS && tlsContext() != nil,
            offersDSN: offersDSN,
            limits: limits
        )
    }
}
