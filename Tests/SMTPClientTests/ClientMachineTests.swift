// A connection's life, told as dialogues between a peer's replies and the machine's actions.

import SMTP
import Testing

@testable import SMTPClient

private let greeting = SMTPReply.reply(220, "peer ESMTP")
private let ok = SMTPReply.reply(250, "ok")

private func ehlo(_ keywords: String...) -> SMTPReply { SMTPReply(250, nil, ["peer"] + keywords) }

private func hello() throws -> SMTPHelloName { try #require(SMTPHelloName("client.example")) }

private func machine(
    _ tls: SMTPClientTLS.Mode = .none,
    credentials: SMTPCredentials? = nil,
    allowsUnprotectedAuth: Bool = false,
    timeouts: SMTPClientTimeouts = SMTPClientTimeouts()
) throws -> SMTPClientMachine {
    SMTPClientMachine(
        SMTPClientMachine.Settings(
            tls: tls,
            helloName: try hello(),
            credentials: credentials,
            allowsUnprotectedAuth: allowsUnprotectedAuth,
            usesPipelining: true,
            timeouts: timeouts,
            idleTimeout: .seconds(30)
        )
    )
}

private func envelope() throws -> SMTPClientTransaction.Envelope {
    SMTPClientTransaction.Envelope(sender: .null, recipients: [(try #require(SMTPPath("to@example.net")), [])])
}

extension SMTPClientMachine {
    fileprivate mutating func reply(_ reply: SMTPReply) -> ReplyAction { replyReceived(reply, moreBytes: false) }

    /// Up to ready, in clear and without AUTH.
    fileprivate mutating func open(_ keywords: String...) {
        _ = connected()
        _ = reply(greeting)
        _ = reply(SMTPReply(250, nil, ["peer"] + keywords))
        #expect(isReady)
    }

    fileprivate mutating func transact(_ replies: SMTPReply...) throws -> ReplyAction {
        _ = deliver(try envelope())
        var last = ReplyAction.wait
        for answer in replies {
            last = reply(answer)
            if last == .sendContent { contentWritten() }
        }
        return last
    }
}

private func refusal(_ action: SMTPClientMachine.ReplyAction) -> SMTPFailure? {
    if case .refused(let failure, _) = action { failure } else { nil }
}

private func lossFailure(_ action: SMTPClientMachine.LossAction) -> SMTPFailure? {
    switch action {
    case .none: nil
    case .failOpening(let failure): failure
    case .failTransaction(let report): report.statuses[0].failure
    }
}

@Suite struct OpeningTests {
    @Test("in clear: greeting, EHLO, ready")
    func clear() throws {
        var machine = try machine()
        #expect(machine.connected() == .awaitGreeting)
        #expect(machine.reply(greeting) == .send([.ehlo(try hello())]))
        #expect(machine.reply(ehlo("STARTTLS")) == .opened)
        #expect(machine.isReady)
    }

    @Test("STARTTLS: what was said in clear is forgotten")
    func startTLS() throws {
        var machine = try machine(.required)
        #expect(machine.connected() == .awaitGreeting)
        _ = machine.reply(greeting)
        #expect(machine.reply(ehlo("STARTTLS", "SIZE 5", "PIPELINING")) == .send([.startTLS]))
        #expect(machine.reply(.reply(220, "go")) == .startTLS)
        #expect(machine.secured() == .send(.ehlo(try hello())))
        #expect(machine.reply(ehlo("SIZE 7")) == .opened)
        #expect(machine.capabilities?.maximumSize == 7)
        #expect(machine.capabilities?.pipelining == false)
    }

    @Test("implicit TLS comes before the greeting")
    func implicit() throws {
        var machine = try machine(.implicit)
        #expect(machine.connected() == .startTLS)
        #expect(machine.secured() == .awaitGreeting)
        #expect(machine.reply(greeting) == .send([.ehlo(try hello())]))
        #expect(machine.reply(ehlo()) == .opened)
    }

    @Test("TLS required: not offered, refused or failed ends it, and the mail waits")
    func required() throws {
        var notOffered = try machine(.required)
        _ = notOffered.connected()
        _ = notOffered.reply(greeting)
        let action = notOffered.reply(ehlo())
        #expect(refusal(action)?.stage == .tls)
        #expect(refusal(action)?.enhanced.category == 4)

        var heloOnly = try machine(.required)
        _ = heloOnly.connected()
        _ = heloOnly.reply(greeting)
        #expect(heloOnly.reply(.reply(500, "?")) == .send([.helo(try hello())]))
        #expect(refusal(heloOnly.reply(ok))?.stage == .tls)

        for code: UInt16 in [454, 501, 502, 421, 250] {
            var refused = try machine(.required)
            _ = refused.connected()
            _ = refused.reply(greeting)
            _ = refused.reply(ehlo("STARTTLS"))
            #expect(refusal(refused.reply(.reply(code, "no")))?.stage == .tls)
        }

        var failed = try machine(.required)
        _ = failed.connected()
        _ = failed.reply(greeting)
        _ = failed.reply(ehlo("STARTTLS"))
        _ = failed.reply(.reply(220, "go"))
        let failure = lossFailure(failed.lost(.tls("the certificate is for another name")))
        #expect(failure?.stage == .tls)
        #expect(failure?.enhanced == EnhancedCode(4, 7, 5))
    }

    @Test("opportunistic: goes on in clear where TLS is not offered or refused")
    func opportunistic() throws {
        var notOffered = try machine(.opportunistic)
        _ = notOffered.connected()
        _ = notOffered.reply(greeting)
        #expect(notOffered.reply(ehlo()) == .opened)

        var refused = try machine(.opportunistic)
        _ = refused.connected()
        _ = refused.reply(greeting)
        #expect(refused.reply(ehlo("STARTTLS")) == .send([.startTLS]))
        #expect(refused.reply(.reply(454, "not now")) == .opened)
    }

    @Test(
        "text in clear behind the reply to STARTTLS is an attack",
        arguments: [SMTPClientTLS.Mode.required, .opportunistic]
    )
    func injection(mode: SMTPClientTLS.Mode) throws {
        var machine = try machine(mode)
        _ = machine.connected()
        _ = machine.reply(greeting)
        _ = machine.reply(ehlo("STARTTLS"))
        let action = machine.replyReceived(.reply(220, "go"), moreBytes: true)
        #expect(refusal(action)?.stage == .tls)
        #expect(refusal(action)?.reason.contains("in clear") == true)
    }

    @Test("a peer that answers before it is asked is hung up on")
    func tooEarly() throws {
        var machine = try machine()
        _ = machine.connected()
        #expect(refusal(machine.replyReceived(greeting, moreBytes: true))?.stage == .ehlo)
        #expect(machine.patience == nil)
    }

    @Test("a greeting other than 220 never bounces mail", arguments: [UInt16(421), 450, 521, 554, 250, 354])
    func greetings(code: UInt16) throws {
        var machine = try machine()
        _ = machine.connected()
        let failure = refusal(machine.reply(.reply(code, "no")))
        #expect(failure?.stage == .greeting)
        #expect(failure?.enhanced.category == 4)
    }

    @Test(
        "a refusal is followed by QUIT, but for peers that close by themselves",
        arguments: [(UInt16(554), true), (421, false), (521, false)]
    )
    func goodbye(code: UInt16, quits: Bool) throws {
        var machine = try machine()
        _ = machine.connected()
        guard case .refused(_, let goodbye) = machine.reply(.reply(code, "no")) else { return #expect(Bool(false)) }
        #expect(goodbye == (quits ? .quit : nil))
    }
}

@Suite struct AuthTests {
    private let credentials = SMTPCredentials(username: "alice", password: "pass")

    private func secured(_ mode: SMTPClientTLS.Mode, _ keywords: String, credentials: SMTPCredentials? = nil) throws
        -> (SMTPClientMachine, SMTPClientMachine.ReplyAction)
    {
        var machine = try machine(mode, credentials: credentials ?? self.credentials)
        _ = machine.connected()
        if mode == .implicit { _ = machine.secured() }
        _ = machine.reply(greeting)
        if mode != .implicit {
            _ = machine.reply(ehlo("STARTTLS"))
            _ = machine.reply(.reply(220, "go"))
            _ = machine.secured()
        }
        let action = machine.reply(ehlo(keywords))
        return (machine, action)
    }

    @Test("PLAIN in one step, where offered", arguments: [SMTPClientTLS.Mode.required, .implicit])
    func plain(mode: SMTPClientTLS.Mode) throws {
        var (machine, action) = try secured(mode, "AUTH LOGIN PLAIN")
        guard case .send(let commands) = action, commands.count == 1 else { return #expect(Bool(false)) }
        #expect(commands[0] == .auth(.plain, initial: SMTPAuthResponse(Array("\0alice\0pass".utf8))))
        #expect(machine.reply(.reply(235, "welcome")) == .opened)
    }

    @Test("PLAIN with a long password waits for the challenge")
    func longPlain() throws {
        let long = SMTPCredentials(username: "alice", password: String(repeating: "p", count: 400))
        var (machine, action) = try secured(.required, "AUTH PLAIN", credentials: long)
        #expect(action == .send([.auth(.plain, initial: nil)]))
        let response = SMTPAuthResponse(Array("\0alice\0\(String(repeating: "p", count: 400))".utf8))
        #expect(machine.reply(.reply(334, "")) == .send([.authResponse(response)]))
        #expect(machine.reply(.reply(235, "ok")) == .opened)
    }

    @Test("LOGIN in three steps")
    func login() throws {
        var (machine, action) = try secured(.required, "AUTH LOGIN CRAM-MD5")
        #expect(action == .send([.auth(.login, initial: nil)]))
        let username = SMTPAuthResponse(Array("alice".utf8))
        #expect(machine.reply(.reply(334, "VXNlcm5hbWU6")) == .send([.authResponse(username)]))
        #expect(username.encoded == "YWxpY2U=")
        let password = SMTPAuthResponse(Array("pass".utf8))
        #expect(machine.reply(.reply(334, "UGFzc3dvcmQ6")) == .send([.authResponse(password)]))
        #expect(machine.reply(.reply(235, "ok")) == .opened)
    }

    @Test(
        "a refused password is our configuration's fault: the mail waits",
        arguments: [UInt16(535), 454, 534, 504, 334]
    )
    func refused(code: UInt16) throws {
        var (machine, _) = try secured(.required, "AUTH PLAIN")
        let failure = refusal(machine.reply(.reply(code, "no")))
        #expect(failure?.stage == .auth)
        #expect(failure?.enhanced.category == 4)
    }

    @Test("a challenge that the mechanism has no answer for is answered by giving up")
    func oneTooMany() throws {
        var (machine, _) = try secured(.required, "AUTH PLAIN")
        guard case .refused(_, .authCancel) = machine.reply(.reply(334, "more")) else { return #expect(Bool(false)) }
        #expect(machine.reply(.reply(501, "cancelled")) == .close)
    }

    @Test("no password goes in clear, nor to whoever answers without a verified certificate")
    func unprotected() throws {
        var clear = try machine(.none, credentials: credentials)
        _ = clear.connected()
        _ = clear.reply(greeting)
        #expect(refusal(clear.reply(ehlo("AUTH PLAIN")))?.stage == .auth)

        let (_, action) = try secured(.opportunistic, "AUTH PLAIN")
        #expect(refusal(action)?.stage == .auth)

        var allowed = try machine(.none, credentials: credentials, allowsUnprotectedAuth: true)
        _ = allowed.connected()
        _ = allowed.reply(greeting)
        guard case .send = allowed.reply(ehlo("AUTH PLAIN")) else { return #expect(Bool(false)) }
    }

    @Test("a peer without AUTH is not used without it")
    func notOffered() throws {
        let (_, action) = try secured(.required, "AUTH CRAM-MD5")
        #expect(refusal(action)?.stage == .auth)
        let (_, none) = try secured(.required, "PIPELINING")
        #expect(refusal(none)?.stage == .auth)
    }
}

@Suite struct ConnectionLifeTests {
    @Test("delivery after delivery, with RSET only where needed")
    func reuse() throws {
        var machine = try machine()
        machine.open("PIPELINING")
        let first = try machine.transact(ok, ok, .reply(354, "go"), ok)
        #expect(first == .finished(.init(statuses: [.delivered(ok)]), isReusable: true))
        let second = try machine.transact(ok, .reply(550, "no"), .reply(554, "no valid recipients"))
        guard case .finished(let report, true) = second else { return #expect(Bool(false)) }
        #expect(report.statuses[0].failure?.reply?.code == 550)
        #expect(
            machine.deliver(try envelope())
                == .send([.rset, .mail(.null, []), .rcpt(try #require(SMTPPath("to@example.net")), []), .data])
        )
    }

    @Test("a kept connection that dies before MAIL is answered was stale; a new one was not")
    func stale() throws {
        for loss in [SMTPClientMachine.Loss.closedByPeer, .network("reset"), .timeout] {
            var fresh = try machine()
            fresh.open()
            _ = fresh.deliver(try envelope())
            guard case .failTransaction(let report) = fresh.lost(loss) else { return #expect(Bool(false)) }
            #expect(!report.isStale)

            var used = try machine()
            used.open()
            _ = try used.transact(ok, ok, .reply(354, "go"), ok)
            _ = used.deliver(try envelope())
            guard case .failTransaction(let second) = used.lost(loss) else { return #expect(Bool(false)) }
            #expect(second.isStale)

            var begun = try machine()
            begun.open()
            _ = try begun.transact(ok, ok, .reply(354, "go"), ok)
            _ = try begun.transact(ok)
            guard case .failTransaction(let third) = begun.lost(loss) else { return #expect(Bool(false)) }
            #expect(!third.isStale)
        }
    }

    @Test("421 instead of an answer to MAIL means stale on a kept connection only")
    func staleByReply() throws {
        var used = try machine()
        used.open()
        _ = try used.transact(ok, ok, .reply(354, "go"), ok)
        guard case .finished(let report, false) = try used.transact(.reply(421, "idle too long")) else {
            return #expect(Bool(false))
        }
        #expect(report.isStale)
        var fresh = try machine()
        fresh.open()
        guard case .finished(let first, false) = try fresh.transact(.reply(421, "busy")) else {
            return #expect(Bool(false))
        }
        #expect(!first.isStale)
        #expect(first.statuses[0].isTransient)
    }

    @Test("giving up is no sign of a dead connection")
    func cancelled() throws {
        var used = try machine()
        used.open()
        _ = try used.transact(ok, ok, .reply(354, "go"), ok)
        _ = used.deliver(try envelope())
        guard case .failTransaction(let report) = used.lost(.cancelled) else { return #expect(Bool(false)) }
        #expect(!report.isStale)
    }

    @Test("a loss after the final dot is ambiguous, before it is not")
    func ambiguous() throws {
        for (replies, isAmbiguous) in [([ok, ok], false), ([ok, ok, SMTPReply.reply(354, "go")], true)] {
            var machine = try machine()
            machine.open("PIPELINING")
            _ = machine.deliver(try envelope())
            for reply in replies where machine.reply(reply) == .sendContent { machine.contentWritten() }
            #expect(lossFailure(machine.lost(.timeout))?.ambiguous == isAmbiguous)
        }
    }

    @Test("each state has its own time, and an idle connection ends with QUIT")
    func patience() throws {
        var timeouts = SMTPClientTimeouts()
        timeouts.quit = .seconds(1)
        var machine = try machine(timeouts: timeouts)
        #expect(machine.patience == nil)
        _ = machine.connected()
        #expect(machine.patience == timeouts.greeting)
        _ = machine.reply(greeting)
        #expect(machine.patience == timeouts.command)
        _ = machine.reply(ehlo())
        #expect(machine.patience == .seconds(30))
        _ = machine.deliver(try envelope())
        #expect(machine.patience == timeouts.mail)
        _ = machine.reply(ok)
        #expect(machine.patience == timeouts.rcpt)
        _ = machine.reply(ok)
        #expect(machine.patience == timeouts.dataInitiation)
        #expect(machine.reply(.reply(354, "go")) == .sendContent)
        #expect(machine.patience == timeouts.dataBlock)
        machine.contentWritten()
        #expect(machine.patience == timeouts.finalDot)
        _ = machine.reply(ok)
        #expect(machine.timedOut() == .send(.quit))
        #expect(machine.patience == .seconds(1))
        #expect(machine.deliver(try envelope()) == .unusable)
        #expect(machine.reply(.reply(221, "bye")) == .close)
        #expect(machine.patience == nil)
    }

    @Test("an idle connection that says anything is closed")
    func chatter() throws {
        for reply in [SMTPReply.reply(421, "closing"), ok] {
            var machine = try machine()
            machine.open()
            #expect(machine.reply(reply) == .close)
            #expect(machine.deliver(try envelope()) == .unusable)
        }
    }

    @Test("events after the end are taken calmly")
    func afterTheEnd() throws {
        var machine = try machine()
        machine.open()
        #expect(machine.lost(.closedByPeer) == .none)
        #expect(machine.lost(.timeout) == .none)
        #expect(machine.reply(ok) == .wait)
        #expect(machine.secured() == .ignore)
        #expect(machine.quit() == .none)
        machine.contentWritten()
        #expect(machine.timedOut() == .lost(.none))
    }
}
