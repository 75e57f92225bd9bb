// One connection to a server, as the pool holds it: opened, given batches one after the other, ended.

import NIOCore
import NIOPosix
import NIOSSL
import SMTP

final class SMTPClientConnection: Sendable {
    /// `host [address]:port`.
    let peer: String
    /// Completed when the connection is closed, whoever closed it.
    var closed: EventLoopFuture<Void> { channel.closeFuture }
    var isActive: Bool { channel.isActive }

    private let channel: any Channel
    private let handler: NIOLoopBound<SMTPClientHandler>

    enum Opening: Sendable {
        /// The transcript so far is continued by the first batch's.
        case opened(SMTPClientConnection)
        case failed(SMTPFailure, SMTPTranscript, peer: String)
    }

    private init(peer: String, channel: any Channel, handler: NIOLoopBound<SMTPClientHandler>) {
        self.peer = peer
        self.channel = channel
        self.handler = handler
    }

    /// Sends one batch; only one at a time. Cancelling the task closes the connection.
    func deliver(_ batch: SMTPBatch) async -> SMTPClientHandler.Attempt {
        let loop = channel.eventLoop
        let promise = loop.makePromise(of: SMTPClientHandler.Attempt.self)
        loop.execute { self.handler.value.deliver(batch, promise: promise) }
        return await withTaskCancellationHandler {
            await promise.futureResult.value()
        } onCancel: {
            cancel()
        }
    }

    /// Says QUIT and closes; only for a connection with nothing under way.
    func quit() {
        channel.eventLoop.execute { self.handler.value.quit() }
    }

    /// Closes, whatever is under way.
    func cancel() {
        channel.eventLoop.execute { self.handler.value.cancel() }
    }
}

// MARK: - Opening

extension SMTPClientConnection {
    /// Connects and goes on until the server is ready for MAIL. Cancelling the task gives up.
    ///
    /// - Parameter tls: for every mode but `.none`.
    static func open(
        _ destination: SMTPDestination,
        tls: NIOSSLContext?,
        configuration: SMTPClientConfiguration,
        group: any EventLoopGroup
    ) async -> Opening {
        guard let helloName = SMTPHelloName(destination.heloName) else {
            preconditionFailure("a destination is checked before anything is sent to it")
        }
        let loop = group.next()
        let attempt = NIOLoopBoundBox.makeEmptyBox(valueType: Attempt.self, eventLoop: loop)
        let promise = loop.makePromise(of: Opening.self)
        loop.execute {
            attempt.value = Attempt(
                destination: destination,
                helloName: helloName,
                tls: tls,
                configuration: configuration,
                loop: loop,
                promise: promise
            )
            attempt.value?.start()
        }
        return await withTaskCancellationHandler {
            await promise.futureResult.value()
        } onCancel: {
            loop.execute { attempt.value?.cancel() }
        }
    }

    /// One connecting, bound to its event loop.
    private final class Attempt {
        private let destination: SMTPDestination
        private let helloName: SMTPHelloName
        private let tls: NIOSSLContext?
        private let configuration: SMTPClientConfiguration
        private let loop: any EventLoop
        private let promise: EventLoopPromise<Opening>
        private var transcript: SMTPTranscript
        private var handler: SMTPClientHandler?
        private var isOver = false

        init(
            destination: SMTPDestination,
            helloName: SMTPHelloName,
            tls: NIOSSLContext?,
            configuration: SMTPClientConfiguration,
            loop: any EventLoop,
            promise: EventLoopPromise<Opening>
        ) {
            self.destination = destination
            self.helloName = helloName
            self.tls = tls
            self.configuration = configuration
            self.loop = loop
            self.promise = promise
            transcript = SMTPTranscript(limit: configuration.limits.transcriptSize)
        }

        func start() {
            // Nothing is read before the handlers are in place.
            ClientBootstrap(group: loop)
                .channelOption(.autoRead, value: false)
                .channelOption(.socketOption(.tcp_nodelay), value: 1)
                .connectTimeout(TimeAmount(configuration.timeouts.connect))
                .connect(host: destination.host, port: destination.port)
                .assumeIsolated()
                .whenComplete { self.connected($0) }
        }

        func cancel() {
            if let handler {
                handler.cancel()
            } else {
                fail(SMTPFailure(.cancelled, stage: .connect))
            }
        }

        private func connected(_ result: Result<any Channel, any Error>) {
            switch result {
            case .failure(let error):
                fail(
                    SMTPFailure(
                        reason: SMTPErrorWords.connect(error),
                        enhanced: EnhancedCode(4, 4, 1),
                        stage: .connect
                    )
                )
            case .success(let channel) where isOver:
                channel.close(promise: nil)
            case .success(let channel):
                talk(on: channel)
            }
        }

        private func talk(on channel: any Channel) {
            let address = channel.remoteAddress
            let peer = "\(destination.host) [\(address?.ipAddress ?? "?")]:\(destination.port)"
            transcript.note("connected to \(peer)")
            let opened = loop.makePromise(of: SMTPClientHandler.Opening.self)
            let handler = SMTPClientHandler(
                machine: SMTPClientMachine(settings(isLoopback: address?.isLoopback ?? false)),
                tls: tls.map {
                    SMTPClientHandler.TLS(
                        context: $0,
                        serverName: destination.certificateName,
                        isVerified: destination.tls.mode != .opportunistic
                    )
                },
                configuration: configuration,
                transcript: transcript,
                opening: opened
            )
            self.handler = handler
            let bound = NIOLoopBound(handler, eventLoop: loop)
            opened.futureResult.assumeIsolated().whenSuccess { opening in
                if let failure = opening.failure {
                    self.end(.failed(failure, opening.transcript, peer: peer))
                } else {
                    self.end(.opened(SMTPClientConnection(peer: peer, channel: channel, handler: bound)))
                }
            }
            do {
                try channel.pipeline.syncOperations.addHandler(handler)
                try channel.syncOptions?.setOption(.autoRead, value: true)
            } catch {
                // The peer was quicker in hanging up than we in saying hello.
                handler.cancel()
                channel.close(promise: nil)
                end(.failed(SMTPFailure(.closedByPeer, stage: .greeting), transcript, peer: peer))
            }
        }

        private func settings(isLoopback: Bool) -> SMTPClientMachine.Settings {
            SMTPClientMachine.Settings(
                tls: destination.tls.mode,
                helloName: helloName,
                credentials: destination.credentials,
                allowsUnprotectedAuth: destination.allowsUnprotectedAuth || isLoopback,
                usesPipelining: configuration.usesPipelining,
                timeouts: configuration.timeouts,
                idleTimeout: configuration.idleTimeout
            )
        }

        private func fail(_ failure: SMTPFailure) {
            transcript.note(failure.reason)
            end(.failed(failure, transcript, peer: "\(destination.host):\(destination.port)"))
        }

        private func end(_ opening: Opening) {
            guard !isOver else { return }
            isOver = true
            promise.succeed(opening)
        }
    }
}

extension EventLoopFuture where Value: Sendable {
    /// For futures that never fail.
    fileprivate func value() async -> Value {
        await withCheckedContinuation { continuation in
            whenComplete { result in
                switch result {
                case .success(let value): continuation.resume(returning: value)
                case .failure(let error): Swift.preconditionFailure("a promise that never fails did: \(error)")
                }
            }
        }
    }
}

extension SocketAddress {
    /// The peer is this very machine.
    fileprivate var isLoopback: Bool {
        switch self {
        case .v4: ipAddress?.hasPrefix("127.") == true
        case .v6: ipAddress == "::1" || ipAddress?.hasPrefix("::ffff:127.") == true
        case .unixDomainSocket: true
        }
    }
}

extension SMTPDestination {
    /// The name for SNI and certificate; nil when the server is known by its address only.
    fileprivate var certificateName: String? {
        let name = tls.serverName ?? host
        return (try? SocketAddress(ipAddress: name, port: 0)) == nil ? name : nil
    }
}
