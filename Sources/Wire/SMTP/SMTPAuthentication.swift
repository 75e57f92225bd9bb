// What a client offered to prove who it is (RFC 4954). It holds a password, so nothing here ever prints one.

package enum SMTPAuthenticationMechanism: String, Hashable, Sendable, CaseIterable {
    /// RFC 4616.
    case plain = "PLAIN"
    /// No RFC; two base64 lines. Kept because old printers and some libraries know nothing else.
    case login = "LOGIN"
}

/// One attempt, for the delegate to judge.
package struct SMTPAuthentication: Sendable {
    package let mechanism: SMTPAuthenticationMechanism
    /// Whom the client wants to act as; `""` means as itself. Always `""` with LOGIN.
    package let authorizationID: String
    package let username: String
    /// The octets of the password, at most 255, no NUL among them with PLAIN.
    package let password: [UInt8]

    package init(
        mechanism: SMTPAuthenticationMechanism,
        authorizationID: String = "",
        username: String,
        password: [UInt8]
    ) {
        self.mechanism = mechanism
        self.authorizationID = authorizationID
        self.username = username
        self.password = password
    }
}

extension SMTPAuthentication: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var description: String { "\(mechanism.rawValue) as \(username), password hidden" }
    package var debugDescription: String { description }
    package var customMirror: Mirror { Mirror(self, children: ["mechanism": mechanism, "username": username]) }
}

/// The delegate's answer to an attempt.
package enum SMTPAuthenticationResult: Sendable {
    /// `identity` is whatever the delegate wants to find again in `SMTPConnectionInfo`.
    case accepted(identity: any Sendable)
    /// Usually `SMTPReply.badCredentials`; a 4yz when it could not be judged now.
    case refused(SMTPReply)
}
