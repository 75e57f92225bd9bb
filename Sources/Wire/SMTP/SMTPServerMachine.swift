// The server's side of an SMTP session as a value (RFC 5321 §4): events in, actions out. It holds no bytes, no sockets
// and no clock; SMTPServerSession feeds it lines, and the NIO handler does what it says.

package import NIOCore

package struct SMTPServerMachine: Sendable {
    enum State: Sendable {
        /// Our greeting is not sent yet; nobody else may speak.
        case greeting
        /// Between transactions.
        case idle
        case authenticating(SMTPAuthenticationExchange)
        /// The delegate looks at credentials.
        case judgingCredentials
        /// The delegate looks at a sender.
        case judgingSender(SMTPReversePath)
        /// MAIL was accepted.
        case envelope(SMTPTransaction)
        /// The delegate looks at a recipient.
        case judgingRecipient(SMTPRecipient, SMTPTransaction)
        /// The body of DATA is coming in.
        case data(SMTPTransaction)
        /// The octets of a BDAT chunk are coming in.
        case chunk(SMTPTransaction, isLast: Bool)
        /// The octets of a chunk that will get this reply are coming in.
        case refusedChunk(SMTPReply)
        /// Between two chunks.
        case betweenChunks(SMTPTransaction)
        /// The delegate has the message.
        case storing
        /// The handshake is next: after STARTTLS, or before the greeting where TLS is implicit.
        case startingTLS(isImplicit: Bool)
        case closed
    }

    /// What the peer is expected to send.
    package enum Expectation: Hashable, Sendable {
        /// A line of at most this many octets.
        case line(limit: Int)
        case data
        /// `isText`: lines end in CRLF. `isKept`: `false` when the octets are only read to be rid of them.
        case chunk(isText: Bool, isKept: Bool)
        /// Nothing: the delegate, the handshake or the end of the connection is waited for.
        case nothing
    }

    /// What a line leads to.
    package enum Action: Sendable {
        case reply(SMTPReply)
        case judgeCredentials(SMTPAuthentication)
        case judgeSender(SMTPReversePath)
        case judgeRecipient(SMTPRecipient, SMTPTransaction)
        /// Send `354`; the body follows.
        case receiveData(SMTPTransaction, SMTPReply)
        /// A chunk of this size follows. `isFirst`: it begins a new message.
        case receiveChunk(size: Int, isFirst: Bool)
        /// The message is whole.
        case store(SMTPTransaction)
        /// Send this in clear, and begin the handshake if nothing else was received.
        case startTLS(SMTPReply)
        /// Send these, then hang up.
        case close([SMTPReply], SMTPCloseReason)
    }

    let settings: SMTPServerSettings
    var limits: SMTPServerLimits { settings.limits }
    var state: State

    /// The argument of the last EHLO or HELO.
    package internal(set) var hello: String?
    package internal(set) var isESMTP = false
    package internal(set) var isTLS = false
    package internal(set) var isAuthenticated = false

    /// Set by `shutDown`: the message at hand is finished, then comes 421.
    var isDraining = false
    var errors = 0
    var authenticationFailures = 0
    var unauthenticatedCommands = 0
    var messages = 0
    /// When the session began, and since when we wait for the client.
    private let started: NIODeadline
    var waitingSince: NIODeadline

    /// - Parameters:
    ///   - implicitTLS: The handshake comes before everything else (RFC 8314 §3.3).
    ///   - now: When the connection was made.
    package init(settings: SMTPServerSettings, implicitTLS: Bool, now: NIODeadline) {
        self.settings = settings
        self.state = implicitTLS ? .startingTLS(isImplicit: true) : .greeting
        self.started = now
        self.waitingSince = now
    }

    package var expectation: Expectation {
        switch state {
        case .idle, .envelope, .betweenChunks: .line(limit: limits.commandLine)
        case .authenticating: .line(limit: limits.authenticationLine)
        case .data: .data
        case .chunk(let transaction, _): .chunk(isText: transaction.reversePath.body != .binaryMIME, isKept: true)
        case .refusedChunk: .chunk(isText: false, isKept: false)
        case .greeting, .judgingCredentials, .judgingSender, .judgingRecipient, .storing, .startingTLS, .closed:
            .nothing
        }
    }

    /// Octets are worth keeping between commands only here.
    package var isBetweenChunks: Bool {
        if case .betweenChunks = state { true } else { false }
    }

    package var isClosed: Bool {
        if case .closed = state { true } else { false }
    }

    /// The transaction that replies belong to may use UTF-8 in them (RFC 6531 §3.7.4.2).
    package var allowsUTF8Replies: Bool {
        if case .envelope(let transaction) = state { transaction.usedSMTPUTF8 } else { false }
    }

    // MARK: Time

    /// When `deadlineReached` should be called at the latest; `nil` while the client is not to blame.
    package var deadline: NIODeadline? {
        let patience: TimeAmount
        switch state {
        case .greeting, .idle, .authenticating, .envelope, .betweenChunks: patience = limits.commandTimeout
        case .data, .chunk, .refusedChunk: patience = limits.dataTimeout
        case .startingTLS: patience = limits.handshakeTimeout
        case .judgingCredentials, .judgingSender, .judgingRecipient, .storing, .closed: return nil
        }
        return min(waitingSince + patience, started + limits.sessionTime)
    }

    /// Time has passed.
    ///
    /// - Returns: `nil` when the deadline has moved on meanwhile.
    package mutating func deadlineReached(now: NIODeadline) -> Action? {
        guard let deadline, deadline <= now else { return nil }
        if case .startingTLS = state { return close([], .timedOut) }
        guard now < started + limits.sessionTime else { return close([.sessionSpent], .sessionSpent) }
        return close([.idleTimeout], .timedOut)
    }

    /// Octets of a message came in. A command is timed as a whole, so its octets do not count.
    package mutating func received(now: NIODeadline) {
        switch state {
        case .data, .chunk, .refusedChunk: waitingSince = now
        case .greeting, .idle, .authenticating, .judgingCredentials, .judgingSender, .envelope, .judgingRecipient,
            .betweenChunks, .storing, .startingTLS, .closed:
            break
        }
    }

    /// We wait for the client from now on.
    mutating func wait(in state: State, now: NIODeadline) {
        self.state = state
        waitingSince = now
    }

    // MARK: The session as a whole

    /// The client has kept still before the greeting, as it must.
    package mutating func greet(now: NIODeadline) -> Action {
        guard case .greeting = state else { preconditionFailure("a session is greeted once") }
        wait(in: .idle, now: now)
        return .reply(SMTPReply(220, nil, "\(settings.hostname) \(settings.greeting)"))
    }

    /// Octets came before the greeting (RFC 5321 §3.1: the client waits for it).
    package mutating func spokeEarly() -> Action { close([.spokeEarly], .spokeEarly) }

    /// The handshake has succeeded. All that was said before is forgotten (RFC 3207 §4.2).
    package mutating func tlsEstablished(now: NIODeadline) {
        guard case .startingTLS(let isImplicit) = state else { preconditionFailure("no handshake was begun") }
        isTLS = true
        hello = nil
        isESMTP = false
        isAuthenticated = false
        wait(in: isImplicit ? .greeting : .idle, now: now)
    }

    /// STARTTLS was accepted, but there is no certificate to go on with.
    package mutating func tlsUnavailable(now: NIODeadline) -> Action {
        guard case .startingTLS(isImplicit: false) = state else { preconditionFailure("TLS follows STARTTLS") }
        wait(in: .idle, now: now)
        return .reply(.tlsUnavailable)
    }

    /// Clear text stood behind STARTTLS: someone in between wants it to be taken for the client's (CVE-2011-0411).
    package mutating func injectedBeforeTLS() -> Action { close([.injectedBeforeTLS], .injectedBeforeTLS) }

    /// A CR or LF on its own, or a NUL, anywhere.
    package mutating func malformedLine() -> Action { close([.badLineEnding], .badLineEnding) }

    /// The client goes on sending what was refused.
    package mutating func flooded() -> Action { close([.flood], .flood) }

    package mutating func lineTooLong(now: NIODeadline) -> Action {
        if case .authenticating = state {
            wait(in: .idle, now: now)
            return refuse(.authenticationLineTooLong)
        }
        waitingSince = now
        return refuse(.commandTooLong)
    }

    /// The client will send no more, and all that it sent was answered.
    package mutating func inputEnded() -> Action { close([], .clientClosed) }

    /// Begins to drain: a message that is being received or stored is finished, everything else ends now.
    ///
    /// - Returns: `nil` when there is something to finish first.
    package mutating func shutDown() -> Action? {
        isDraining = true
        switch state {
        case .greeting, .idle, .authenticating, .envelope: return close([.shuttingDown], .serverShutdown)
        case .startingTLS: return close([], .serverShutdown)
        case .judgingCredentials, .judgingSender, .judgingRecipient, .data, .chunk, .refusedChunk, .betweenChunks,
            .storing, .closed:
            return nil
        }
    }

    // MARK: Replies

    mutating func close(_ replies: [SMTPReply], _ reason: SMTPCloseReason) -> Action {
        state = .closed
        return .close(replies, reason)
    }

    /// A refusal for which the client is to blame; after too many of them it has to go.
    mutating func refuse(_ reply: SMTPReply) -> Action {
        errors += 1
        if errors >= limits.errors { return close([reply, .tooManyErrors], .tooManyErrors) }
        return answer(reply)
    }

    /// A reply of the delegate's or our own. 421 and 521 mean that we hang up (RFC 5321 §3.8, RFC 7504).
    mutating func answer(_ reply: SMTPReply) -> Action {
        if reply.code == 421 || reply.code == 521 { return close([reply], .refused) }
        if isDraining, case .idle = state { return close([reply, .shuttingDown], .serverShutdown) }
        return .reply(reply)
    }
}
