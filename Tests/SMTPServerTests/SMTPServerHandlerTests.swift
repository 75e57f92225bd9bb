// The channel handler by itself, on a channel without a socket: reading is held back, replies go out together.

import Logging
import NIOCore
import NIOEmbedded
import SMTP
import Synchronization
import Testing

@testable import SMTPServer

@Suite("SMTP server handler", .timeLimit(.minutes(1)))
struct SMTPServerHandlerTests {
    /// Counts what the handler asks of the socket.
    private final class Counter: ChannelOutboundHandler, Sendable {
        typealias OutboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let reads = Atomic<Int>(0)
        let flushes = Atomic<Int>(0)

        func read(context: ChannelHandlerContext) {
            reads.add(1, ordering: .relaxed)
            context.read()
        }

        func flush(context: ChannelHandlerContext) {
            flushes.add(1, ordering: .relaxed)
            context.flush()
        }
    }

    private func open(_ delegate: RecordingDelegate) async throws -> (NIOAsyncTestingChannel, Counter) {
        var configuration = SMTPServerConfiguration.test
        configuration.limits.greetingDelay = .zero
        let counter = Counter()
        let connections = SMTPServerConnections()
        let channel = try await NIOAsyncTestingChannel { [configuration] channel in
            try channel.pipeline.syncOperations.addHandler(counter)
            try channel.pipeline.syncOperations.addHandler(
                SMTPServerHandler(
                    connection: SMTPConnectionInfo(id: 1, remoteAddress: "127.0.0.1", remotePort: 1, localPort: 25),
                    isLoopback: true,
                    delegate: delegate,
                    configuration: configuration,
                    connections: connections,
                    eventLoop: channel.eventLoop,
                    logger: Logger(label: "test")
                )
            )
        }
        try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 25))
        await channel.testingEventLoop.advanceTime(by: .milliseconds(1))
        #expect(
            try await channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) } == "220 mx.test ESMTP\r\n"
        )
        return (channel, counter)
    }

    @Test("the replies to pipelined commands leave in one write")
    func coalescing() async throws {
        let (channel, counter) = try await open(RecordingDelegate())
        let before = counter.flushes.load(ordering: .relaxed)
        try await channel.writeInbound(ByteBuffer(string: "HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"))
        let replies = try await channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) }
        #expect(replies?.split(separator: "\r\n" as Character).count == 4)
        #expect(try await channel.readOutbound(as: ByteBuffer.self) == nil)
        #expect(counter.flushes.load(ordering: .relaxed) == before + 1)
        _ = try await channel.finish()
    }

    @Test("nothing is read while a message is being stored, and what had come is answered behind it")
    func backPressure() async throws {
        let delegate = RecordingDelegate(holdsMessages: true)
        let (channel, counter) = try await open(delegate)
        try await channel.writeInbound(
            ByteBuffer(string: "HELO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nx\r\n.\r\nNOOP\r\n")
        )
        await delegate.nextArrival()
        _ = try await channel.readOutbound(as: ByteBuffer.self)
        let before = counter.reads.load(ordering: .relaxed)
        // What the socket had delivered already is kept, but no more is asked for.
        try await channel.writeInbound(ByteBuffer(string: "NOOP\r\n"))
        #expect(counter.reads.load(ordering: .relaxed) == before)
        #expect(try await channel.readOutbound(as: ByteBuffer.self) == nil)
        delegate.gate.open()
        let replies = String(buffer: try await channel.waitForOutboundWrite(as: ByteBuffer.self))
        #expect(replies == "250 2.0.0 Queued.\r\n250 2.0.0 OK\r\n250 2.0.0 OK\r\n")
        // The read follows the write in the same turn of the loop.
        try await channel.testingEventLoop.executeInContext {}
        #expect(counter.reads.load(ordering: .relaxed) == before + 1)
        _ = try await channel.finish()
    }

    @Test("an idle session is closed by its timer")
    func timer() async throws {
        let delegate = RecordingDelegate()
        let (channel, _) = try await open(delegate)
        await channel.testingEventLoop.advanceTime(by: .minutes(4))
        try await channel.writeInbound(ByteBuffer(string: "NOOP\r\n"))
        _ = try await channel.readOutbound(as: ByteBuffer.self)
        await channel.testingEventLoop.advanceTime(by: .minutes(4))
        #expect(try await channel.readOutbound(as: ByteBuffer.self) == nil)
        await channel.testingEventLoop.advanceTime(by: .minutes(1))
        let goodbye = try await channel.readOutbound(as: ByteBuffer.self).map { String(buffer: $0) }
        #expect(goodbye?.hasPrefix("421 4.4.2") == true)
        await channel.testingEventLoop.advanceTime(by: .seconds(2))
        #expect(delegate.recorded.closed.map(\.reason) == [.timedOut])
    }
}
