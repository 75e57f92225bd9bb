// TLS contexts, made once for each kind of trust: making one reads the system's root certificates from disk.

import NIOPosix
import NIOSSL
import Synchronization

final class SMTPTLSContexts: Sendable {
    private struct Key: Hashable {
        var isVerified: Bool
        var extraTrustRootsPEM: String?
    }

    private let contexts = Mutex<[Key: NIOSSLContext]>([:])
    /// Destinations name few different roots; should they ever not, memory stays bounded.
    private let capacity = 64

    /// Nil for `.none`.
    func context(for tls: SMTPClientTLS) async throws -> NIOSSLContext? {
        let key: Key
        switch tls.mode {
        case .none: return nil
        case .opportunistic: key = Key(isVerified: false, extraTrustRootsPEM: nil)
        case .required, .implicit: key = Key(isVerified: true, extraTrustRootsPEM: tls.extraTrustRootsPEM)
        }
        if let known = contexts.withLock({ $0[key] }) { return known }
        let made = try await NIOThreadPool.singleton.runIfActive { try Self.make(key) }
        contexts.withLock { contexts in
            if contexts.count >= capacity { contexts.removeAll() }
            contexts[key] = made
        }
        return made
    }

    private static func make(_ key: Key) throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        if key.isVerified {
            configuration.certificateVerification = .fullVerification
            configuration.minimumTLSVersion = .tlsv12
        } else {
            // The other choice is clear text, so that even an old protocol is a gain (RFC 7435 §3).
            configuration.certificateVerification = .none
            configuration.minimumTLSVersion = .tlsv1
        }
        if let pem = key.extraTrustRootsPEM {
            let roots = try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8))
            configuration.additionalTrustRoots = [.certificates(roots)]
        }
        return try NIOSSLContext(configuration: configuration)
    }
}
