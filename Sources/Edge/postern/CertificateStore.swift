// The server's certificate: read from files, read again when they change, self-signed where the quickstart has none.

import Crypto
import FoundationEssentials
import Logging
import NIOSSL
import ServiceLifecycle
import SwiftASN1
import Synchronization
import X509

final class CertificateStore: Service {
    private let certificatePath: String
    private let keyPath: String
    private let logger: Logger
    private let state: Mutex<(context: NIOSSLContext, stamp: [Date?])>

    /// - Throws: `StartError` when the files do not make a usable certificate.
    init(certificatePath: String, keyPath: String, logger: Logger) throws {
        self.certificatePath = certificatePath
        self.keyPath = keyPath
        self.logger = logger
        state = Mutex(
            (try Self.context(certificatePath, keyPath), Self.stamp(certificatePath, keyPath)))
    }

    var context: NIOSSLContext { state.withLock { $0.context } }

    /// Looks every 10 seconds whether a file has changed; one that cannot be used leaves the last good one in force.
    func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(10))
                reload()
            }
        }
    }

    private func reload() {
        let stamp = Self.stamp(certificatePath, keyPath)
        guard state.withLock({ $0.stamp != stamp }) else { return }
        do {
            let context = try Self.context(certificatePath, keyPath)
            state.withLock { $0 = (context, stamp) }
            logger.info("the certificate was read again", metadata: ["path": "\(certificatePath)"])
        } catch {
            state.withLock { $0.stamp = stamp }
            logger.error(
                "the changed certificate cannot be used; the old one stays", metadata: ["error": "\(error)"])
        }
    }

    private static func stamp(_ paths: String...) -> [Date?] {
        paths.map { path in
            (try? FileManager.default.attributesOfItem(atPath: path))?[.modificationDate] as? Date
        }
    }

    private static func context(_ certificatePath: String, _ keyPath: String) throws -> NIOSSLContext {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificatePath).map {
                NIOSSLCertificateSource.certificate($0)
            }
            let key = try NIOSSLPrivateKey(file: keyPath, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain, privateKey: .privateKey(key))
            configuration.minimumTLSVersion = .tlsv12
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw StartError(
                description: "the certificate \(certificatePath) and key \(keyPath) cannot be used: \(error)")
        }
    }

    /// Makes a certificate for this machine that is good for ten years, if there is none in the folder yet.
    static func makeSelfSigned(in folder: String, hostname: String) throws -> (certificate: String, key: String) {
        let paths = (certificate: "\(folder)/tls.crt", key: "\(folder)/tls.key")
        if FileManager.default.fileExists(atPath: paths.certificate), FileManager.default.fileExists(atPath: paths.key)
        {
            return paths
        }
        let key = P256.Signing.PrivateKey()
        let name = try DistinguishedName { CommonName(hostname) }
        let now = Date()
        let loopback = ASN1OctetString(contentBytes: [127, 0, 0, 1])
        let certificate = try Certificate(
            version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key.publicKey),
            notValidBefore: now.addingTimeInterval(-3600), notValidAfter: now.addingTimeInterval(10 * 365 * 86_400),
            issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
            extensions: try Certificate.Extensions {
                Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                SubjectAlternativeNames([.dnsName("localhost"), .dnsName(hostname), .ipAddress(loopback)])
            },
            issuerPrivateKey: .init(key))
        try DataDirectory.writePrivately(key.pemRepresentation + "\n", to: paths.key)
        try DataDirectory.writePrivately(try certificate.serializeAsPEM().pemString + "\n", to: paths.certificate)
        return paths
    }
}
