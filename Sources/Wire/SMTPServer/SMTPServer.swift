// A listening SMTP server as a service: binds, accepts within the limits, and on shutdown lets messages finish.

package import Logging
package import NIOCore
import NIOPosix
import NIOSSL
import SMTP
import ServiceLifecycle
import Synchronization

package final class SMTPServer: Service, Sendable {
    private let configuration: SMTPServerConfiguration
    private let delegate: any SMTPServerDelegate
    private let limiter: SMTPConnectionLimiter
    private let eventLoopGroup: any EventLoopGroup
    private let logger: Logger
    private let connections = SMTPServerConnections()
    private let port = SMTPBoundPort()

    /// - Parameters:
    ///   - limiter: Give several listeners the same one, and they share its numbers; `nil` makes one of the limits in
    ///     the configuration.
    package init(
        configuration: SMTPServerConfiguration,
        delegate: any SMTPServerDelegate,
        limiter: SMTPConnectionLimiter? = nil,
        eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
        logger: Logger
    ) {
        self.configuration = configuration
        self.delegate = delegate
        self.limiter = limiter ?? SMTPConnectionLimiter(configuration.limits)
        self.eventLoopGroup = eventLoopGroup
        self.logger = logger
    }

    /// The port that the server listens on, as soon as it does.
    ///
    /// - Throws: What kept `run` from binding.
    package var boundPort: Int {
        get async throws { try await port.value }
    }

    /// Serves until the service group shuts down. Throws when it cannot bind.
    package func run() async throws {
        let listener = try await listen()
        do {
            try await gracefulShutdown()
            logger.info("SMTP server is shutting down", metadata: ["port": "\(configuration.port)"])
            await drain(listener, within: configuration.shutdownDeadline)
        } catch {
            // Cancelled: there is no time to drain.
            await drain(listener, within: .zero)
        }
    }

    private func listen() async throws -> any Channel {
        let ids = SMTPConnectionIDs()
        let bootstrap = ServerBootstrap(group: eventLoopGroup)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.autoRead, value: false)
            // A client may close its side and still wait for the reply to its message.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(minimum: 1_024, initial: 2_048, maximum: 65_536)
            )
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try initialize(channel, id: ids.next()) }
            }
        do {
            let listener = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
            let bound = listener.localAddress?.port ?? configuration.port
            logger.info("SMTP server listens", metadata: ["host": "\(configuration.host)", "port": "\(bound)"])
            port.resolve(.success(bound))
            return listener
        } catch {
            port.resolve(.failure(error))
            throw error
        }
    }

    /// Builds the pipeline of an accepted connection, or of one that is sent away.
    private func initialize(_ channel: any Channel, id: UInt64) throws {
        let address = channel.remoteAddress
        let pipeline = channel.pipeline.syncOperations
        guard limiter.admit(address) else {
            logger.warning("SMTP connection refused", metadata: ["client": "\(address?.clientAddress ?? "")"])
            let says = configuration.mode != .implicitTLS
            return try pipeline.addHandler(SMTPRefusalHandler(reply: says ? .tooManyConnections : nil))
        }
        let (connections, limiter) = (connections, limiter)
        channel.closeFuture.whenComplete { _ in
            limiter.release(address)
            connections.remove(id: id)
        }
        guard connections.add(channel, id: id) else {
            return try pipeline.addHandler(SMTPRefusalHandler(reply: nil))
        }
        if configuration.mode == .implicitTLS {
            guard let context = configuration.tlsContext() else {
                logger.error("No certificate for implicit TLS; connection closed")
                return try pipeline.addHandler(SMTPRefusalHandler(reply: nil))
            }
            try pipeline.addHandler(NIOSSLServerHandler(context: context))
        }
        let handler = SMTPServerHandler(
            connection: SMTPConnectionInfo(
                id: id,
                remoteAddress: address?.clientAddress ?? "",
                remotePort: address?.port ?? 0,
                localPort: channel.localAddress?.port ?? 0
            ),
            isLoopback: address?.isLoopback ?? false,
            delegate: delegate,
            configuration: configuration,
            connections: connections,
            eventLoop: channel.eventLoop,
            logger: logger
        )
        try pipeline.addHandler(handler)
    }

    /// Accepts no more, lets the sessions finish their messages, and closes hard what is left at the deadline.
    private func drain(_ listener: any Channel, within deadline: TimeAmount) async {
        try? await listener.close()
        for channel in connections.beginDraining() {
            channel.pipeline.fireUserInboundEventTriggered(SMTPServerHandler.Drain())
        }
        let connections = connections
        let abandon = eventLoopGroup.next().scheduleTask(in: deadline) { connections.abandon() }
        await withTaskCancellationHandler {
            await connections.waitUntilDone()
        } onCancel: {
            connections.abandon()
        }
        abandon.cancel()
    }
}

/// Tells a client that there is no room for it, and closes.
private final class SMTPRefusalHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let reply: SMTPReply?

    init(reply: SMTPReply?) { self.reply = reply }

    func channelActive(context: ChannelHandlerContext) {
        if let reply {
            var buffer = ByteBuffer()
            reply.write(into: &buffer)
            context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        }
        context.close(promise: nil)
    }
}

/// Numbers connections.
private final class SMTPConnectionIDs: Sendable {
    private let last = Atomic<UInt64>(0)

    func next() -> UInt64 { last.add(1, ordering: .relaxed).newValue }
}
