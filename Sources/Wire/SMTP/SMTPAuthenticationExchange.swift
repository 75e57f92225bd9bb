// The dialogue of one AUTH command (RFC 4954 §4): challenges, responses, and what they add up to.

import FoundationEssentials
import NIOCore

struct SMTPAuthenticationExchange {
    private enum State {
        case plain
        case loginUsername
        case loginPassword(username: String)
    }

    private var state: State

    /// What to do next.
    enum Step {
        /// Send `334` and this, in base64 already.
        case challenge(String)
        case attempt(SMTPAuthentication)
        case failed(SMTPReply)
    }

    init(_ mechanism: SMTPAuthenticationMechanism) {
        switch mechanism {
        case .plain: state = .plain
        case .login: state = .loginUsername
        }
    }

    /// - Parameter initialResponse: As it stood in the AUTH command, where `=` is how an empty one is written.
    mutating func begin(initialResponse: ByteBuffer?) -> Step {
        if let initialResponse {
            let bytes = initialResponse.readableBytesView
            return respond(bytes.elementsEqual("=".utf8) ? bytes.prefix(0) : bytes)
        }
        switch state {
        case .plain: return .challenge("")
        case .loginUsername: return .challenge(Self.usernameChallenge)
        case .loginPassword: preconditionFailure("the password is asked for after the user name")
        }
    }

    /// - Parameter line: The client's line, in base64, or `*` to give up.
    mutating func respond(_ line: ByteBufferView) -> Step {
        if line.elementsEqual("*".utf8) { return .failed(.authenticationCancelled) }
        guard let response = Self.decode(line) else { return .failed(.badBase64) }
        switch state {
        case .plain:
            return Self.plain(response)
        case .loginUsername:
            guard (1...255).contains(response.count), let username = String(validating: response, as: UTF8.self) else {
                return .failed(.badLoginResponse)
            }
            state = .loginPassword(username: username)
            return .challenge(Self.passwordChallenge)
        case .loginPassword(let username):
            guard (1...255).contains(response.count) else { return .failed(.badLoginResponse) }
            return .attempt(SMTPAuthentication(mechanism: .login, username: username, password: response))
        }
    }

    private static let usernameChallenge = "VXNlcm5hbWU6"  // "Username:"
    private static let passwordChallenge = "UGFzc3dvcmQ6"  // "Password:"

    /// RFC 4616 §2: `[authzid] NUL authcid NUL passwd`.
    private static func plain(_ response: [UInt8]) -> Step {
        let parts = response.split(separator: .nul, omittingEmptySubsequences: false)
        guard parts.count == 3, parts.allSatisfy({ $0.count <= 255 }), !parts[1].isEmpty, !parts[2].isEmpty,
            let authorizationID = String(validating: parts[0], as: UTF8.self),
            let username = String(validating: parts[1], as: UTF8.self),
            String(validating: parts[2], as: UTF8.self) != nil
        else { return .failed(.badPlainResponse) }
        return .attempt(
            SMTPAuthentication(
                mechanism: .plain,
                authorizationID: authorizationID,
                username: username,
                password: Array(parts[2])
            )
        )
    }

    /// Strict base64: nothing but the alphabet, padding where it belongs (RFC 4954 §4, RFC 4648 §3).
    private static func decode(_ line: ByteBufferView) -> [UInt8]? {
        guard line.count % 4 == 0, let data = Data(base64Encoded: Data(line)) else { return nil }
        return Array(data)
    }
}
