// Graceful shutdown: nothing new, nothing lost, and an end within the deadline.

import NIOCore
import SMTP
import SMTPServer
import Testing

@Suite("SMTP server shutdown", .timeLimit(.minutes(1)))
struct SMTPServerShutdownTests {
    @Test("an idle session gets 421, one within a message finishes it first")
    func drain() async throws {
        let delegate = RecordingDelegate()
        try await withServer(.test, delegate) { port, shutDown in
            let idle = try await TestClient.connect(port: port)
            _ = await idle.reply()
            let busy = try await TestClient.connect(port: port)
            _ = await busy.reply()
            try await busy.send("HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n")
            for _ in 0..<4 { _ = await busy.reply() }
            try await busy.send("first line\r\n")
            shutDown()
            #expect(await idle.reply().first?.hasPrefix("421 4.3.2") == true)
            #expect(await idle.reply() == [])
            #expect(try await busy.ask("last line\r\n.\r\n") == ["250 2.0.0 Queued."])
            #expect(await busy.reply().first?.hasPrefix("421 4.3.2") == true)
            #expect(await busy.reply() == [])
            await #expect(throws: (any Error).self) { try await TestClient.connect(port: port) }
            try await idle.close()
            try await busy.close()
        }
        #expect(delegate.recorded.messages.map { String(buffer: $0.data) } == ["first line\r\nlast line\r\n"])
        #expect(delegate.recorded.closed.map(\.reason) == [.serverShutdown, .serverShutdown])
    }

    @Test("a message whose client has left is stored before the server stops")
    func clientLeft() async throws {
        let delegate = RecordingDelegate(holdsMessages: true)
        try await withServer(.test, delegate) { port, shutDown in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            try await client.send("HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n")
            await delegate.nextArrival()
            try await client.close()
            shutDown()
            #expect(delegate.recorded.messages.isEmpty)
            delegate.gate.open()
        }
        #expect(delegate.recorded.messages.count == 1)
    }

    @Test("at the deadline the server stops, whatever is not done")
    func deadline() async throws {
        let delegate = RecordingDelegate(holdsMessages: true)
        var configuration = SMTPServerConfiguration.test
        configuration.shutdownDeadline = .milliseconds(200)
        try await withServer(configuration, delegate) { port, shutDown in
            let client = try await TestClient.connect(port: port)
            _ = await client.reply()
            try await client.send("HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\n")
            await delegate.nextArrival()
            shutDown()
        }
        #expect(delegate.recorded.messages.isEmpty)
        #expect(delegate.recorded.closed.count == 1)
        delegate.gate.open()
    }
}
