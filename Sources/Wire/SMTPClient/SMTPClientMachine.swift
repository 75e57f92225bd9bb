// The life of one connection as a value: what happened goes in, what is to be done comes out. No channel, no clock.

import SMTP

/// Greeting, EHLO, STARTTLS, EHLO again, AUTH, then any number of transactions, then QUIT (RFC 5321 §3).
struct SMTPClientMachine {
    struct Settings: Sendable {
        var tls: SMTPClientTLS.Mode
        var helloName: SMTPHelloName
        var credentials: SMTPCredentials?
        /// AUTH may go over a connection that is in clear or unverified: the peer is loopback, or we were told to.
        var allowsUnprotectedAuth: Bool
        var usesPipelining: Bool
        var timeouts: SMTPClientTimeouts
        var idleTimeout: Duration
    }

    private enum Security: Hashable {
        /// Not yet, or never. `declined`: the peer was asked for STARTTLS and would not.
        case clear(declined: Bool)
        case encrypted
    }

    private struct Session {
        var capabilities: SMTPCapabilities
        /// An earlier transaction was left open.
        var needsReset = false
        var transactions = 0
    }

    private enum State {
        case unconnected
        /// Implicit TLS: before the greeting.
        case securing
        case greeting(Security)
        case ehlo(Security)
        case helo(Security)
        case requestingTLS(SMTPCapabilities)
        case upgrading
        case authenticating(SMTPCapabilities, SMTPAuthExchange)
        case ready(Session)
        case transacting(Session, SMTPClientTransaction)
        case quitting
        case closed
    }

    private let settings: Settings
    private var state = State.unconnected

    init(_ settings: Settings) {
        self.settings = settings
    }

    /// How long the present state may last without an event; nil when nothing is waited for.
    var patience: Duration? {
        let timeouts = settings.timeouts
        return switch state {
        case .unconnected, .closed: nil
        case .securing, .upgrading: timeouts.handshake
        case .greeting: timeouts.greeting
        case .ehlo, .helo, .requestingTLS, .authenticating: timeouts.command
        case .ready: settings.idleTimeout
        case .transacting(_, let transaction):
            switch transaction.stage {
            case .mail: timeouts.mail
            case .rcpt: timeouts.rcpt
            case .data: transaction.isSendingContent ? timeouts.dataBlock : timeouts.dataInitiation
            case .dot: timeouts.finalDot
            case .local, .connect, .greeting, .ehlo, .tls, .auth: timeouts.command
            }
        case .quitting: timeouts.quit
        }
    }

    /// Ready for `deliver`.
    var isReady: Bool {
        if case .ready = state { true } else { false }
    }
}

// MARK: - Opening

extension SMTPClientMachine {
    enum ConnectedAction: Hashable {
        case startTLS
        case awaitGreeting
    }

    mutating func connected() -> ConnectedAction {
        guard case .unconnected = state else { preconditionFailure("a connection is made once") }
        switch settings.tls {
        case .implicit:
            state = .securing
            return .startTLS
        case .required, .opportunistic, .none:
            state = .greeting(.clear(declined: false))
            return .awaitGreeting
        }
    }

    enum SecuredAction: Hashable {
        case awaitGreeting
        case send(SMTPClientCommand)
        /// The connection was given up in the meantime.
        case ignore
    }

    /// The TLS handshake is over, with the checks that the mode asks for.
    mutating func secured() -> SecuredAction {
        switch state {
        case .securing:
            state = .greeting(.encrypted)
            return .awaitGreeting
        case .upgrading:
            // RFC 3207 §4.2: everything learnt before is forgotten.
            state = .ehlo(.encrypted)
            return .send(.ehlo(settings.helloName))
        case .quitting, .closed:
            return .ignore
        case .unconnected, .greeting, .ehlo, .helo, .requestingTLS, .authenticating, .ready, .transacting:
            preconditionFailure("a TLS handshake that nobody began")
        }
    }
}

// MARK: - Replies

extension SMTPClientMachine {
    enum ReplyAction: Hashable {
        case wait
        /// Commands for one flush.
        case send([SMTPClientCommand])
        case startTLS
        /// The connection is open for transactions.
        case opened
        /// Opening failed: report, then say `goodbye` (RFC 5321 §4.1.1.10) or close where there is none.
        case refused(SMTPFailure, goodbye: SMTPClientCommand?)
        case sendContent
        /// The transaction is over; `isReusable`: the connection is ready for the next. Else close.
        case finished(Report, isReusable: Bool)
        case close
    }

    /// What came of a transaction.
    struct Report: Hashable {
        /// In the order of the transaction's recipients.
        var statuses: [SMTPRecipientStatus]
        /// The connection had been used before and turned out to be dead before MAIL was answered: nothing was tried.
        var isStale = false
    }

    /// - Parameter moreBytes: further bytes of the peer had been received behind this reply.
    mutating func replyReceived(_ reply: SMTPReply, moreBytes: Bool) -> ReplyAction {
        let action = dispatch(reply, moreBytes: moreBytes)
        // We speak only when the peer owes no reply, so that whatever it has said beyond this one came unasked. Taking
        // it for the answer to what we are about to say would put us out of step.
        guard moreBytes, case .send = action else { return action }
        switch lost(.violation("a reply before it was asked")) {
        case .none: return .close
        case .failOpening(let failure): return .refused(failure, goodbye: nil)
        case .failTransaction(let report): return .finished(report, isReusable: false)
        }
    }

    private mutating func dispatch(_ reply: SMTPReply, moreBytes: Bool) -> ReplyAction {
        switch state {
        case .greeting(let security): return greeted(reply, security)
        case .ehlo(let security): return ehloReply(reply, security)
        case .helo(let security): return heloReply(reply, security)
        case .requestingTLS(let capabilities): return startTLSReply(reply, capabilities, moreBytes: moreBytes)
        case .authenticating(let capabilities, let exchange): return authReply(reply, capabilities, exchange)
        case .transacting(let session, var transaction):
            state = .closed  // so that the transaction is held once, and changed in place
            return afterTransactionReply(transaction.replyReceived(reply), session, transaction)
        case .ready, .quitting:
            // An idle connection hears at most "421 closing"; a QUIT is answered by 221. Both end it.
            state = .closed
            return .close
        case .closed: return .wait
        case .securing, .upgrading:
            state = .closed
            return .refused(SMTPFailure(.violation("text before TLS was up"), stage: .tls), goodbye: nil)
        case .unconnected:
            preconditionFailure("a reply before there is a connection")
        }
    }

    private mutating func greeted(_ reply: SMTPReply, _ security: Security) -> ReplyAction {
        guard reply.code == 220 else {
            // A 554 greeting means "no mail service here" (RFC 5321 §3.1), not "this message is refused": the server
            // is one that we were told to use, so mail waits until somebody mends the one or the other.
            return refuse(SMTPFailure(reply, stage: .greeting, context: "the server does not take our connection"))
        }
        state = .ehlo(security)
        return .send([.ehlo(settings.helloName)])
    }

    private mutating func ehloReply(_ reply: SMTPReply, _ security: Security) -> ReplyAction {
        if (200..<300).contains(reply.code) { return introduced(SMTPCapabilities(ehlo: reply), security) }
        if reply.isPermanentFailure, reply.code != 521 {
            // RFC 5321 §3.2: a server that does not know EHLO may know HELO.
            state = .helo(security)
            return .send([.helo(settings.helloName)])
        }
        return refuse(SMTPFailure(reply, stage: .ehlo, context: "EHLO was refused"))
    }

    private mutating func heloReply(_ reply: SMTPReply, _ security: Security) -> ReplyAction {
        guard (200..<300).contains(reply.code) else {
            return refuse(SMTPFailure(reply, stage: .ehlo, context: "HELO was refused"))
        }
        return introduced(SMTPCapabilities(), security)
    }

    /// The peer's abilities are known: TLS next, or AUTH, or we are there.
    private mutating func introduced(_ capabilities: SMTPCapabilities, _ security: Security) -> ReplyAction {
        switch (settings.tls, security) {
        case (.required, .clear(declined: false)), (.opportunistic, .clear(declined: false)):
            if capabilities.startTLS {
                state = .requestingTLS(capabilities)
                return .send([.startTLS])
            }
            if settings.tls == .required {
                return refuse(.tls("the server does not offer STARTTLS, and TLS is required"))
            }
            return authenticate(capabilities, security)
        case (.required, .clear(declined: true)), (.implicit, .clear):
            preconditionFailure("required TLS was done without")
        case (.required, .encrypted), (.implicit, .encrypted), (.opportunistic, _), (.none, _):
            return authenticate(capabilities, security)
        }
    }

    private mutating func startTLSReply(
        _ reply: SMTPReply,
        _ capabilities: SMTPCapabilities,
        moreBytes: Bool
    ) -> ReplyAction {
        if reply.code == 220 {
            // Text in clear behind the 220 was put there to be read as if it had come under TLS (CVE-2011-0411).
            guard !moreBytes else {
                state = .closed
                let what = "the server, or somebody in between, sent text in clear behind its reply to STARTTLS"
                return .refused(.tls(what), goodbye: nil)
            }
            state = .upgrading
            return .startTLS
        }
        switch settings.tls {
        case .opportunistic where reply.code != 421:
            return authenticate(capabilities, .clear(declined: true))
        case .required, .implicit, .opportunistic, .none:
            return refuse(SMTPFailure(reply, stage: .tls, context: "STARTTLS was refused"))
        }
    }

    private mutating func authenticate(_ capabilities: SMTPCapabilities, _ security: Security) -> ReplyAction {
        guard let credentials = settings.credentials else { return open(capabilities) }
        // Under `.opportunistic` anybody could be at the other end, encrypted or not.
        let isProtected = security == .encrypted && settings.tls != .opportunistic
        guard isProtected || settings.allowsUnprotectedAuth else {
            return refuse(.auth("credentials are only sent over verified TLS, and this connection has none"))
        }
        guard let exchange = SMTPAuthExchange(credentials, offered: capabilities.authentication) else {
            return refuse(.auth("the server offers neither AUTH PLAIN nor AUTH LOGIN"))
        }
        state = .authenticating(capabilities, exchange)
        return .send([exchange.opening])
    }

    private mutating func authReply(
        _ reply: SMTPReply,
        _ capabilities: SMTPCapabilities,
        _ exchange: SMTPAuthExchange
    ) -> ReplyAction {
        var exchange = exchange
        switch exchange.replyReceived(reply) {
        case .respond(let response):
            state = .authenticating(capabilities, exchange)
            return .send([response])
        case .authenticated:
            return open(capabilities)
        case .failed(let reply) where reply.code < 400:
            // One challenge too many. Only "*" gets out of an exchange (RFC 4954 §4).
            state = .quitting
            let context = "AUTH \(exchange.mechanism.rawValue) took an unexpected turn"
            return .refused(SMTPFailure(reply, stage: .auth, context: context), goodbye: .authCancel)
        case .failed(let reply):
            // 535 and its like are final for these credentials, not for the mail: it waits for better ones.
            let context =
                reply.isPermanentFailure
                ? "the server refused our user name or password (AUTH \(exchange.mechanism.rawValue))"
                : "AUTH \(exchange.mechanism.rawValue) failed"
            return refuse(SMTPFailure(reply, stage: .auth, context: context))
        }
    }

    private mutating func open(_ capabilities: SMTPCapabilities) -> ReplyAction {
        state = .ready(Session(capabilities: capabilities))
        return .opened
    }

    private mutating func refuse(_ failure: SMTPFailure) -> ReplyAction {
        // After 421 and 521 the peer hangs up by itself (RFC 5321 §3.8, RFC 7504 §3).
        if let code = failure.reply?.code, code == 421 || code == 521 {
            state = .closed
            return .refused(failure, goodbye: nil)
        }
        state = .quitting
        return .refused(failure, goodbye: .quit)
    }

    private mutating func afterTransactionReply(
        _ action: SMTPClientTransaction.Action,
        _ session: Session,
        _ transaction: SMTPClientTransaction
    ) -> ReplyAction {
        switch action {
        case .wait:
            state = .transacting(session, transaction)
            return .wait
        case .send(let commands):
            state = .transacting(session, transaction)
            return .send(commands)
        case .sendContent:
            state = .transacting(session, transaction)
            return .sendContent
        case .finished:
            var session = session
            session.needsReset = transaction.needsReset
            session.transactions += 1
            state = .ready(session)
            return .finished(Report(statuses: transaction.decidedStatuses), isReusable: true)
        case .finishedAndClose:
            let isStale = session.transactions > 0 && !transaction.mailAnswered
            return .finished(Report(statuses: transaction.decidedStatuses, isStale: isStale), isReusable: false)
        case .violation(let what):
            return .finished(report(of: transaction, in: session, lostTo: .violation(what)), isReusable: false)
        }
    }

    private func report(of transaction: SMTPClientTransaction, in session: Session, lostTo loss: Loss) -> Report {
        let failure = SMTPFailure(loss, stage: transaction.stage, ambiguous: transaction.mayHaveBeenDelivered)
        return Report(
            statuses: transaction.statuses(remaining: .transient(failure)),
            isStale: session.transactions > 0 && !transaction.mailAnswered && loss != .cancelled
        )
    }
}

// MARK: - Transactions

extension SMTPClientMachine {
    enum DeliverAction: Hashable {
        case send([SMTPClientCommand])
        /// The connection is not ready: gone, or on its way out. Nothing was tried.
        case unusable
    }

    /// What the peer of a ready connection can do; nil when the connection is not ready.
    var capabilities: SMTPCapabilities? {
        if case .ready(let session) = state { session.capabilities } else { nil }
    }

    mutating func deliver(_ envelope: SMTPClientTransaction.Envelope) -> DeliverAction {
        guard case .ready(let session) = state else { return .unusable }
        var transaction = SMTPClientTransaction(
            envelope,
            isPipelined: settings.usesPipelining && session.capabilities.pipelining,
            resetFirst: session.needsReset
        )
        let commands = transaction.start()
        state = .transacting(session, transaction)
        return .send(commands)
    }

    /// The last of the message, with its final dot, has been handed to the network.
    mutating func contentWritten() {
        switch state {
        case .transacting(let session, var transaction):
            transaction.contentWritten()
            state = .transacting(session, transaction)
        case .closed: break
        case .unconnected, .securing, .greeting, .ehlo, .helo, .requestingTLS, .upgrading, .authenticating, .ready,
            .quitting:
            preconditionFailure("content without a transaction")
        }
    }
}

// MARK: - Endings

extension SMTPClientMachine {
    enum Loss: Hashable {
        case closedByPeer
        /// An error of the network, in words.
        case network(String)
        /// The handshake failed, in words.
        case tls(String)
        /// The peer does not speak SMTP, or out of turn.
        case violation(String)
        case timeout
        case cancelled
    }

    enum LossAction: Hashable {
        /// Nobody waits for anything: just close.
        case none
        case failOpening(SMTPFailure)
        case failTransaction(Report)
    }

    /// The connection is of no further use.
    mutating func lost(_ loss: Loss) -> LossAction {
        let state = self.state
        self.state = .closed
        switch state {
        case .ready, .quitting, .closed: return .none
        case .unconnected: return .failOpening(SMTPFailure(loss, stage: .connect))
        case .securing, .upgrading, .requestingTLS: return .failOpening(SMTPFailure(loss, stage: .tls))
        case .greeting: return .failOpening(SMTPFailure(loss, stage: .greeting))
        case .ehlo, .helo: return .failOpening(SMTPFailure(loss, stage: .ehlo))
        case .authenticating: return .failOpening(SMTPFailure(loss, stage: .auth))
        case .transacting(let session, let transaction):
            return .failTransaction(report(of: transaction, in: session, lostTo: loss))
        }
    }

    enum TimeoutAction: Hashable {
        /// An idle connection: say goodbye.
        case send(SMTPClientCommand)
        case lost(LossAction)
    }

    /// `patience` has run out.
    mutating func timedOut() -> TimeoutAction {
        switch state {
        case .ready:
            state = .quitting
            return .send(.quit)
        case .unconnected, .securing, .greeting, .ehlo, .helo, .requestingTLS, .upgrading, .authenticating,
            .transacting, .quitting, .closed:
            return .lost(lost(.timeout))
        }
    }

    enum QuitAction: Hashable {
        case send(SMTPClientCommand)
        /// No dialogue to end, or its end is under way.
        case none
    }

    /// The connection is no longer wanted; only for one that is ready.
    mutating func quit() -> QuitAction {
        switch state {
        case .ready:
            state = .quitting
            return .send(.quit)
        case .quitting, .closed: return .none
        case .unconnected, .securing, .greeting, .ehlo, .helo, .requestingTLS, .upgrading, .authenticating,
            .transacting:
            preconditionFailure("a connection in use is not quit but cancelled")
        }
    }
}

extension SMTPFailure {
    init(_ loss: SMTPClientMachine.Loss, stage: SMTPStage, ambiguous: Bool = false) {
        let what: String
        let enhanced: EnhancedCode
        switch loss {
        case .closedByPeer:
            what = "the server closed the connection"
            enhanced = EnhancedCode(4, 4, 2)
        case .network(let words):
            what = "the connection broke: \(words)"
            enhanced = EnhancedCode(4, 4, 2)
        case .tls(let words):
            what = words
            enhanced = EnhancedCode(4, 7, 5)
        case .violation(let words):
            what = "the server broke the protocol with \(words)"
            enhanced = EnhancedCode(4, 5, 0)
        case .timeout:
            what = "the server did not answer in time"
            enhanced = EnhancedCode(4, 4, 2)
        case .cancelled:
            what = "we gave the attempt up"
            enhanced = EnhancedCode(4, 4, 2)
        }
        let when = ambiguous ? " after the message had been sent, so that it may have been delivered" : ""
        self.init(reason: what + when, enhanced: enhanced, stage: stage, ambiguous: ambiguous)
    }

    /// RFC 3463 §3.8: X.7.5, cryptographic failure.
    static func tls(_ reason: String) -> SMTPFailure {
        SMTPFailure(reason: reason, enhanced: EnhancedCode(4, 7, 5), stage: .tls)
    }

    static func auth(_ reason: String) -> SMTPFailure {
        SMTPFailure(reason: reason, enhanced: EnhancedCode(4, 7, 0), stage: .auth)
    }
}
