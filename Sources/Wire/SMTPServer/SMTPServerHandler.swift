// The end of a server's channel pipeline: turns NIO's callbacks into events of an SMTPServerSession and does what its
// steps say. All protocol is in the session; all that is here is timing, TLS and the calls of the delegate.

import Logging
import NIOCore
import NIOSSL
import NIOTLS
import SMTP

final class SMTPServerHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A user event: the server shuts down.
    struct Drain: Sendable {}

    private let delegate: any SMTPServerDelegate
    private let configuration: SMTPServerConfiguration
    private let connections: SMTPServerConnections
    private let logger: Logger
    private let eventLoop: any EventLoop

    private var context: ChannelHandlerContext?
    private var session: SMTPServerSession
    private var connection: SMTPConnectionInfo
    /// Replies that were not written yet: one write for all that a burst of commands led to.
    private var replies = ByteBuffer()
    private var wantsToRead = true
    private var greeting: Scheduled<Void>?
    private var timer: (deadline: NIODeadline, scheduled: Scheduled<Void>)?
    private var closeReason: SMTPCloseReason?

    init(
        connection: SMTPConnectionInfo,
        isLoopback: Bool,
        delegate: any SMTPServerDelegate,
        configuration: SMTPServerConfiguration,
        connections: SMTPServerConnections,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.connection = connection
        self.delegate = delegate
        self.configuration = configuration
        self.connections = connections
        self.eventLoop = eventLoop
        self.logger = logger
        self.session = SMTPServerSession(
            settings: configuration.settings(isLoopback: isLoopback),
            implicitTLS: configuration.mode == .implicitTLS,
            now: eventLoop.now
        )
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        delegate.connectionOpened(connection)
        if configuration.mode != .implicitTLS { prepareGreeting() }
        settle(context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        greeting?.cancel()
        timer?.scheduled.cancel()
        let reason = closeReason ?? .clientClosed
        logger.log(
            level: reason.isSuspicious ? .notice : .debug,
            "SMTP connection closed",
            metadata: [
                "connection": "\(connection.id)", "client": "\(connection.remoteAddress)", "reason": "\(reason)",
            ]
        )
        delegate.connectionClosed(connection, reason: reason)
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        session.receive(unwrapInboundIn(data), now: eventLoop.now)
        if greeting != nil {
            greet(context)
        } else {
            run(nil, context)
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        settle(context)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { settle(context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case ChannelEvent.inputClosed:
            session.inputEnded()
            if session.isClosed {
                context.close(promise: nil)
            } else {
                run(nil, context)
                settle(context)
            }
        case TLSUserEvent.handshakeCompleted:
            tlsEstablished(context)
        case is Drain:
            if let step = session.shutDown() {
                run(step, context)
                settle(context)
            }
        default:
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case NIOSSLError.uncleanShutdown:
            // The end of the connection without the end of TLS. A message ends in its own way, so nothing was cut off
            // unnoticed, and `inputClosed` follows.
            return
        case is NIOSSLError, is BoringSSLError:
            closeReason = closeReason ?? .tlsFailed("\(error)")
        default:
            closeReason = closeReason ?? .connectionError("\(error)")
        }
        context.close(promise: nil)
    }

    // MARK: Greeting

    private func prepareGreeting() {
        let delay = configuration.limits.greetingDelay
        greeting = eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            guard let context = self.context, greeting != nil else { return }
            greet(context)
            settle(context)
        }
    }

    private func greet(_ context: ChannelHandlerContext) {
        greeting?.cancel()
        greeting = nil
        run(session.greet(now: eventLoop.now), context)
    }

    // MARK: Steps

    /// Takes steps, beginning with this one, until there is nothing to do but wait.
    private func run(_ first: SMTPServerSession.Step?, _ context: ChannelHandlerContext) {
        let now = eventLoop.now
        var step = first ?? session.next(now: now)
        while true {
            switch step {
            case .read:
                wantsToRead = true
                return
            case .wait:
                return
            case .reply(let reply):
                reply.write(into: &replies, allowsUTF8: session.allowsUTF8Replies)
            case .judgeCredentials(let attempt):
                judge(attempt)
            case .judgeSender(let reversePath):
                let refusal = delegate.mail(reversePath, connection: refreshedConnection())
                step = session.senderJudged(refusal: refusal, now: now)
                continue
            case .judgeRecipient(let recipient, let transaction):
                let refusal = delegate.recipient(recipient, transaction: transaction, connection: connection)
                step = session.recipientJudged(refusal: refusal, now: now)
                continue
            case .store(let transaction, let message):
                store(transaction, message)
            case .startTLS(let reply):
                guard let tlsContext = configuration.tlsContext() else {
                    step = session.tlsUnavailable(now: now)
                    continue
                }
                return startTLS(reply, tlsContext, context)
            case .close(let replies, let reason):
                return hangUp(replies, reason, context)
            }
            step = session.next(now: now)
        }
    }

    /// Writes what is to be said, asks for more to read if any is wanted, and sets the timer.
    private func settle(_ context: ChannelHandlerContext) {
        if replies.readableBytes > 0 {
            context.writeAndFlush(wrapOutboundOut(replies), promise: nil)
            replies = ByteBuffer()
        }
        // Whoever does not read our replies is not read either.
        if wantsToRead && context.channel.isWritable {
            wantsToRead = session.isClosed
            context.read()
        }
        setTimer(context)
    }

    private func refreshedConnection() -> SMTPConnectionInfo {
        connection.hello = session.hello
        connection.isESMTP = session.isESMTP
        return connection
    }

    // MARK: Questions to the delegate

    private func judge(_ attempt: SMTPAuthentication) {
        let connection = refreshedConnection()
        ask { delegate in
            await delegate.authenticate(attempt, connection: connection)
        } then: { handler, result in
            switch result {
            case .accepted(let identity):
                handler.connection.identity = identity
                return handler.session.credentialsJudged(refusal: nil, now: handler.eventLoop.now)
            case .refused(let reply):
                return handler.session.credentialsJudged(refusal: reply, now: handler.eventLoop.now)
            }
        }
    }

    private func store(_ transaction: SMTPTransaction, _ message: ByteBuffer) {
        let connection = connection
        ask { delegate in
            await delegate.message(transaction, data: message, connection: connection)
        } then: { handler, reply in
            handler.session.messageAnswered(reply, now: handler.eventLoop.now)
        }
    }

    /// Puts a question that takes time, and goes on with its answer if the connection is still there.
    private func ask<Answer: Sendable>(
        _ question: @escaping @Sendable (any SMTPServerDelegate) async -> Answer,
        then resume: @escaping @Sendable (SMTPServerHandler, Answer) -> SMTPServerSession.Step
    ) {
        let handler = NIOLoopBound(self, eventLoop: eventLoop)
        let (delegate, connections, eventLoop) = (delegate, connections, eventLoop)
        connections.workBegins()
        // A task of its own, because a channel callback cannot wait, and because a message that the delegate has
        // begun to store is stored even when the client leaves. `connections` counts it, so a shutdown waits for it.
        Task {
            let answer = await question(delegate)
            eventLoop.execute {
                let handler = handler.value
                if let context = handler.context, context.channel.isActive, !handler.session.isClosed {
                    handler.run(resume(handler, answer), context)
                    handler.settle(context)
                }
                connections.workEnds()
            }
        }
    }

    // MARK: TLS

    private func startTLS(_ reply: SMTPReply, _ tlsContext: NIOSSLContext, _ context: ChannelHandlerContext) {
        reply.write(into: &replies)
        // Written before the TLS handler is there, so it goes out in clear.
        settle(context)
        do {
            try context.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tlsContext), position: .first)
            context.read()
        } catch {
            errorCaught(context: context, error: error)
        }
    }

    private func tlsEstablished(_ context: ChannelHandlerContext) {
        session.tlsEstablished(now: eventLoop.now)
        connection.isTLS = true
        connection.hello = nil
        connection.isESMTP = false
        connection.identity = nil
        connection.tlsVersion = (try? context.pipeline.syncOperations.nioSSL_tlsVersion())??.name
        if configuration.mode == .implicitTLS { prepareGreeting() }
        settle(context)
    }

    // MARK: Time and the end

    private func setTimer(_ context: ChannelHandlerContext) {
        guard let deadline = session.deadline else { return }
        if let timer {
            // One that fires too early is cheaper than a new one for each command: it sets itself again.
            guard deadline < timer.deadline else { return }
            timer.scheduled.cancel()
        }
        let scheduled = eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [self] in
            timer = nil
            if let context = self.context {
                if let step = session.deadlineReached(now: eventLoop.now) { run(step, context) }
                settle(context)
            }
        }
        timer = (deadline, scheduled)
    }

    /// Says goodbye and closes our side; then reads and discards, because closing with octets unread would reset the
    /// connection and the goodbye would be lost.
    private func hangUp(_ farewell: [SMTPReply], _ reason: SMTPCloseReason, _ context: ChannelHandlerContext) {
        closeReason = closeReason ?? reason
        for reply in farewell { reply.write(into: &replies) }
        wantsToRead = true
        greeting?.cancel()
        greeting = nil
        timer?.scheduled.cancel()
        timer = nil
        settle(context)
        guard reason != .clientClosed else { return context.close(promise: nil) }
        context.close(mode: .output, promise: nil)
        let limit = configuration.limits.lingerTime
        let scheduled = eventLoop.assumeIsolated().scheduleTask(in: limit) { [self] in
            if let context = self.context { context.close(promise: nil) }
        }
        timer = (eventLoop.now + limit, scheduled)
    }
}

extension TLSVersion {
    /// As Received fields and logs have it.
    fileprivate var name: String {
        switch self {
        case .tlsv1: "TLSv1"
        case .tlsv11: "TLSv1.1"
        case .tlsv12: "TLSv1.2"
        case .tlsv13: "TLSv1.3"
        }
    }
}
