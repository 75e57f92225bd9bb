// Reads how a request shows who sends it: a key, a login, an access token, or the cookie of a session.

import FoundationEssentials
import Gate
import HTTPTypes
import Hummingbird
import Model
import People
import Sealing
import Vaults

struct CredentialReader: Sendable {
    let authenticator: Authenticator
    let sessions: SessionKeeper
    let vaults: VaultDirectory
    /// Where pages of ours come from.
    let publicURL: String

    /// - Parameter path: the endpoint's, for which the vault may want one kind of credentials.
    /// - Throws: `unauthorized`, `csrf_refused`, or `forbidden` where the vault's `auth_mode` does not take this kind of
    ///   credentials.
    func principal(
        of request: Request,
        from address: String?,
        accepting credentials: Endpoint.Credentials,
        at path: String
    ) async throws -> Principal {
        guard let field = request.headers[.authorization] else {
            if let cookie = request.headers.cookie(SessionCookies.session) {
                return .person(try await person(cookie: Secret(cookie), request))
            }
            throw PosternError(.unauthorized, "the request has no Authorization field")
        }
        if let token = field.credentials(of: "bearer") {
            guard token.hasPrefix("ak_") || !token.contains(".") else {
                return .person(try await sessions.person(accessToken: Secret(token)))
            }
            let caller = try await authenticator.authenticate(key: Secret(token), from: address)
            if credentials == .keyOrLogin { try await check(caller, allows: [.apiKey, .both], at: path) }
            return .caller(caller)
        }
        if credentials == .keyOrLogin, let basic = field.credentials(of: "basic") {
            guard let data = Data(base64Encoded: basic), let text = String(data: data, encoding: .utf8),
                let colon = text.firstIndex(of: ":")
            else { throw PosternError(.unauthorized, "the Basic credentials cannot be read") }
            let caller = try await authenticator.authenticate(
                username: String(text[..<colon]), password: Secret(String(text[text.index(after: colon)...])),
                from: address)
            try await check(caller, allows: [.smtp, .both], at: path)
            return .caller(caller)
        }
        throw PosternError(.unauthorized, "this kind of Authorization is not taken here")
    }

    /// A key that a provider's client shows in its own way.
    func caller(key: Secret<String>, from address: String?, at path: String) async throws -> Caller {
        let caller = try await authenticator.authenticate(key: key, from: address)
        try await check(caller, allows: [.apiKey, .both], at: path)
        return caller
    }

    /// A browser sends its cookies with whatever a page makes it send, so that what changes something has to show that one of
    /// our pages asked for it.
    private func person(cookie: Secret<String>, _ request: Request) async throws -> Person {
        let person = try await sessions.person(cookie: cookie)
        guard ![.get, .head, .options].contains(request.method) else { return person }
        let shown = Array((request.headers[.csrfToken] ?? "").utf8)
        guard constantTimeEquals(shown, Array(SessionCookies.csrf(for: cookie).utf8)) else {
            throw PosternError(
                .csrfRefused, "the request came with a cookie, and without the X-CSRF-Token that goes with it")
        }
        if let origin = request.headers[.origin], !RequestOrigin.isOurs(origin, request, publicURL: publicURL) {
            throw PosternError(.csrfRefused, "the request was sent by a page of another site")
        }
        return person
    }

    private func check(_ caller: Caller, allows modes: [AuthMode], at path: String) async throws {
        let mode = try await vaults.snapshot(of: caller.vault).settings.require(Settings.authMode).mode(for: path)
        guard modes.contains(mode) else {
            throw PosternError(
                .forbidden,
                "the vault's auth_mode for \(path) is \(mode.rawValue), which does not take these credentials",
                fix: "Use the other kind of credentials, or change the setting auth_mode.")
        }
    }
}

extension HTTPFields {
    /// The cookie of this name (RFC 6265 §5.4); `nil` where it comes twice: then a neighbouring domain may have set one of them,
    /// and nobody can tell whose session is meant.
    func cookie(_ name: String) -> String? {
        var found: String?
        for field in self[values: .cookie] {
            for pair in field.split(separator: ";") {
                let pair = pair.drop { $0 == " " || $0 == "\t" }
                guard pair.utf8.starts(with: name.utf8), pair.utf8.dropFirst(name.utf8.count).first == UInt8(ascii: "=")
                else { continue }
                guard found == nil else { return nil }
                found = String(pair.dropFirst(name.count + 1))
            }
        }
        return found
    }
}

extension HTTPField.Name {
    static let csrfToken = HTTPField.Name("X-CSRF-Token")!
    static let vault = HTTPField.Name("X-Postern-Vault")!
}

extension String {
    /// What follows the scheme's name, which is compared without case (RFC 9110 §11.1).
    fileprivate func credentials(of scheme: String) -> String? {
        guard utf8.count > scheme.utf8.count + 1, prefix(scheme.count).lowercased() == scheme,
            utf8.dropFirst(scheme.utf8.count).first == UInt8(ascii: " ")
        else { return nil }
        return String(dropFirst(scheme.count + 1).drop { $0 == " " })
    }
}
