// What the libraries below say, in words that an operator can use.

import AsyncHTTPClient
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

extension WebError {
    init(_ error: any Error, after seconds: Double) {
        switch error {
        case let error as NIOConnectionError: self = Self.noConnection(error)
        case let error as IOError:
            self =
                error.isRefusal
                ? WebError(.unreachable, "no connection: \(error.words)")
                : WebError(.broken, "the connection broke: \(error.words)")
        case let error as HTTPClientError: self = Self.client(error, seconds)
        case is CancellationError: self.init(.cancelled, "the request was given up")
        case let error as NIOSSLExtraError: self.init(.tls, "TLS failed: \(error.description)")
        case let error as NIOSSLError: self.init(.tls, "TLS failed: \(Self.words(error))")
        case is BoringSSLError: self.init(.tls, "TLS failed: the other side does not speak it, or breaks it off")
        case ChannelError.connectTimeout: self.init(.unreachable, "no connection in time")
        default: self.init(.broken, "the connection broke, or what came was not HTTP")
        }
    }

    private static func noConnection(_ error: NIOConnectionError) -> WebError {
        for cause in error.connectionErrors {
            if let cause = cause.error as? IOError { return WebError(.unreachable, "no connection: \(cause.words)") }
            if case ChannelError.connectTimeout = cause.error { return WebError(.unreachable, "no connection in time") }
        }
        let isUnknown = error.dnsAError != nil || error.dnsAAAAError != nil
        return WebError(.unreachable, isUnknown ? "the host name is not known" : "no connection")
    }

    private static func client(_ error: HTTPClientError, _ seconds: Double) -> WebError {
        switch error {
        case .connectTimeout, .getConnectionFromPoolTimeout: WebError(.unreachable, "no connection in time")
        case .tlsHandshakeTimeout: WebError(.tls, "TLS was not agreed upon in time")
        case .readTimeout, .writeTimeout, .deadlineExceeded:
            WebError(.timedOut, "the other side fell silent before its answer was complete")
        case .remoteConnectionClosed: WebError(.broken, "the connection was closed before the answer")
        case .cancelled: WebError(.cancelled, "the request was given up")
        case .alreadyShutdown: WebError(.cancelled, "the client is shut down")
        case .invalidURL, .emptyHost, .emptyScheme: WebError(.invalidURL, "the address cannot be used")
        default: WebError(.broken, "the answer is not HTTP as it should be")
        }
    }

    private static func words(_ error: NIOSSLError) -> String {
        switch error {
        case .handshakeFailed(let cause):
            "\(cause)".contains("CERTIFICATE_VERIFY_FAILED")
                ? "the certificate is not signed by anyone trusted; POSTERN_TLS_CA_FILE names further roots"
                : "the handshake failed"
        case .unableToValidateCertificate: "the certificate is not valid for this host"
        case .noCertificateToValidate: "there is no certificate"
        default: "the connection could not be made safe"
        }
    }
}

extension IOError {
    /// `Connection refused`, without the system call's name.
    fileprivate var words: String { String(cString: strerror(errnoCode)) }

    /// Whether it can only mean that there never was a connection.
    fileprivate var isRefusal: Bool {
        [ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EHOSTDOWN, EADDRNOTAVAIL].contains(errnoCode)
    }
}
