// A delegate that records, a client that speaks lines, and certificates made on the spot.

import Foundation
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import SMTP
import SMTPServer
import ServiceLifecycleTestKit
import Synchronization

/// Accepts `ann`/`secret` and every message, and keeps what it was asked.
final class RecordingDelegate: SMTPServerDelegate {
    struct Record: Sendable {
        var messages: [(transaction: SMTPTransaction, data: ByteBuffer, connection: SMTPConnectionInfo)] = []
        var opened: [SMTPConnectionInfo] = []
        var closed: [(connection: SMTPConnectionInfo, reason: SMTPCloseReason)] = []
    }

    private let record = Mutex(Record())
    /// Messages wait here; open from the start unless asked otherwise.
    let gate: Gate
    let closings: AsyncStream<SMTPCloseReason>
    private let closing: AsyncStream<SMTPCloseReason>.Continuation
    /// Yields when `message` is entered.
    let arrivals: AsyncStream<Void>
    private let arrival: AsyncStream<Void>.Continuation

    init(holdsMessages: Bool = false) {
        gate = Gate(isOpen: !holdsMessages)
        (closings, closing) = AsyncStream.makeStream()
        (arrivals, arrival) = AsyncStream.makeStream()
    }

    var recorded: Record { record.withLock { $0 } }

    func authenticate(_ attempt: SMTPAuthentication, connection: SMTPConnectionInfo) async -> SMTPAuthenticationResult {
        guard attempt.username == "ann", attempt.password == Array("secret".utf8) else {
            return .refused(.badCredentials)
        }
        return .accepted(identity: attempt.username)
    }

    func recipient(
        _ recipient: SMTPRecipient,
        transaction: SMTPTransaction,
        connection: SMTPConnectionInfo
    ) -> SMTPReply? {
        recipient.address.hasPrefix("nobody@") ? SMTPReply(550, EnhancedCode(5, 1, 1), "No such user.") : nil
    }

    func message(_ transaction: SMTPTransaction, data: ByteBuffer, connection: SMTPConnectionInfo) async -> SMTPReply {
        arrival.yield()
        await gate.pass()
        record.withLock { $0.messages.append((transaction, data, connection)) }
        return SMTPReply(250, .success, "Queued.")
    }

    func connectionOpened(_ connection: SMTPConnectionInfo) {
        record.withLock { $0.opened.append(connection) }
    }

    func connectionClosed(_ connection: SMTPConnectionInfo, reason: SMTPCloseReason) {
        record.withLock { $0.closed.append((connection, reason)) }
        closing.yield(reason)
    }

    /// The reason of the next connection that closes.
    func nextCloseReason() async -> SMTPCloseReason? {
        for await reason in closings { return reason }
        return nil
    }

    /// Returns when a message has come to be stored.
    func nextArrival() async {
        for await _ in arrivals { return }
    }
}

/// Holds tasks up until it is opened.
final class Gate: Sendable {
    private struct State {
        var isOpen: Bool
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state: Mutex<State>

    init(isOpen: Bool) { state = Mutex(State(isOpen: isOpen)) }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// A client that sends what it is told and reads replies.
final class TestClient {
    let channel: any Channel
    private var buffer = ByteBuffer()
    private var chunks: AsyncStream<ByteBuffer>.Iterator

    private init(channel: any Channel, chunks: AsyncStream<ByteBuffer>) {
        self.channel = channel
        self.chunks = chunks.makeAsyncIterator()
    }

    /// - Parameter tls: Trust this certificate and begin with TLS.
    static func connect(port: Int, tls: TestCertificate? = nil) async throws -> TestClient {
        let (stream, continuation) = AsyncStream<ByteBuffer>.makeStream()
        let tlsContext = try tls?.clientContext()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.allowRemoteHalfClosure, value: true)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tlsContext {
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: tlsContext, serverHostname: nil)
                        )
                    }
                    try channel.pipeline.syncOperations.addHandler(ChunkHandler(continuation))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return TestClient(channel: channel, chunks: stream)
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text))
    }

    func send(_ buffer: ByteBuffer) async throws {
        try await channel.writeAndFlush(buffer)
    }

    /// Sends and reads one reply.
    func ask(_ text: String) async throws -> [String] {
        try await send(text)
        return await reply()
    }

    /// The lines of the next reply; empty when the server has closed.
    func reply() async -> [String] {
        var lines: [String] = []
        while let line = await line() {
            lines.append(line)
            if line.utf8.dropFirst(3).first != UInt8(ascii: "-") { break }
        }
        return lines
    }

    private func line() async -> String? {
        while true {
            if let end = buffer.readableBytesView.firstIndex(of: UInt8(ascii: "\n")) {
                let line = buffer.readString(length: end + 1 - buffer.readerIndex) ?? ""
                return String(line.dropLast())  // CRLF is one Character
            }
            guard var chunk = await chunks.next() else { return nil }
            buffer.writeBuffer(&chunk)
        }
    }

    func startTLS(_ certificate: TestCertificate) async throws {
        let context = try certificate.clientContext()
        try await channel.eventLoop.submit { [channel] in
            try channel.pipeline.syncOperations.addHandler(
                NIOSSLClientHandler(context: context, serverHostname: nil),
                position: .first
            )
        }.get()
    }

    func close() async throws {
        try? await channel.close()
    }

    private final class ChunkHandler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let continuation: AsyncStream<ByteBuffer>.Continuation

        init(_ continuation: AsyncStream<ByteBuffer>.Continuation) { self.continuation = continuation }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) { continuation.yield(unwrapInboundIn(data)) }
        func channelInactive(context: ChannelHandlerContext) { continuation.finish() }
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case ChannelEvent.inputClosed = event { continuation.finish() }
            context.fireUserInboundEventTriggered(event)
        }
    }
}

/// A self-signed certificate for 127.0.0.1, made with the openssl command.
struct TestCertificate: Sendable {
    let certificate: NIOSSLCertificate
    private let key: NIOSSLPrivateKey

    init() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("smtp-test-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (keyPath, path) = (
            folder.appendingPathComponent("key.pem").path, folder.appendingPathComponent("c.pem").path
        )
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
            "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", keyPath, "-out", path,
        ]
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        certificate = try NIOSSLCertificate.fromPEMFile(path)[0]
        key = try NIOSSLPrivateKey(file: keyPath, format: .pem)
    }

    func serverContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: [.certificate(certificate)],
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        return try NIOSSLContext(configuration: configuration)
    }

    func clientContext() throws -> NIOSSLContext {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates([certificate])
        return try NIOSSLContext(configuration: configuration)
    }
}

extension SMTPServerConfiguration {
    /// On a free port of loopback, in clear, open to everybody.
    static var test: SMTPServerConfiguration {
        var configuration = SMTPServerConfiguration(host: "127.0.0.1", port: 0, mode: .plain, hostname: "mx.test")
        configuration.requireAuthentication = false
        configuration.allowCleartextAuthOnLoopback = true
        return configuration
    }
}

/// Runs a server in a service group's place while `body` talks to it.
///
/// - Parameter body: Gets the port and a closure that begins a graceful shutdown. The server is shut down behind it.
func withServer(
    _ configuration: SMTPServerConfiguration,
    _ delegate: RecordingDelegate,
    limiter: SMTPConnectionLimiter? = nil,
    _ body: @Sendable (_ port: Int, _ shutDown: @Sendable () -> Void) async throws -> Void
) async throws {
    let server = SMTPServer(
        configuration: configuration,
        delegate: delegate,
        limiter: limiter,
        logger: Logger(label: "test")
    )
    try await testGracefulShutdown { trigger in
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            try await body(server.boundPort, { trigger.triggerGracefulShutdown() })
            trigger.triggerGracefulShutdown()
            try await group.waitForAll()
        }
    }
}
