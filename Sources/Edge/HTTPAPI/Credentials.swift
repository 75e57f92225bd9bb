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

    /// - Throws: `unauthorized`, or `forbidden` where the vault's `auth_mode` does not take this kind of credentials.
    func caller(of request: Request, accepting credentials: Endpoint.Credentials) async throws -> Caller {
        guard let field = request.headers[.authorization] else {
            throw PosternError(.unauthorized, "the request has no Authorization field")
        }
        if let key = field.credentials(of: "bearer") {
            let caller = try await authenticator.authenticate(key: Secret(key))
            if credentials == .keyOrLogin { try await check(caller, allows: [.apiKey, .both]) }
            return caller
        }
        if credentials == .keyOrLogin, let basic = field.credentials(of: "basic") {
            guard let data = Data(base64Encoded: basic), let text = String(data: data, encoding: .utf8),
                let colon = text.firstIndex(of: ":")
            else { throw PosternError(.unauthorized, "the Basic credentials cannot be read") }
            let caller = try await authenticator.authenticate(
                username: String(text[..<colon]), password: Secret(String(text[text.index(after: colon)...])))
            try await check(caller, allows: [.smtp, .both])
            return caller
        }
        throw PosternError(.unauthorized, "this kind of Authorization is not taken here")
    }

    private func check(_ caller: Caller, allows modes: [AuthMode]) async throws {
        let mode = try await vaults.snapshot(of: caller.vault).settings.require(Settings.authMode)
        guard modes.contains(mode) else {
            throw PosternError(
                .forbidden, "the vault's auth_mode is \(mode.rawValue), which does not take these credentials",
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
