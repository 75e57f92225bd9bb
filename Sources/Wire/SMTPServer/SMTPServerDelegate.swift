// The seam between the SMTP server and whatever takes the mail: the server knows the protocol, the delegate decides.

package import NIOCore
package import SMTP

/// Judges senders, recipients and messages of every connection of a server.
package protocol SMTPServerDelegate: Sendable {
    /// Judges a user name and password. Runs off the event loop and may take its time (a password hash).
    func authenticate(
        _ attempt: SMTPAuthentication,
        connection: SMTPConnectionInfo
    ) async -> SMTPAuthenticationResult

    /// Judges a sender. On the event loop: must not block.
    ///
    /// - Returns: `nil` to accept, else the refusal, whose code is 400 or more.
    func mail(_ reversePath: SMTPReversePath, connection: SMTPConnectionInfo) -> SMTPReply?

    /// Judges one recipient; `transaction` holds those accepted before it. On the event loop: must not block.
    ///
    /// - Returns: `nil` to accept, else the refusal, whose code is 400 or more.
    func recipient(
        _ recipient: SMTPRecipient,
        transaction: SMTPTransaction,
        connection: SMTPConnectionInfo
    ) -> SMTPReply?

    /// Takes a whole message, free of dot-stuffing. With DATA every line ends in CRLF, and there is no other CR or LF.
    ///
    /// The reply is what the client hears: 250 makes the message ours, so it must be durable before this returns. It
    /// is not cancelled when the client goes away, and during a shutdown it is waited for.
    func message(
        _ transaction: SMTPTransaction,
        data: ByteBuffer,
        connection: SMTPConnectionInfo
    ) async -> SMTPReply

    /// A connection was accepted; with implicit TLS, before its handshake. Not called for those over the limits.
    func connectionOpened(_ connection: SMTPConnectionInfo)

    /// Called once for each `connectionOpened`.
    func connectionClosed(_ connection: SMTPConnectionInfo, reason: SMTPCloseReason)
}

extension SMTPServerDelegate {
    package func mail(_ reversePath: SMTPReversePath, connection: SMTPConnectionInfo) -> SMTPReply? { nil }
    package func connectionOpened(_ connection: SMTPConnectionInfo) {}
    package func connectionClosed(_ connection: SMTPConnectionInfo, reason: SMTPCloseReason) {}
}
