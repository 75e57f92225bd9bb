// Errors of the network and of TLS in words that an operator can act on.

import NIOCore
import NIOPosix
import NIOSSL

enum SMTPErrorWords {
    static func connect(_ error: any Error) -> String {
        guard let error = error as? NIOConnectionError else { return network(error) }
        if error.connectionErrors.isEmpty, error.dnsAError != nil || error.dnsAAAAError != nil {
            return "the name \(error.host) could not be resolved"
        }
        let attempts = error.connectionErrors.map { attempt in
            "\(attempt.target.ipAddress ?? error.host): \(network(attempt.error))"
        }
        return "no connection to \(error.host) port \(error.port) (\(attempts.joined(separator: "; ")))"
    }

    static func network(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case ChannelError.connectTimeout(let time): "no connection within \(time.nanoseconds / 1_000_000_000) s"
        default: "\(error)"
        }
    }

    /// Nil when the error is none of TLS.
    static func tls(_ error: any Error, server: String?) -> String? {
        let who = server.map { "certificate of \($0)" } ?? "server's certificate"
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            return otherName(server)
        case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate,
            NIOSSLError.cannotFindPeerIP:
            return "the \(who) could not be verified"
        case NIOSSLError.handshakeFailed(let cause):
            let words = "\(cause)"
            return words.contains("CERTIFICATE_VERIFY_FAILED")
                ? "the \(who) could not be verified: it is not issued by an authority that we trust, or has expired"
                : "the TLS handshake failed: \(words)"
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            return "TLS failed: \(error)"
        default:
            return nil
        }
    }

    static func otherName(_ server: String?) -> String {
        server.map { "the server's certificate is not for the name \($0)" }
            ?? "the server's certificate is not for its address"
    }

    static func name(of version: TLSVersion?) -> String {
        switch version {
        case .tlsv1?: "TLS 1.0"
        case .tlsv11?: "TLS 1.1"
        case .tlsv12?: "TLS 1.2"
        case .tlsv13?: "TLS 1.3"
        case nil: "TLS"
        }
    }
}

extension TimeAmount {
    /// `Duration` is what configuration speaks, `TimeAmount` what NIO counts in.
    init(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        self = overflow ? .nanoseconds(.max / 2) : .nanoseconds(nanoseconds + attoseconds / 1_000_000_000)
    }
}
