// A peer on loopback that says exactly what a test's script says, and holds the client to its lines.

import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization
import Testing

/// Runs one script a connection, in the order in which they come; connections beyond the last script are closed.
final class ScriptedServer: Sendable {
    typealias Script = @Sendable (inout ScriptedPeer) async throws -> Void

    let port: Int
    private let channel: any Channel
    private let state: Mutex<State>

    private struct State {
        var scripts: ArraySlice<Script>
        var connections = 0
        var running: [Task<Void, Never>] = []
    }

    /// How many connections have been made so far.
    var connections: Int { state.withLock { $0.connections } }

    static func run<Result: Sendable>(
        _ scripts: [Script],
        _ body: (ScriptedServer) async throws -> Result
    ) async throws -> Result {
        let server = try await ScriptedServer(scripts)
        do {
            let result = try await body(server)
            await server.stop()
            return result
        } catch {
            await server.stop()
            throw error
        }
    }

    private init(_ scripts: [Script]) async throws {
        let shared = Mutex(State(scripts: scripts[...]))
        state = shared
        let (accepted, continuation) = AsyncStream.makeStream(of: ScriptedPeer.self)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            // Scripts read when they expect something: what comes early waits in the network, and a client that writes
            // without being read is held up.
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { child in
                child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandler(Collector { continuation.yield($0) })
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        port = try #require(channel.localAddress?.port)
        // Unstructured: it ends with the stream, which ends with the server's channel.
        let server = self
        Task {
            for await peer in accepted { server.serve(peer) }
        }
        channel.closeFuture.whenComplete { _ in continuation.finish() }
    }

    private func serve(_ peer: ScriptedPeer) {
        let script = state.withLock { state in
            state.connections += 1
            return state.scripts.popFirst()
        }
        let task = Task {
            var peer = peer
            do {
                try await script?(&peer)
            } catch is CancellationError {
            } catch {
                Issue.record("the scripted peer: \(error)")
            }
            try? await peer.channel.close()
        }
        state.withLock { $0.running.append(task) }
    }

    private func stop() async {
        try? await channel.close()
        for task in state.withLock({ $0.running }) {
            task.cancel()
            await task.value
        }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let ready: (ScriptedPeer) -> Void
        private let bytes: AsyncStream<ByteBuffer>
        private let input: AsyncStream<ByteBuffer>.Continuation

        init(ready: @escaping (ScriptedPeer) -> Void) {
            self.ready = ready
            (bytes, input) = AsyncStream.makeStream()
        }

        func channelActive(context: ChannelHandlerContext) {
            ready(ScriptedPeer(channel: context.channel, bytes: bytes))
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { input.yield(unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { input.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// The server's end of one connection.
struct ScriptedPeer: Sendable {
    let channel: any Channel
    private var bytes: AsyncStream<ByteBuffer>
    private var buffer = ByteBuffer()
    /// The messages received so far, still with stuffed dots, without the final one.
    private(set) var messages: [String] = []

    struct Mismatch: Error, CustomStringConvertible {
        var description: String
    }

    init(channel: any Channel, bytes: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.bytes = bytes
    }

    /// Plays a dialogue: `S: …` is sent with CRLF, `C: …` must come. `C: <message>` stands for a message up to its final
    /// dot, `C: <end>` for the client hanging up, `S: <tls>` for the handshake.
    mutating func play(_ dialogue: String) async throws {
        var pending = ""
        for line in dialogue.split(separator: "\n", omittingEmptySubsequences: true) {
            let text = String(line.dropFirst(3))
            if line.hasPrefix("S: "), text == "<tls>" {
                try await startTLS(saying: pending)
                pending = ""
            } else if line.hasPrefix("S: ") {
                pending += text + "\r\n"
            } else {
                try await send(pending)
                pending = ""
                try await expect(text)
            }
        }
        try await send(pending)
    }

    mutating func expect(_ text: String) async throws {
        switch text {
        case "<message>": try await readMessage()
        case "<end>":
            if let line = try await readLine() { throw Mismatch(description: "got \(line), not the end") }
        default:
            let line = try await readLine()
            guard line == text else { throw Mismatch(description: "got \(line ?? "the end"), not \(text)") }
        }
    }

    func send(_ text: String) async throws {
        guard !text.isEmpty else { return }
        // A client that has hung up shows at the next line expected.
        try? await channel.writeAndFlush(ByteBuffer(string: text))
    }

    /// Nil at the end of the connection.
    mutating func readLine() async throws -> String? {
        while true {
            let view = buffer.readableBytesView
            if let end = view.firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffer.readString(length: end - view.startIndex + 1) ?? ""
                guard line.utf8.dropLast().last == UInt8(ascii: "\r") else {
                    throw Mismatch(description: "a line without CRLF: \(line)")
                }
                return String(decoding: line.utf8.dropLast(2), as: UTF8.self)
            }
            guard try await readMore() else { return nil }
        }
    }

    mutating func readMessage() async throws {
        var message = ""
        while let line = try await readLine() {
            if line == "." { return messages.append(message) }
            message += line + "\r\n"
        }
        throw Mismatch(description: "the end, before that of the message")
    }

    /// Takes `count` bytes, whatever they are, or what there is until the end.
    mutating func readBytes(_ count: Int) async throws {
        var missing = count
        while missing > 0 {
            if buffer.readableBytes == 0, try await !readMore() { return }
            let taken = min(missing, buffer.readableBytes)
            buffer.moveReaderIndex(forwardBy: taken)
            buffer.discardReadBytes()
            missing -= taken
        }
    }

    private mutating func readMore() async throws -> Bool {
        channel.read()
        var iterator = bytes.makeAsyncIterator()
        guard var more = await iterator.next() else {
            try Task.checkCancellation()
            return false
        }
        buffer.writeBuffer(&more)
        return true
    }

    /// - Parameter words: sent in clear just before, in one step: the client answers them with its first TLS record.
    func startTLS(saying words: String = "") async throws {
        let certificate = try NIOSSLCertificate.fromPEMBytes(Array(TestCertificate.certificatePEM.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(TestCertificate.privateKeyPEM.utf8), format: .pem)
        let context = try NIOSSLContext(
            configuration: .makeServerConfiguration(
                certificateChain: certificate.map { .certificate($0) },
                privateKey: .privateKey(key)
            )
        )
        try await channel.eventLoop.submit {
            channel.writeAndFlush(ByteBuffer(string: words), promise: nil)
            try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: context), position: .first)
            channel.read()
        }.get()
    }

    /// Resets the connection instead of closing it.
    func reset() async throws {
        let options = try #require(channel as? any SocketOptionProvider)
        try await options.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        try await channel.close()
    }
}
