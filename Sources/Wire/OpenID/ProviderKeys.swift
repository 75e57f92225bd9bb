// A provider's keys (RFC 7517): those that can sign ID tokens. What is of no use to us is passed over, so that a provider can
// publish keys of kinds that nobody knows yet.

import JSON
import JWTKit

struct ProviderKeys: Sendable {
    struct Key: Sendable {
        let id: String?
        let type: String
        let curve: String?
        let algorithm: String?
        fileprivate let parameters: [String: String]

        func fits(_ algorithm: SigningAlgorithm) -> Bool {
            (type, curve) == algorithm.keyType && (self.algorithm ?? algorithm.rawValue) == algorithm.rawValue
        }
    }

    let keys: [Key]

    init(_ bytes: [UInt8], limits: OpenIDLimits) throws(OpenIDError) {
        guard let elements = (try? JSONParser.parse(bytes))?.objectValue?["keys"]?.arrayValue else {
            throw OpenIDError(.misconfigured, "the provider's keys are not a JSON Web Key Set")
        }
        keys = elements.prefix(limits.keys).compactMap { $0.objectValue.flatMap(Self.key) }
        guard !keys.isEmpty else { throw OpenIDError(.misconfigured, "the provider has no key that can sign") }
    }

    /// The key that a token was signed by: the one it names, else the only one that it can be (OpenID Connect Core 1.0 §10.1).
    func key(named id: String?, for algorithm: SigningAlgorithm) -> Key? {
        let fitting = keys.filter { $0.fits(algorithm) && (id == nil || $0.id == id) }
        // Two keys of one name are no name.
        return fitting.count == 1 ? fitting[0] : nil
    }

    private static func key(_ object: JSONObject) -> Key? {
        guard let type = object["kty"]?.stringValue, object["use"]?.stringValue ?? "sig" == "sig" else { return nil }
        if let operations = object["key_ops"]?.arrayValue, !operations.contains(.string("verify")) { return nil }
        let names: [String] =
            switch type {
            case "RSA": ["n", "e"]
            case "EC": ["x", "y"]
            case "OKP": ["x"]
            default: []
            }
        // The public half only, whatever else a careless provider publishes.
        let parameters = names.reduce(into: [:]) { $0[$1] = object[$1]?.stringValue }
        guard !names.isEmpty, parameters.count == names.count, parameters.values.allSatisfy({ $0.utf8.count <= 2048 })
        else { return nil }
        return Key(
            id: object["kid"]?.stringValue, type: type, curve: type == "RSA" ? nil : object["crv"]?.stringValue,
            algorithm: object["alg"]?.stringValue, parameters: parameters)
    }
}

extension ProviderKeys.Key {
    /// The key for one algorithm and no other, so that nothing in a token chooses how it is verified.
    func collection(for algorithm: SigningAlgorithm) async throws -> JWTKeyCollection {
        let name = JWKIdentifier(string: "key")
        let key: JWK =
            switch type {
            case "RSA": .rsa(algorithm.library, identifier: name, modulus: parameters["n"], exponent: parameters["e"])
            case "EC":
                .ecdsa(
                    algorithm.library, identifier: name, x: parameters["x"], y: parameters["y"],
                    curve: curve.flatMap(ECDSACurve.init(rawValue:)))
            default:
                .octetKeyPair(
                    algorithm.library, identifier: name, x: parameters["x"], y: nil,
                    curve: curve.flatMap(EdDSACurve.init(rawValue:)))
            }
        return try await JWTKeyCollection().add(jwk: key)
    }
}
