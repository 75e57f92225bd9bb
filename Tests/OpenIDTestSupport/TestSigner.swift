// Keys made by the tests, and tokens signed by hand: nothing here comes from the library that verifies them.

package import Crypto
package import CryptoExtras
import FoundationEssentials
import OpenID

/// A key pair of a provider, or of somebody who would like to be one.
package struct TestSigner: Sendable {
    package enum Key: Sendable {
        case rsa(_RSA.Signing.PrivateKey)
        case p256(P256.Signing.PrivateKey)
        case p384(P384.Signing.PrivateKey)
        case p521(P521.Signing.PrivateKey)
        case ed25519(Curve25519.Signing.PrivateKey)
    }

    package let id: String
    package let algorithm: String
    package let key: Key

    package init(id: String, algorithm: String, key: Key) {
        self.id = id
        self.algorithm = algorithm
        self.key = key
    }

    package static func rsa(_ id: String = "rsa", algorithm: String = "RS256") throws -> TestSigner {
        TestSigner(id: id, algorithm: algorithm, key: .rsa(try _RSA.Signing.PrivateKey(keySize: .bits2048)))
    }

    package static func ec(_ id: String = "ec") -> TestSigner {
        TestSigner(id: id, algorithm: "ES256", key: .p256(P256.Signing.PrivateKey()))
    }

    /// The same key under another name or for another algorithm.
    package func named(_ id: String? = nil, algorithm: String? = nil) -> TestSigner {
        TestSigner(id: id ?? self.id, algorithm: algorithm ?? self.algorithm, key: key)
    }

    /// The public half, as a provider publishes it.
    package func published(_ extra: String = #""use":"sig""#, showingAlgorithm: Bool = true) throws -> String {
        var members = [#""kid":"\#(id)""#]
        if showingAlgorithm { members.append(#""alg":"\#(algorithm)""#) }
        if !extra.isEmpty { members.append(extra) }
        func curve(_ name: String, _ point: Data) -> [String] {
            let half = point.count / 2
            return [
                #""kty":"EC","crv":"\#(name)""#, #""x":"\#(Base64URL.encode(Array(point.prefix(half))))""#,
                #""y":"\#(Base64URL.encode(Array(point.suffix(half))))""#,
            ]
        }
        switch key {
        case .rsa(let key):
            let numbers = try key.publicKey.getKeyPrimitives()
            members += [
                #""kty":"RSA""#, #""n":"\#(Base64URL.encode(Array(numbers.modulus)))""#,
                #""e":"\#(Base64URL.encode(Array(numbers.publicExponent)))""#,
            ]
        case .p256(let key): members += curve("P-256", key.publicKey.rawRepresentation)
        case .p384(let key): members += curve("P-384", key.publicKey.rawRepresentation)
        case .p521(let key): members += curve("P-521", key.publicKey.rawRepresentation)
        case .ed25519(let key):
            members.append(
                #""kty":"OKP","crv":"Ed25519","x":"\#(Base64URL.encode(Array(key.publicKey.rawRepresentation)))""#)
        }
        return "{\(members.joined(separator: ","))}"
    }

    /// - Parameter header: the header's text; the usual one where it is `nil`.
    package func token(_ claims: String, header: String? = nil) throws -> String {
        let header = header ?? #"{"alg":"\#(algorithm)","typ":"JWT","kid":"\#(id)"}"#
        let signed = "\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(Array(claims.utf8)))"
        return "\(signed).\(Base64URL.encode(try signature(of: Data(signed.utf8))))"
    }

    private func signature(of bytes: Data) throws -> [UInt8] {
        switch key {
        case .rsa(let key):
            let padding: _RSA.Signing.Padding = algorithm.hasPrefix("PS") ? .PSS : .insecurePKCS1v1_5
            switch algorithm.suffix(3) {
            case "384":
                return Array(try key.signature(for: SHA384.hash(data: bytes), padding: padding).rawRepresentation)
            case "512":
                return Array(try key.signature(for: SHA512.hash(data: bytes), padding: padding).rawRepresentation)
            default: return Array(try key.signature(for: SHA256.hash(data: bytes), padding: padding).rawRepresentation)
            }
        case .p256(let key): return Array(try key.signature(for: bytes).rawRepresentation)
        case .p384(let key): return Array(try key.signature(for: bytes).rawRepresentation)
        case .p521(let key): return Array(try key.signature(for: bytes).rawRepresentation)
        case .ed25519(let key): return Array(try key.signature(for: bytes))
        }
    }

    /// What somebody makes who knows no more than the published key: its text is taken for the secret of an HMAC.
    package static func symmetric(_ claims: String, secret: [UInt8], id: String) -> String {
        let header = #"{"alg":"HS256","typ":"JWT","kid":"\#(id)"}"#
        let signed = "\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(Array(claims.utf8)))"
        let code = HMAC<SHA256>.authenticationCode(for: Data(signed.utf8), using: SymmetricKey(data: secret))
        return "\(signed).\(Base64URL.encode(Array(code)))"
    }
}
