// The algorithms that an ID token may be signed by: those where only the provider can sign. `none` and the HMACs, whose key
// everybody who can verify also has, do not exist here.

import Crypto
import JWTKit

enum SigningAlgorithm: String, Sendable, CaseIterable {
    case rs256 = "RS256"
    case rs384 = "RS384"
    case rs512 = "RS512"
    case ps256 = "PS256"
    case ps384 = "PS384"
    case ps512 = "PS512"
    case es256 = "ES256"
    case es384 = "ES384"
    case es512 = "ES512"
    case edDSA = "EdDSA"

    /// Types of keys, and of curves, that go with it (RFC 7518 §3.1, RFC 8037).
    var keyType: (type: String, curve: String?) {
        switch self {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: ("RSA", nil)
        case .es256: ("EC", "P-256")
        case .es384: ("EC", "P-384")
        case .es512: ("EC", "P-521")
        case .edDSA: ("OKP", "Ed25519")
        }
    }

    /// The digest that `at_hash` is the left half of (OpenID Connect Core 1.0 §3.1.3.6); Ed25519's is SHA-512.
    func digest(_ bytes: [UInt8]) -> [UInt8] {
        switch self {
        case .rs256, .ps256, .es256: Array(SHA256.hash(data: bytes))
        case .rs384, .ps384, .es384: Array(SHA384.hash(data: bytes))
        case .rs512, .ps512, .es512, .edDSA: Array(SHA512.hash(data: bytes))
        }
    }

    var library: JWK.Algorithm {
        switch self {
        case .rs256: .rs256
        case .rs384: .rs384
        case .rs512: .rs512
        case .ps256: .ps256
        case .ps384: .ps384
        case .ps512: .ps512
        case .es256: .es256
        case .es384: .es384
        case .es512: .es512
        case .edDSA: .eddsa
        }
    }
}
