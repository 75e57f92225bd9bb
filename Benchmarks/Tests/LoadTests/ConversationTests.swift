// The dialogues as the load client must read them: in one piece, in single octets, and when the peer says no.

import Testing

@testable import Load

/// Feeds `chunks` to a conversation and notes the actions; begins a message whenever the connection is ready for one.
private func play<Talk: Conversation>(_ talk: inout Talk, _ chunks: [[UInt8]]) -> [Action] {
    var actions: [Action] = []
    for chunk in chunks {
        chunk.withUnsafeBytes { bytes in
            var index = 0
            while true {
                let action = talk.next(bytes, from: &index)
                if action == .wait { break }
                actions.append(action)
                switch action {
                case .ready, .accepted: actions.append(.send(talk.begin()))
                case .refused, .finished: return
                case .wait, .send: continue
                }
            }
            #expect(index == bytes.count)
        }
    }
    return actions
}

/// How the peer's octets arrive.
enum Arrival: CaseIterable, Sendable {
    case whole, octetByOctet

    func chunks(_ text: String) -> [[UInt8]] {
        switch self {
        case .whole: [Array(text.utf8)]
        case .octetByOctet: text.utf8.map { [$0] }
        }
    }
}

private func whole(_ text: String) -> [[UInt8]] { Arrival.whole.chunks(text) }

private func send(_ piece: SMTPConversation.Piece) -> Action { .send(.piece(piece.rawValue)) }

@Suite struct SMTPConversationTests {
    private let session = """
        220 mx ESMTP\r
        250-mx\r
        250-PIPELINING\r
        250 SIZE 1000\r
        235 2.7.0 in\r
        250 2.1.0 ok\r
        250 2.1.5 ok\r
        354 go\r
        250 2.0.0 taken\r

        """

    @Test("one session, AUTH once, then message after message", arguments: Arrival.allCases)
    func onePerTurn(arrival: Arrival) {
        var talk = SMTPConversation(authenticates: true, pipelines: false)
        #expect(
            play(&talk, arrival.chunks(session)) == [
                send(.hello), send(.authenticate), .ready, send(.mail), send(.recipient), send(.data),
                .send(.message), .accepted, send(.mail),
            ]
        )
    }

    @Test("with PIPELINING the envelope is one group, and the message waits for the 354", arguments: Arrival.allCases)
    func pipelined(arrival: Arrival) {
        var talk = SMTPConversation(authenticates: true, pipelines: true)
        #expect(
            play(&talk, arrival.chunks(session)) == [
                send(.hello), send(.authenticate), .ready, send(.envelope), .send(.message), .accepted,
                send(.envelope),
            ]
        )
    }

    @Test("a 452 after the dot is a refusal in the peer's words, never an accepted message")
    func refusedAtDot() {
        var talk = SMTPConversation(authenticates: false, pipelines: false)
        let actions = play(
            &talk,
            whole("220 hi\r\n250 mx\r\n250 ok\r\n250 ok\r\n354 go\r\n452 4.3.1 disk is full\r\n")
        )
        #expect(actions.last == .refused("452 4.3.1 disk is full"))
        #expect(!actions.contains(.accepted))
    }

    @Test("a recipient refused inside a pipelined group ends the session before its message is sent")
    func refusedInGroup() {
        var talk = SMTPConversation(authenticates: false, pipelines: true)
        let actions = play(&talk, whole("220 hi\r\n250 mx\r\n250 ok\r\n550 5.1.1 no\r\n554 no\r\n"))
        #expect(actions.last == .refused("550 5.1.1 no"))
        #expect(!actions.contains(.send(.message)))
    }

    @Test("a reply without text is a reply")
    func bareCode() {
        var talk = SMTPConversation(authenticates: false, pipelines: false)
        #expect(play(&talk, whole("220\r\n250\r\n")) == [send(.hello), .ready, send(.mail)])
    }
}

@Suite struct HTTPConversationTests {
    private func answer(_ response: String, _ arrival: Arrival = .whole) -> [Action] {
        var talk = HTTPConversation(expected: 202)
        #expect(talk.begin() == .message)
        return play(&talk, arrival.chunks(response))
    }

    @Test("a response of known length ends with its last octet", arguments: Arrival.allCases)
    func contentLength(arrival: Arrival) {
        let one = "HTTP/1.1 202 Accepted\r\nContent-LENGTH: 5\r\nServer: x\r\n\r\n{1:2}"
        #expect(answer(one + one, arrival) == [.accepted, .send(.message), .accepted, .send(.message)])
    }

    @Test("a chunked response ends with its last chunk", arguments: Arrival.allCases)
    func chunked(arrival: Arrival) {
        let one =
            "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\nA;x=1\r\n0123456789\r\n0\r\n\r\n"
        #expect(answer(one + one, arrival) == [.accepted, .send(.message), .accepted, .send(.message)])
    }

    @Test("any other status is a refusal that quotes the body")
    func otherStatus() {
        let actions = answer("HTTP/1.1 429 Too Many\r\nContent-Length: 12\r\n\r\n{\"code\":\"x\"}")
        #expect(actions == [.refused("429 {\"code\":\"x\"}")])
    }

    @Test("an empty body needs no octet more")
    func emptyBody() {
        #expect(answer("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") == [.accepted, .send(.message)])
    }
}
