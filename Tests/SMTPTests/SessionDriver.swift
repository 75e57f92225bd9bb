// Drives an SMTPServerSession as the NIO handler does, with a delegate that answers at once, and keeps what was said.

import NIOCore
import SMTP
import Testing

struct SessionDriver {
    var session: SMTPServerSession
    var now = NIODeadline.uptimeNanoseconds(1_000_000_000_000)
    /// Everything the server has sent.
    private(set) var sent = ByteBuffer()
    private(set) var stored: [(transaction: SMTPTransaction, message: String)] = []
    private(set) var attempts: [SMTPAuthentication] = []
    private(set) var closeReason: SMTPCloseReason?
    private(set) var tlsWasBegun = false

    /// Judge as the delegate would; `nil` accepts.
    var judgeSender: (SMTPReversePath) -> SMTPReply? = { _ in nil }
    var judgeRecipient: (SMTPRecipient) -> SMTPReply? = { $0.address.hasPrefix("nobody@") ? .noSuchUser : nil }
    var judgeCredentials: (SMTPAuthentication) -> SMTPReply? = {
        $0.username == "ann" && $0.password == Array("secret".utf8) ? nil : .badCredentials
    }
    var answerMessage: (SMTPTransaction) -> SMTPReply = { _ in .queued }
    /// Leaves `store` unanswered until `finishStoring`.
    var holdsMessages = false

    init(_ settings: SMTPServerSettings = .open, implicitTLS: Bool = false, greets: Bool = true) {
        session = SMTPServerSession(settings: settings, implicitTLS: implicitTLS, now: now)
        if greets { take(session.greet(now: now)) }
    }

    /// The server's words since the last call, by lines.
    mutating func replies() -> [String] {
        let text = sent.readString(length: sent.readableBytes) ?? ""
        // CRLF is one Character.
        return text.split(separator: "\r\n" as Character).map(String.init)
    }

    /// Sends and returns what the server says to it.
    @discardableResult
    mutating func send(_ text: String, drip: Bool = false) -> [String] {
        send(bytes: Array(text.utf8), drip: drip)
    }

    @discardableResult
    mutating func send(bytes: [UInt8], drip: Bool = false) -> [String] {
        if drip {
            for byte in bytes { feed([byte]) }
        } else {
            feed(bytes)
        }
        return replies()
    }

    mutating func feed(_ bytes: some Sequence<UInt8>) {
        session.receive(ByteBuffer(bytes: bytes), now: now)
        run()
    }

    mutating func endInput() {
        session.inputEnded()
        run()
    }

    mutating func finishTLS() {
        session.tlsEstablished(now: now)
        run()
    }

    mutating func shutDown() {
        if let step = session.shutDown() { take(step) }
        run()
    }

    /// Lets time pass and fires the timer.
    mutating func wait(_ time: TimeAmount) {
        now = now + time
        if let deadline = session.deadline, deadline <= now, let step = session.deadlineReached(now: now) { take(step) }
    }

    mutating func finishStoring(_ reply: SMTPReply) {
        take(session.messageAnswered(reply, now: now))
        run()
    }

    private mutating func run() {
        while closeReason == nil {
            let step = session.next(now: now)
            switch step {
            case .read, .wait: return
            default: take(step)
            }
        }
    }

    private mutating func take(_ step: SMTPServerSession.Step) {
        switch step {
        case .read, .wait:
            break
        case .reply(let reply):
            reply.write(into: &sent, allowsUTF8: session.allowsUTF8Replies)
        case .judgeCredentials(let attempt):
            attempts.append(attempt)
            take(session.credentialsJudged(refusal: judgeCredentials(attempt), now: now))
        case .judgeSender(let reversePath):
            take(session.senderJudged(refusal: judgeSender(reversePath), now: now))
        case .judgeRecipient(let recipient, _):
            take(session.recipientJudged(refusal: judgeRecipient(recipient), now: now))
        case .store(let transaction, let message):
            stored.append((transaction, String(buffer: message)))
            if !holdsMessages { take(session.messageAnswered(answerMessage(transaction), now: now)) }
        case .startTLS(let reply):
            reply.write(into: &sent)
            tlsWasBegun = true
        case .close(let replies, let reason):
            #expect(closeReason == nil, "a session ends once")
            for reply in replies { reply.write(into: &sent) }
            closeReason = reason
        }
    }
}

extension SMTPServerSettings {
    /// Takes mail from everybody, in clear.
    static var open: SMTPServerSettings {
        SMTPServerSettings(hostname: "mx.test", authentication: .always, requiresAuthentication: false)
    }

    /// As a submission port is set up.
    static var submission: SMTPServerSettings { SMTPServerSettings(hostname: "mx.test") }

    func with(_ change: (inout SMTPServerLimits) -> Void) -> SMTPServerSettings {
        var copy = self
        change(&copy.limits)
        return copy
    }
}

extension SMTPReply {
    static let noSuchUser = SMTPReply(550, EnhancedCode(5, 1, 1), "No such user.")
    static let queued = SMTPReply(250, EnhancedCode(2, 0, 0), "Queued.")
}

/// Plays a dialogue: lines of the client begin with `C: `, lines of the server with `S: ` and are prefixes of what it
/// must say. Client lines that follow each other are sent at once. Everything is played a second time byte by byte.
func play(
    _ dialogue: String,
    _ settings: SMTPServerSettings = .open,
    closing reason: SMTPCloseReason? = nil,
    sourceLocation: SourceLocation = #_sourceLocation
) -> SessionDriver {
    _ = play(dialogue, settings, closing: reason, drip: true, sourceLocation)
    return play(dialogue, settings, closing: reason, drip: false, sourceLocation)
}

private func play(
    _ dialogue: String,
    _ settings: SMTPServerSettings,
    closing reason: SMTPCloseReason?,
    drip: Bool,
    _ sourceLocation: SourceLocation
) -> SessionDriver {
    var driver = SessionDriver(settings)
    _ = driver.replies()
    var client = ""
    var expected: [String] = []
    func check() {
        guard !client.isEmpty else { return }
        let replies = driver.send(client, drip: drip)
        let matches = replies.count == expected.count && zip(replies, expected).allSatisfy { $0.hasPrefix($1) }
        #expect(matches, "to \(client)\nexpected \(expected)\ncame \(replies)", sourceLocation: sourceLocation)
    }
    for line in dialogue.split(separator: "\n") {
        if line.hasPrefix("C:") {
            if !expected.isEmpty {
                check()
                client = ""
                expected = []
            }
            client += line.dropFirst(3) + "\r\n"
        } else {
            expected.append(String(line.dropFirst(3)))
        }
    }
    check()
    #expect(driver.closeReason == reason, sourceLocation: sourceLocation)
    return driver
}
