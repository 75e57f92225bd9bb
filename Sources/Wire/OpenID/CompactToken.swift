// A signed token in its compact form (RFC 7515 §7.1), taken apart and not yet believed.

import JSON
import JWTKit

struct CompactToken: Sendable {
    private let text: String
    let algorithm: SigningAlgorithm
    let keyID: String?
    private let unverified: JSONObject

    /// - Throws: `invalidToken` for everything but three parts of strict base64url, of which two are JSON objects with unique
    ///   names: two readers of one token must never see two different values.
    init(_ text: String, limits: OpenIDLimits) throws(OpenIDError) {
        guard text.utf8.count <= limits.tokenBytes else {
            throw Self.malformed("is larger than \(limits.tokenBytes) bytes")
        }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            Base64URL.decode(parts[2]) != nil
        else { throw Self.malformed("is not a signed JSON Web Token") }
        guard let name = header["alg"]?.stringValue, let algorithm = SigningAlgorithm(rawValue: name) else {
            throw Self.malformed("is signed by an algorithm that is not accepted, or not at all")
        }
        // RFC 7515 §4.1.11: what has to be understood, and is not.
        guard header["crit"] == nil else { throw Self.malformed("has a critical header that is not known") }
        if let type = header["typ"], type.stringValue?.lowercased() != "jwt" {
            throw Self.malformed("is a token of another kind")
        }
        if let keyID = header["kid"], keyID.stringValue == nil { throw Self.malformed("names its key by no string") }
        self.text = text
        self.algorithm = algorithm
        keyID = header["kid"]?.stringValue
        unverified = claims
    }

    /// The claims, once the signature has been verified.
    func claims(verifiedBy key: ProviderKeys.Key) async throws(OpenIDError) -> JSONObject {
        // The library parses the header again, and gets the key from us: it has no other to choose from.
        let collection: JWTKeyCollection
        do {
            collection = try await key.collection(for: algorithm)
        } catch {
            throw OpenIDError(.misconfigured, "the provider's key cannot be used")
        }
        do {
            _ = try await collection.verify(text, as: SignedBytes.self)
        } catch {
            throw Self.malformed("is not signed by the provider's key")
        }
        return unverified
    }

    private static func object(_ part: Substring) -> JSONObject? {
        guard let bytes = Base64URL.decode(part) else { return nil }
        return (try? JSONParser.parse(bytes))?.objectValue
    }

    private static func malformed(_ words: String) -> OpenIDError {
        OpenIDError(.invalidToken, "the ID token \(words)")
    }
}

/// Only the signature is the library's work: what the claims have to say is checked in `IDToken`.
private struct SignedBytes: JWTPayload {
    func verify(using algorithm: some JWTAlgorithm) async throws {}
}
