// Why a server's connection ended, for the log and for counting.

package enum SMTPCloseReason: Hashable, Sendable {
    case quit
    /// The client went away, with or without a word.
    case clientClosed
    /// Nothing came for as long as the limits allow.
    case timedOut
    /// The session as a whole lasted too long, or carried as many messages as one session may.
    case sessionSpent
    case tooManyErrors
    case tooManyCommands
    case tooManyAuthenticationFailures
    /// Bytes came before our greeting.
    case spokeEarly
    /// A bare CR, a bare LF or a NUL: the start of most SMTP smuggling.
    case badLineEnding
    /// The size of a chunk could not be read, so nobody knows where the next command begins.
    case lostFraming
    /// More octets than we are ready to throw away came behind an error.
    case flood
    /// Clear text was waiting behind STARTTLS (command injection, CVE-2011-0411).
    case injectedBeforeTLS
    /// Another protocol is talking to us, HTTP usually.
    case notSMTP
    case tlsFailed(String)
    /// What takes the mail answered 421 or 521.
    case refused
    case serverShutdown
    case connectionError(String)
}

extension SMTPCloseReason: CustomStringConvertible {
    package var description: String {
        switch self {
        case .quit: "the client said QUIT"
        case .clientClosed: "the client closed the connection"
        case .timedOut: "nothing came within the time allowed"
        case .sessionSpent: "the session was used up"
        case .tooManyErrors: "too many errors"
        case .tooManyCommands: "too many commands without authentication"
        case .tooManyAuthenticationFailures: "too many failed authentications"
        case .spokeEarly: "the client spoke before the greeting"
        case .badLineEnding: "a bare CR, a bare LF or a NUL was sent"
        case .lostFraming: "the size of a chunk was unreadable"
        case .flood: "the client went on sending what was already refused"
        case .injectedBeforeTLS: "clear text was waiting behind STARTTLS"
        case .notSMTP: "the client speaks another protocol"
        case .tlsFailed(let detail): "TLS failed: \(detail)"
        case .refused: "the server refused to go on"
        case .serverShutdown: "the server is shutting down"
        case .connectionError(let detail): "the connection failed: \(detail)"
        }
    }
}

extension SMTPCloseReason {
    /// The client did what only broken or hostile software does: worth a line in the log.
    package var isSuspicious: Bool {
        switch self {
        case .tooManyErrors, .tooManyCommands, .tooManyAuthenticationFailures, .spokeEarly, .badLineEnding,
            .lostFraming, .flood, .injectedBeforeTLS, .notSMTP:
            true
        case .quit, .clientClosed, .timedOut, .sessionSpent, .tlsFailed, .refused, .serverShutdown, .connectionError:
            false
        }
    }
}
