// Reads a request's Authorization field and asks who that is.

import FoundationEssentials
import Gate
import HTTPTypes
import Hummingbird
import Model
import Sealing
import Vaults

struct CredentialReader: Sendable {
    let authenticator: Authenticator
    let vaults: VaultDirectory

    /// - Parameter path: the endpoint's, for which the vault may want one kind of credentials.
    /// - Throws: `unauthorized`, or `forbidden` where the vault's `auth_mode` does not take this kind of credentials.
    func caller(
        of request: Request,
        from address: String?,
        accepting credentials: Endpoint.Credentials,
        at path: String
    ) async throws -> Caller {
        guard let field = request.headers[.authorization] else {
            throw PosternError(.unauthorized, "the request has no Authorization field")
        }
        if let key = field.credentials(of: "bearer") {
            let caller = try await authenticator.authenticate(key: Secret(key), from: address)
            if credentials == .keyOrLogin { try await check(caller, allows: [.apiKey, .both], at: path) }
            return caller
        }
        if credentials == .keyOrLogin, let basic = field.credentials(of: "basic") {
            guard let data = Data(base64Encoded: basic), let text = String(data: data, encoding: .utf8),
                let colon = text.firstIndex(of: ":")
            else { throw PosternError(.unauthorized, "the Basic credentials cannot be read") }
            let caller = try await authenticator.authenticate(
                username: String(text[..<colon]), password: Secret(String(text[text.index(after: colon)...])),
                from: address)
            try await check(caller, allows: [.smtp, .both], at: path)
            return caller
        }
        throw PosternError(.unauthorized, "this kind of Authorization is not taken here")
    }

    /// A key that a provider's client shows in its own way.
    func caller(key: Secret<String>, from address: String?, at path: String) async throws -> Caller {
        let caller = try await authenticator.authenticate(key: key, from: address)
        try await check(caller, allows: [.apiKey, .both], at: path)
        return caller
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

extension String {
    /// What follows the scheme's name, which is compared without case (RFC 9110 §11.1).
    fileprivate func credentials(of scheme: String) -> String? {
        guard utf8.count > scheme.utf8.count + 1, prefix(scheme.count).lowercased() == scheme,
            utf8.dropFirst(scheme.utf8.count).first == UInt8(ascii: " ")
        else { return nil }
        return String(dropFirst(scheme.count + 1).drop { $0 == " " })
    }
}
