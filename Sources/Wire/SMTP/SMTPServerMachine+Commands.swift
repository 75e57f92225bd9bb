// What each command does to the session (RFC 5321 §4.1.4 for their order).

package import NIOCore

extension SMTPServerMachine {
    /// A whole line came, without its CRLF: a command, or the response to an AUTH challenge.
    package mutating func lineReceived(_ line: ByteBufferView, now: NIODeadline) -> Action {
        if case .authenticating(var exchange) = state {
            return advance(exchange.respond(line), exchange, now: now)
        }
        waitingSince = now
        if !isAuthenticated, case .idle = state {
            unauthenticatedCommands += 1
            if unauthenticatedCommands > limits.unauthenticatedCommands {
                return close([.tooManyCommands], .tooManyCommands)
            }
        }
        let command: SMTPCommand
        do {
            command = try SMTPCommand(line)
        } catch {
            return rejected(error)
        }
        if isDraining {
            // Only a message that came in part already may still be finished.
            guard case .chunk = command, case .betweenChunks = state else {
                return close([.shuttingDown], .serverShutdown)
            }
        }
        return run(command, now: now)
    }

    private mutating func rejected(_ error: SMTPCommandError) -> Action {
        switch error.consequence {
        case .reply: return refuse(error.reply)
        case .hangUp: return close([error.reply], .lostFraming)
        case .otherProtocol: return hello == nil ? close([.notSMTP], .notSMTP) : refuse(error.reply)
        }
    }

    private mutating func run(_ command: SMTPCommand, now: NIODeadline) -> Action {
        switch command {
        case .ehlo(let name): return greeted(name, isESMTP: true)
        case .helo(let name): return greeted(name, isESMTP: false)
        case .mail(let reversePath): return mail(reversePath)
        case .recipient(let recipient): return self.recipient(recipient)
        case .data: return data()
        case .chunk(let size, let isLast): return chunk(size: size, isLast: isLast)
        case .startTLS: return startTLS()
        case .authenticate(let command): return authenticate(command, now: now)
        case .reset:
            state = .idle
            return .reply(.ok)
        case .verify: return .reply(.notVerified)
        case .help: return .reply(.help)
        case .noop: return .reply(.ok)
        case .quit: return close([.bye], .quit)
        }
    }

    /// EHLO and HELO; both drop a transaction as RSET does (RFC 5321 §4.1.4).
    private mutating func greeted(_ name: String, isESMTP: Bool) -> Action {
        hello = name
        self.isESMTP = isESMTP
        state = .idle
        guard isESMTP else { return .reply(SMTPReply(250, nil, settings.hostname)) }
        var lines = [settings.hostname, "PIPELINING", "SIZE \(limits.messageSize)", "8BITMIME", "SMTPUTF8"]
        lines += ["ENHANCEDSTATUSCODES", "CHUNKING"]
        if settings.offersBinaryMIME { lines.append("BINARYMIME") }
        if settings.offersDSN { lines.append("DSN") }
        if settings.offersStartTLS && !isTLS { lines.append("STARTTLS") }
        if mayAuthenticate && !isAuthenticated {
            lines.append("AUTH " + SMTPAuthenticationMechanism.allCases.map(\.rawValue).joined(separator: " "))
        }
        lines.append("HELP")
        return .reply(SMTPReply(250, nil, lines))
    }

    /// RFC 3207 §4.
    private mutating func startTLS() -> Action {
        guard settings.offersStartTLS || isTLS else { return refuse(.tlsNotOffered) }
        guard !isTLS else { return refuse(.tlsAlready) }
        guard isESMTP else { return refuse(.startTLSNeedsEHLO) }
        guard case .idle = state else { return refuse(.startTLSInTransaction) }
        state = .startingTLS(isImplicit: false)
        return .startTLS(.readyForTLS)
    }

    // MARK: Authentication (RFC 4954)

    private var mayAuthenticate: Bool {
        switch settings.authentication {
        case .notOffered: false
        case .underTLS: isTLS
        case .always: true
        }
    }

    private mutating func authenticate(_ command: SMTPAuthenticateCommand, now: NIODeadline) -> Action {
        guard settings.authentication != .notOffered else { return refuse(.authenticationNotOffered) }
        guard hello != nil else { return refuse(.sayHelloFirst) }
        guard isESMTP else { return refuse(.authenticateNeedsEHLO) }
        guard !isAuthenticated else { return refuse(.authenticateOnlyOnce) }
        guard case .idle = state else { return refuse(.authenticateInTransaction) }
        guard mayAuthenticate else { return refuse(.encryptionRequired) }
        guard let mechanism = SMTPAuthenticationMechanism(rawValue: command.mechanism) else {
            return refuse(.unknownMechanism)
        }
        var exchange = SMTPAuthenticationExchange(mechanism)
        return advance(exchange.begin(initialResponse: command.initialResponse), exchange, now: now)
    }

    private mutating func advance(
        _ step: SMTPAuthenticationExchange.Step,
        _ exchange: SMTPAuthenticationExchange,
        now: NIODeadline
    ) -> Action {
        switch step {
        case .challenge(let challenge):
            wait(in: .authenticating(exchange), now: now)
            return .reply(SMTPReply(334, nil, challenge))
        case .attempt(let attempt):
            state = .judgingCredentials
            return .judgeCredentials(attempt)
        case .failed(let reply):
            wait(in: .idle, now: now)
            return refuse(reply)
        }
    }

    /// The delegate has judged the credentials.
    package mutating func credentialsJudged(refusal: SMTPReply?, now: NIODeadline) -> Action {
        guard case .judgingCredentials = state else { preconditionFailure("credentials are judged when asked for") }
        wait(in: .idle, now: now)
        guard let refusal else {
            isAuthenticated = true
            unauthenticatedCommands = 0
            return answer(.authenticated)
        }
        guard refusal.isPermanentFailure else { return answer(refusal) }
        authenticationFailures += 1
        if authenticationFailures >= limits.authenticationFailures {
            return close([refusal, .tooManyAuthenticationFailures], .tooManyAuthenticationFailures)
        }
        return answer(refusal)
    }
}
