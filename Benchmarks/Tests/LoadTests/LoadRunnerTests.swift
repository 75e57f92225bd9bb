// The loop against a real socket: every message goes out once, under its own number, over as many connections as asked.

import Dispatch
import Glibc
import Synchronization
import Testing

@testable import Load

/// An SMTP server of a few lines that takes everything and notes what it was sent.
private final class Sink: Sendable {
    struct Seen {
        var messageIDs: [String] = []
        var connections = 0
    }

    let port: Int
    let seen = Mutex(Seen())
    private let listener: Int32
    /// Replies with this to every end of data.
    private let verdict: String

    init(verdict: String = "250 taken") throws {
        self.verdict = verdict
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
                _ = bind(listener, raw, length)
                _ = listen(listener, 64)
                _ = getsockname(listener, raw, &length)
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        DispatchQueue(label: "sink").async { [self] in
            while case let peer = accept(listener, nil, nil), peer >= 0 {
                seen.withLock { $0.connections += 1 }
                DispatchQueue(label: "session").async { self.serve(peer) }
            }
        }
    }

    /// Ends the accept loop, and with it the last reference.
    func stop() { _ = shutdown(listener, Int32(SHUT_RDWR)) }

    deinit { close(listener) }

    private func serve(_ peer: Int32) {
        guard let file = fdopen(peer, "r") else { return }
        defer { fclose(file) }
        var line: UnsafeMutablePointer<CChar>?
        var capacity = 0
        defer { free(line) }
        var isContent = false
        reply("220 sink", peer)
        while getline(&line, &capacity, file) > 0, let read = line {
            let text = String(cString: read).filter { !$0.isNewline }
            if isContent {
                if text.hasPrefix("Message-ID: ") { seen.withLock { $0.messageIDs.append(text) } }
                isContent = text != "."
                if !isContent { reply(verdict, peer) }
            } else if text == "DATA" {
                isContent = true
                reply("354 go", peer)
            } else {
                reply(text.hasPrefix("AUTH") ? "235 in" : "250 ok", peer)
                if text == "QUIT" { return }
            }
        }
    }

    private func reply(_ text: String, _ peer: Int32) {
        let bytes = Array("\(text)\r\n".utf8)
        _ = send(peer, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}

@Suite struct LoadRunnerTests {
    private func run(
        against sink: Sink,
        sessions: Int = 4,
        messages: Int,
        perSession: Int = 0,
        size: Int = 1_000,
        pipelines: Bool = false
    ) throws -> Report {
        try runner(sink, sessions, messages, perSession, size, pipelines).run()
    }

    private func runner(
        _ sink: Sink,
        _ sessions: Int,
        _ messages: Int,
        _ perSession: Int,
        _ size: Int,
        _ pipelines: Bool
    ) throws -> LoadRunner<SMTPConversation> {
        try LoadRunner(
            Plan(
                peer: Address(host: "127.0.0.1", port: sink.port),
                sessions: sessions,
                messages: messages,
                messagesPerSession: perSession,
                sources: 3,
                timeout: 30
            ),
            script: SMTPConversation.script(
                host: "h",
                sender: "a@example.com",
                recipient: "b@example.net",
                login: "AA=="
            ),
            payload: .mail(size: size, from: "a@example.com", to: "b@example.net", run: "r"),
            makeTalk: { SMTPConversation(authenticates: true, pipelines: pipelines) }
        )
    }

    @Test("each message arrives once, under its own number", arguments: [false, true])
    func eachOnce(pipelines: Bool) throws {
        let sink = try Sink()
        defer { sink.stop() }
        let report = try run(against: sink, messages: 500, pipelines: pipelines)
        #expect(report.accepted == 500)
        #expect(report.refused == 0)
        let ids = sink.seen.withLock { $0.messageIDs }
        #expect(ids.count == 500)
        #expect(Set(ids).count == 500)
        #expect(sink.seen.withLock { $0.connections } == 4)
    }

    @Test("a session of one message is followed by another session")
    func oneEach() throws {
        let sink = try Sink()
        defer { sink.stop() }
        #expect(try run(against: sink, messages: 40, perSession: 1).accepted == 40)
        #expect(Set(sink.seen.withLock { $0.messageIDs }).count == 40)
        #expect(sink.seen.withLock { $0.connections } >= 40)
    }

    @Test("a message larger than the socket's buffer arrives whole")
    func large() throws {
        let sink = try Sink()
        defer { sink.stop() }
        #expect(try run(against: sink, sessions: 2, messages: 4, size: 20_000_000).accepted == 4)
        #expect(Set(sink.seen.withLock { $0.messageIDs }).count == 4)
    }

    @Test("messages that are refused are counted as refused, with the peer's words")
    func refused() throws {
        let sink = try Sink(verdict: "452 4.3.1 disk is full")
        defer { sink.stop() }
        let report = try run(against: sink, messages: 20)
        #expect(report.accepted == 0)
        #expect(report.refused == 20)
        #expect(report.problem == "452 4.3.1 disk is full")
    }

    @Test("held connections are all open at the same time and send nothing")
    func hold() throws {
        let sink = try Sink()
        defer { sink.stop() }
        var open = 0
        try runner(sink, 50, 0, 0, 1_000, false).hold { open = sink.seen.withLock { $0.connections } }
        #expect(open == 50)
        #expect(sink.seen.withLock { $0.messageIDs }.isEmpty)
    }
}
