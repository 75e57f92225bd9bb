// What a provider says of itself (OpenID Connect Discovery 1.0 §3), as far as we use it, and checked.

import JSON

struct ProviderMetadata: Sendable, Hashable {
    /// How the client shows who it is (OpenID Connect Core 1.0 §9).
    enum ClientAuthentication: Sendable, Hashable {
        case basic
        case post
    }

    let authorizationEndpoint: String
    let tokenEndpoint: String
    let keysEndpoint: String
    let userInfoEndpoint: String?
    let clientAuthentication: ClientAuthentication
    /// Whether answers to the browser name the issuer (RFC 9207).
    let namesIssuer: Bool

    /// Where an issuer's document is (§4.1).
    static func address(of issuer: String) -> String {
        var base = issuer
        while base.hasSuffix("/") { base.removeLast() }
        return base + "/.well-known/openid-configuration"
    }

    /// - Parameter issuer: as the operator wrote it; the document has to say the very same (§4.3), or else another provider
    ///   could speak for this one.
    init(_ bytes: [UInt8], issuer: String) throws(OpenIDError) {
        guard let document = (try? JSONParser.parse(bytes))?.objectValue else {
            throw OpenIDError(.misconfigured, "the discovery document is not a JSON object")
        }
        guard let named = document["issuer"]?.stringValue, named.utf8.elementsEqual(issuer.utf8) else {
            throw OpenIDError(.misconfigured, "the discovery document is of another issuer than the one configured")
        }
        func address(_ name: String) throws(OpenIDError) -> String? {
            guard let value = document[name], value != .null else { return nil }
            guard let text = value.stringValue else {
                throw OpenIDError(.misconfigured, "the discovery document's \(name) is not a string")
            }
            if let problem = ProviderAddress.problem(text, allowsQuery: true) {
                throw OpenIDError(.misconfigured, "the discovery document's \(name) \(problem)")
            }
            guard text.hasPrefix("https://") || issuer.hasPrefix("http://") else {
                throw OpenIDError(.misconfigured, "the discovery document's \(name) is http, and the issuer is https")
            }
            return text
        }
        func needed(_ name: String) throws(OpenIDError) -> String {
            guard let address = try address(name) else {
                throw OpenIDError(.misconfigured, "the discovery document has no \(name)")
            }
            return address
        }
        func strings(_ name: String) -> [String]? { document[name]?.arrayValue?.compactMap(\.stringValue) }
        authorizationEndpoint = try needed("authorization_endpoint")
        tokenEndpoint = try needed("token_endpoint")
        keysEndpoint = try needed("jwks_uri")
        userInfoEndpoint = try address("userinfo_endpoint")
        namesIssuer = document["authorization_response_iss_parameter_supported"]?.boolValue ?? false
        if let types = strings("response_types_supported"), !types.contains("code") {
            throw OpenIDError(.misconfigured, "the provider does not have the authorization code flow")
        }
        // RFC 8414 §2: basic where nothing is said.
        let methods = strings("token_endpoint_auth_methods_supported") ?? ["client_secret_basic"]
        clientAuthentication =
            !methods.contains("client_secret_basic") && methods.contains("client_secret_post") ? .post : .basic
    }
}
