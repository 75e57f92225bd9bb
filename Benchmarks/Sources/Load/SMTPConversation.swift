// One SMTP submission session as a machine: greeting, EHLO, AUTH once, then any number of messages, then QUIT.

package struct SMTPConversation: Conversation {
    /// The pieces of the script, in the order in which ``script(host:sender:recipient:login:)`` gives them.
    enum Piece: Int, CaseIterable {
        case hello, authenticate, mail, recipient, data, envelope, quit
    }

    private enum State {
        case greeting, hello, authenticating, ready
        case mail, recipient, data
        /// MAIL, RCPT and DATA went out as one group (RFC 2920); so many replies are still to come before the 354.
        case envelope(before354: Int)
        case content, quitting
    }

    package static let peerSpeaksFirst = true
    private let authenticates: Bool
    private let pipelines: Bool
    private var state = State.greeting
    private var replies = SMTPReplyScanner()

    package init(authenticates: Bool, pipelines: Bool) {
        self.authenticates = authenticates
        self.pipelines = pipelines
    }

    package mutating func next(_ bytes: UnsafeRawBufferPointer, from index: inout Int) -> Action {
        while let code = replies.next(bytes, from: &index) {
            let action = received(code)
            if action != .wait { return action }
        }
        return .wait
    }

    package mutating func begin() -> Outgoing {
        state = pipelines ? .envelope(before354: 2) : .mail
        return .piece((pipelines ? Piece.envelope : .mail).rawValue)
    }

    package mutating func end() -> Outgoing? {
        state = .quitting
        return .piece(Piece.quit.rawValue)
    }

    private mutating func received(_ code: Int) -> Action {
        switch state {
        case .greeting:
            return expect(220, code, then: .hello, .piece(.hello))
        case .hello:
            if authenticates { return expect(250, code, then: .authenticating, .piece(.authenticate)) }
            return becomeReady(code, wanted: 250)
        case .authenticating:
            return becomeReady(code, wanted: 235)
        case .mail:
            return expect(250, code, then: .recipient, .piece(.recipient))
        case .recipient:
            return expect(250, code, then: .data, .piece(.data))
        case .envelope(before354: let left) where left > 0:
            guard code == 250 else { return refusal() }
            state = .envelope(before354: left - 1)
            return .wait
        case .data, .envelope:
            return expect(354, code, then: .content, .message)
        case .content:
            guard code == 250 else { return refusal() }
            state = .ready
            return .accepted
        case .quitting:
            return .finished
        case .ready:
            // A reply that nobody asked for: 421 as a rule.
            return refusal()
        }
    }

    private mutating func expect(_ wanted: Int, _ code: Int, then following: State, _ outgoing: Outgoing) -> Action {
        guard code == wanted else { return refusal() }
        state = following
        return .send(outgoing)
    }

    private mutating func becomeReady(_ code: Int, wanted: Int) -> Action {
        guard code == wanted else { return refusal() }
        state = .ready
        return .ready
    }

    private func refusal() -> Action {
        .refused(String(decoding: replies.line, as: UTF8.self))
    }
}

extension Outgoing {
    fileprivate static func piece(_ piece: SMTPConversation.Piece) -> Outgoing { .piece(piece.rawValue) }
}

extension SMTPConversation {
    /// The lines of a session; `login` is the PLAIN response in base64 (RFC 4616), nil for a session without AUTH.
    package static func script(host: String, sender: String, recipient: String, login: String?) -> Script {
        let mail = "MAIL FROM:<\(sender)>\r\n"
        let rcpt = "RCPT TO:<\(recipient)>\r\n"
        return Script(
            pieces: Piece.allCases.map { piece in
                switch piece {
                case .hello: "EHLO \(host)\r\n"
                case .authenticate: "AUTH PLAIN \(login ?? "=")\r\n"
                case .mail: mail
                case .recipient: rcpt
                case .data: "DATA\r\n"
                case .envelope: mail + rcpt + "DATA\r\n"
                case .quit: "QUIT\r\n"
                }
            }
        )
    }
}
