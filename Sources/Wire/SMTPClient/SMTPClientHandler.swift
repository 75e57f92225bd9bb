// Ties the machine to a channel: callbacks become events, actions become writes, timers, TLS and answers.

import NIOCore
import NIOSSL
import NIOTLS
import SMTP

/// Bound to its channel's event loop. Everything that decides is in `SMTPClientMachine`.
final class SMTPClientHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    struct Opening: Sendable {
        var failure: SMTPFailure?
        var transcript: SMTPTranscript
    }

    struct Attempt: Sendable {
        /// In the order of the batch's recipients.
        var statuses: [SMTPRecipientStatus]
        var transcript: SMTPTranscript
        var tls: String?
        /// Nothing was tried: the connection was dead, or died before MAIL was answered after having been used before.
        var isStale = false
        /// Ready for the next batch.
        var isReusable = false
    }

    struct TLS {
        var context: NIOSSLContext
        /// Nil for a peer that is known by its address alone.
        var serverName: String?
        var isVerified: Bool
    }

    private struct Delivery {
        var batch: SMTPBatch
        var fitting: SMTPBatch.Fitting
        var promise: EventLoopPromise<Attempt>
        var writer: SMTPContentWriter?
    }

    private let configuration: SMTPClientConfiguration
    private let tls: TLS?
    private let opening: EventLoopPromise<Opening>
    private var machine: SMTPClientMachine
    private var parser: SMTPReplyParser
    private var transcript: SMTPTranscript
    private var tlsHandler: NIOSSLClientHandler?
    private var tlsDescription: String?
    private var delivery: Delivery?
    private var deliveries = 0
    private var context: ChannelHandlerContext?
    private var deadline: NIODeadline?
    private var timer: (at: NIODeadline, task: Scheduled<Void>)?

    /// - Parameter opening: completed once, when the connection is ready or has failed; never failed itself.
    init(
        machine: SMTPClientMachine,
        tls: TLS?,
        configuration: SMTPClientConfiguration,
        transcript: SMTPTranscript,
        opening: EventLoopPromise<Opening>
    ) {
        self.machine = machine
        self.tls = tls
        self.configuration = configuration
        self.transcript = transcript
        self.opening = opening
        parser = SMTPReplyParser(limits: configuration.limits)
    }
}

// MARK: - What the connection's owner asks for

extension SMTPClientHandler {
    /// - Parameter promise: succeeded with what came of the batch; never failed.
    func deliver(_ batch: SMTPBatch, promise: EventLoopPromise<Attempt>) {
        if deliveries > 0 {
            transcript = SMTPTranscript(limit: configuration.limits.transcriptSize)
            transcript.note("over a connection that was used before")
        }
        guard let capabilities = machine.capabilities else {
            promise.succeed(unusable(batch))
            return
        }
        deliveries += 1
        let fitting = batch.fitted(to: capabilities)
        delivery = Delivery(batch: batch, fitting: fitting, promise: promise)
        guard let envelope = fitting.envelope else {
            transcript.note("nothing sent: no recipient is left after comparing the message with the server's reply")
            finish(SMTPClientMachine.Report(statuses: []), isReusable: true)
            return
        }
        switch machine.deliver(envelope) {
        case .send(let commands): send(commands)
        case .unusable: preconditionFailure("a machine with capabilities is ready")
        }
        armTimer()
    }

    /// Breaks off whatever is going on.
    func cancel() {
        lose(.cancelled)
    }

    /// Ends an unused connection politely.
    func quit() {
        switch machine.quit() {
        case .send(let command): send([command])
        case .none: break
        }
        armTimer()
    }

    private func unusable(_ batch: SMTPBatch) -> Attempt {
        let failure = SMTPFailure(.closedByPeer, stage: .mail)
        return Attempt(
            statuses: batch.recipients.map { _ in .transient(failure) },
            transcript: transcript,
            tls: tlsDescription,
            isStale: true
        )
    }
}

// MARK: - What the channel tells

extension SMTPClientHandler {
    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        switch machine.connected() {
        case .awaitGreeting: break
        case .startTLS: startTLS(context)
        }
        armTimer()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        lose(.closedByPeer)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        parser.append(&bytes)
        do {
            while let reply = try parser.next() {
                transcript.server(reply)
                run(machine.replyReceived(reply, moreBytes: parser.hasUnreadBytes))
                armTimer()
            }
        } catch {
            lose(.violation(error.description))
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeContent()
        context.fireChannelWritabilityChanged()
    }

    func channelInactive(context: ChannelHandlerContext) {
        lose(.closedByPeer)
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent {
            handshakeCompleted()
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A peer that closes without TLS's own goodbye has closed all the same.
        if case .uncleanShutdown? = error as? NIOSSLError {
            lose(.closedByPeer)
        } else if let words = SMTPErrorWords.tls(error, server: tls?.serverName) {
            lose(.tls(words))
        } else {
            lose(.network(SMTPErrorWords.network(error)))
        }
    }
}

// MARK: - Actions

extension SMTPClientHandler {
    private func run(_ action: SMTPClientMachine.ReplyAction) {
        switch action {
        case .wait: break
        case .send(let commands): send(commands)
        case .startTLS:
            guard let context else { return }
            startTLS(context)
        case .opened: opening.succeed(Opening(failure: nil, transcript: transcript))
        case .refused(let failure, let goodbye):
            opening.succeed(Opening(failure: failure, transcript: transcript))
            if let goodbye { send([goodbye]) } else { close() }
        case .sendContent:
            guard let content = delivery?.batch.message.content else { return }
            delivery?.writer = SMTPContentWriter(content, blockSize: configuration.limits.blockSize)
            writeContent()
        case .finished(let report, let isReusable):
            finish(report, isReusable: isReusable)
            if !isReusable { close() }
        case .close: close()
        }
    }

    private func send(_ commands: [SMTPClientCommand]) {
        guard let context, !commands.isEmpty else { return }
        var buffer = context.channel.allocator.buffer(capacity: commands.reduce(0) { $0 + $1.length })
        for command in commands {
            command.write(into: &buffer)
            transcript.client(command)
        }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }

    /// Writes blocks for as long as the channel takes them without piling up. A fast peer takes them at once, so that
    /// after a few it is other connections' turn, and that of what the peer may have to say.
    private func writeContent() {
        guard let context else { return }
        var blocks = 0
        while context.channel.isWritable, let (block, isLast) = delivery?.writer?.next() {
            if isLast, let content = delivery?.batch.message.content {
                transcript.clientContent(octets: content.size)
            }
            let written = context.eventLoop.makePromise(of: Void.self)
            written.futureResult.assumeIsolated().whenSuccess { self.blockWritten(isLast: isLast) }
            context.writeAndFlush(wrapOutboundOut(block), promise: written)
            blocks += 1
            if blocks == 8, !isLast {
                // A loop runs whatever is due before it looks at sockets again; this is not due yet.
                context.eventLoop.assumeIsolated().scheduleTask(in: .microseconds(20)) { self.writeContent() }
                return
            }
        }
    }

    private func blockWritten(isLast: Bool) {
        if isLast { machine.contentWritten() }
        armTimer()
    }

    private func startTLS(_ context: ChannelHandlerContext) {
        guard let tls else { preconditionFailure("a destination with TLS comes with a TLS context") }
        do {
            let handler = try NIOSSLClientHandler(context: tls.context, serverHostname: tls.serverName)
            tlsHandler = handler
            try context.pipeline.syncOperations.addHandler(handler, position: .first)
        } catch {
            lose(.tls("TLS could not be started: \(error)"))
        }
    }

    private func handshakeCompleted() {
        guard let tls, let tlsHandler else { preconditionFailure("a handshake without TLS") }
        if tls.isVerified, let name = tls.serverName {
            guard let certificate = tlsHandler.peerCertificate, SMTPCertificateName.matches(certificate, name: name)
            else {
                return lose(.tls(SMTPErrorWords.otherName(name)))
            }
        }
        let certificate = tls.isVerified ? "certificate verified" : "certificate not verified"
        let description = "\(SMTPErrorWords.name(of: tlsHandler.tlsVersion)), \(certificate)"
        tlsDescription = description
        transcript.note(description)
        switch machine.secured() {
        case .awaitGreeting, .ignore: break
        case .send(let command): send([command])
        }
        armTimer()
    }

    private func lose(_ loss: SMTPClientMachine.Loss) {
        ended(machine.lost(loss))
    }

    private func ended(_ action: SMTPClientMachine.LossAction) {
        switch action {
        case .none: break
        case .failOpening(let failure):
            transcript.note(failure.reason)
            opening.succeed(Opening(failure: failure, transcript: transcript))
        case .failTransaction(let report):
            if let reason = report.statuses.lazy.compactMap(\.failure).last(where: { $0.reply == nil })?.reason {
                transcript.note(reason)
            }
            finish(report, isReusable: false)
        }
        close()
    }

    private func finish(_ report: SMTPClientMachine.Report, isReusable: Bool) {
        guard let delivery else { return }
        self.delivery = nil
        var asked = report.statuses.makeIterator()
        let statuses = delivery.fitting.refused.map { refused in
            if let refused { return refused }
            guard let status = asked.next() else { preconditionFailure("a report has a status for each recipient") }
            return status
        }
        delivery.promise.succeed(
            Attempt(
                statuses: statuses,
                transcript: transcript,
                tls: tlsDescription,
                isStale: report.isStale,
                isReusable: isReusable
            )
        )
    }

    private func close() {
        armTimer()
        context?.close(promise: nil)
    }
}

// MARK: - Time

extension SMTPClientHandler {
    /// Gives the machine's present state its time from now. Only whole replies, written blocks and our own steps come
    /// here: a peer that drips bytes gains nothing. A task that fires early goes to sleep again, which is cheaper than
    /// cancelling one for each reply.
    private func armTimer() {
        guard let patience = machine.patience, let context else {
            timer?.task.cancel()
            timer = nil
            deadline = nil
            return
        }
        let new = NIODeadline.now() + TimeAmount(patience)
        deadline = new
        if let timer, timer.at <= new { return }
        timer?.task.cancel()
        schedule(new, context)
    }

    private func schedule(_ at: NIODeadline, _ context: ChannelHandlerContext) {
        timer = (at, context.eventLoop.assumeIsolated().scheduleTask(deadline: at) { self.timerFired() })
    }

    private func timerFired() {
        timer = nil
        guard let deadline, let context else { return }
        guard deadline <= .now() else { return schedule(deadline, context) }
        switch machine.timedOut() {
        case .send(let command):
            send([command])
            armTimer()
        case .lost(let action): ended(action)
        }
    }
}
