// AUTH PLAIN (RFC 4616) and LOGIN as a small machine of its own: challenge in, response out (RFC 4954 §4).

import SMTP

enum SMTPAuthMechanism: String, Hashable, Sendable {
    case plain = "PLAIN"
    case login = "LOGIN"
}

struct SMTPAuthExchange: Hashable, Sendable {
    let mechanism: SMTPAuthMechanism
    /// Still to be sent, each on a challenge of its own.
    private var responses: ArraySlice<SMTPAuthResponse>
    let opening: SMTPClientCommand

    enum Action: Hashable {
        case respond(SMTPClientCommand)
        case authenticated
        /// The peer refused, or asked for more than the mechanism has.
        case failed(SMTPReply)
    }

    /// Nil when the peer offers neither mechanism. PLAIN is preferred: one round trip less.
    init?(_ credentials: SMTPCredentials, offered: Set<SMTPAuthMechanism>) {
        let username = Array(credentials.username.utf8)
        let password = Array(credentials.password.utf8)
        if offered.contains(.plain) {
            mechanism = .plain
            let response = SMTPAuthResponse([0] + username + [0] + password)
            let command = SMTPClientCommand.auth(.plain, initial: response)
            // RFC 4954 §4: no initial response that makes the line longer than a command may be.
            if command.length <= 512 {
                opening = command
                responses = []
            } else {
                opening = .auth(.plain, initial: nil)
                responses = [response]
            }
        } else if offered.contains(.login) {
            mechanism = .login
            opening = .auth(.login, initial: nil)
            responses = [SMTPAuthResponse(username), SMTPAuthResponse(password)]
        } else {
            return nil
        }
    }

    mutating func replyReceived(_ reply: SMTPReply) -> Action {
        if reply.code == 334, let next = responses.popFirst() { return .respond(.authResponse(next)) }
        if (200..<300).contains(reply.code) { return .authenticated }
        return .failed(reply)
    }
}
