// The fuzz target of the SMTP server: any bytes at all from a client, in any pieces, and what must hold for them.

import NIOCore
import SMTP

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSMTP(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: size))
    guard let mode = bytes.first else { return 0 }
    let input = Array(bytes.dropFirst())
    if mode & 1 == 0 {
        comparePieces(input, mode)
    } else {
        _ = Client(tight(mode)).talk(input, piece: 1 + Int(mode >> 3))
    }
    return 0
}

/// However the same octets are cut, the same is said and stored.
private func comparePieces(_ input: [UInt8], _ mode: UInt8) {
    var settings = SMTPServerSettings(
        hostname: "mx.test",
        authentication: .always,
        requiresAuthentication: mode & 2 != 0,
        offersStartTLS: false,
        offersBinaryMIME: mode & 4 != 0
    )
    settings.limits.messageSize = 2_000
    settings.limits.dataLine = mode & 8 != 0 ? nil : 50
    settings.limits.commandLine = 200
    settings.limits.discardedOctets = .max
    let whole = Client(settings).talk(input, piece: max(input.count, 1))
    for piece in [1, 2, 7, 64] {
        let other = Client(settings).talk(input, piece: piece)
        check(whole.replies == other.replies, "replies do not depend on how octets are cut")
        check(whole.messages == other.messages, "messages do not depend on how octets are cut")
        check(whole.reason == other.reason, "the end does not depend on how octets are cut")
    }
}

/// Limits that even a short input can reach, and TLS.
private func tight(_ mode: UInt8) -> SMTPServerSettings {
    var settings = SMTPServerSettings(
        hostname: "mx.test",
        authentication: .always,
        requiresAuthentication: false,
        offersStartTLS: mode & 2 != 0
    )
    settings.limits.messageSize = 100
    settings.limits.dataLine = mode & 4 != 0 ? 20 : nil
    settings.limits.commandLine = 60
    settings.limits.authenticationLine = 30
    settings.limits.discardedOctets = 150
    settings.limits.recipients = 2
    settings.limits.messages = 3
    settings.limits.errors = 10
    settings.limits.unauthenticatedCommands = 20
    return settings
}

/// Plays the part of the connection's owner and of the delegate.
private struct Client {
    private var session: SMTPServerSession
    private var now = NIODeadline.uptimeNanoseconds(1)
    private(set) var replies: [UInt16] = []
    private(set) var messages: [ByteBuffer] = []
    private(set) var reason: SMTPCloseReason?

    init(_ settings: SMTPServerSettings) {
        session = SMTPServerSession(settings: settings, implicitTLS: false, now: now)
        take(session.greet(now: now))
    }

    consuming func talk(_ input: [UInt8], piece: Int) -> Client {
        var client = self
        for start in stride(from: 0, to: input.count, by: piece) {
            client.session.receive(ByteBuffer(bytes: input[start..<min(start + piece, input.count)]), now: client.now)
            client.run()
        }
        client.session.inputEnded()
        client.run()
        check(client.reason != nil, "a session ends with its input")
        client.session.receive(ByteBuffer(string: "QUIT\r\n"), now: client.now)
        if case .wait = client.session.next(now: client.now) {} else { fatalError("a closed session did something") }
        return client
    }

    private mutating func run() {
        while reason == nil {
            switch session.next(now: now) {
            case .read, .wait: return
            case let step: take(step)
            }
        }
    }

    private mutating func take(_ step: SMTPServerSession.Step) {
        now = now + .seconds(1)
        switch step {
        case .read, .wait: break
        case .reply(let reply): say(reply)
        case .judgeCredentials(let attempt):
            check(!attempt.username.isEmpty && attempt.password.count <= 255, "credentials have a form")
            take(session.credentialsJudged(refusal: attempt.username == "no" ? .badCredentials : nil, now: now))
        case .judgeSender(let path):
            check(path.address.isEmpty || isAddress(path.address), "a sender has a form")
            take(session.senderJudged(refusal: nil, now: now))
        case .judgeRecipient(let recipient, _):
            check(isAddress(recipient.address), "a recipient has a form")
            take(session.recipientJudged(refusal: recipient.address.hasPrefix("no@") ? refusal : nil, now: now))
        case .store(let transaction, let message):
            check(!transaction.recipients.isEmpty, "a message has recipients")
            check(transaction.reversePath.body == .binaryMIME || hasOnlyCRLF(message), "line ends are CRLF")
            messages.append(message)
            take(session.messageAnswered(SMTPReply(250, .success, "OK"), now: now))
        case .startTLS(let reply):
            say(reply)
            session.tlsEstablished(now: now)
        case .close(let replies, let reason):
            for reply in replies { say(reply) }
            self.reason = reason
        }
    }

    private let refusal = SMTPReply(550, EnhancedCode(5, 1, 1), "No such user")

    private mutating func say(_ reply: SMTPReply) {
        // Which of two faults of a message is found first depends on how its octets are cut.
        replies.append(reply.code == 552 || reply.enhanced == EnhancedCode(5, 6, 0) ? 500 : reply.code)
        var bytes = ByteBuffer()
        reply.write(into: &bytes, allowsUTF8: session.allowsUTF8Replies)
        check(hasOnlyCRLF(bytes) && bytes.readableBytesView.suffix(2).elementsEqual([13, 10]), "replies are lines")
    }

    private func isAddress(_ address: String) -> Bool {
        address.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } && address.utf8.count <= 64 + 1 + 255
            && (address.utf8.contains(UInt8(ascii: "@")) || address.lowercased() == "postmaster")
    }

    private func hasOnlyCRLF(_ bytes: ByteBuffer) -> Bool {
        var previous: UInt8 = 0
        for byte in bytes.readableBytesView {
            if byte == 0 || (byte == 10) != (previous == 13) { return false }
            previous = byte
        }
        return previous != 13
    }
}

private func check(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("broken promise: \(what)") }
}
