// The front of this module: hand in a message and a destination, learn what became of every recipient.

package import Logging
package import NIOCore
import SMTP
import Synchronization

/// Delivers over pooled connections, a bounded number to each destination. Safe to share; never throws.
package final class SMTPClientPool: Sendable {
    private typealias Connection = SMTPClientConnection
    private typealias Grant = SMTPPoolGrant<SMTPClientConnection>
    private typealias Waiter = CheckedContinuation<SMTPPoolGrant<SMTPClientConnection>, Never>

    private struct Shared {
        var state: SMTPPoolState<Connection, Waiter>
        /// Every open connection, busy or idle.
        var open: [ObjectIdentifier: Connection] = [:]
        /// `shutdown()` was told to hurry.
        var isAborted = false
        var drained: [CheckedContinuation<Void, Never>] = []

        /// Who waits in `shutdown()`, once nothing is left.
        mutating func takeDrained() -> [CheckedContinuation<Void, Never>] {
            guard isDrained else { return [] }
            defer { drained.removeAll() }
            return drained
        }

        var isDrained: Bool { open.isEmpty && state.isDrained }
    }

    private let group: any EventLoopGroup
    private let configuration: SMTPClientConfiguration
    private let logger: Logger
    private let contexts = SMTPTLSContexts()
    private let shared: Mutex<Shared>

    package init(
        eventLoopGroup: any EventLoopGroup,
        configuration: SMTPClientConfiguration = SMTPClientConfiguration(),
        logger: Logger
    ) {
        group = eventLoopGroup
        self.configuration = configuration
        self.logger = logger
        shared = Mutex(Shared(state: SMTPPoolState(capacity: configuration.connectionsPerDestination)))
    }

    /// Delivers `message`, in several transactions where it has more recipients than one may have. Waits for a free
    /// connection if need be. Whatever goes wrong with the network is a `.transient` outcome. Cancelling the task closes
    /// the connection in use; what was not delivered by then is `.transient`.
    package func deliver(_ message: SMTPOutgoing, to destination: SMTPDestination) async -> SMTPDeliveryResult {
        let limits = configuration.limits
        var result = SMTPCollectedResult(message.recipients, destination, transcriptSize: limits.transcriptSize)
        let plan = message.planned(recipientsPerTransaction: limits.recipientsPerTransaction)
        result.take(plan.refused)
        if let fault = destination.fault {
            result.rest(.transient(fault))
            return result.delivery
        }
        for (batch, places) in zip(plan.batches, plan.places) {
            switch await send(batch, to: destination) {
            case .attempted(let attempt, let peer):
                result.take(attempt, places, peer: peer)
            case .notConnected(let failure, let transcript, let peer):
                // The next transaction would fare no better, after as long a wait.
                result.fail(failure, transcript, peer: peer)
                return result.delivery
            }
        }
        return result.delivery
    }

    /// Refuses new deliveries, ends idle connections with QUIT, and waits for deliveries under way. To cut those short,
    /// cancel their tasks, or the task that waits here: then all connections are closed at once.
    package func shutdown() async {
        let (waiters, idle) = shared.withLock { $0.state.shutDown() }
        for waiter in waiters { waiter.resume(returning: .shutDown) }
        for connection in idle { connection.quit() }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isDrained = shared.withLock { shared in
                    if shared.isDrained { return true }
                    shared.drained.append(continuation)
                    return false
                }
                if isDrained { continuation.resume() }
            }
        } onCancel: {
            let open = shared.withLock { shared in
                shared.isAborted = true
                return Array(shared.open.values)
            }
            for connection in open { connection.cancel() }
        }
    }
}

extension SMTPClientPool {
    /// `shutdown()` has been called.
    package var isShutDown: Bool { shared.withLock { $0.state.isShutDown } }
}

// MARK: - One batch

extension SMTPClientPool {
    private enum Sent {
        case attempted(SMTPClientHandler.Attempt, peer: String)
        case notConnected(SMTPFailure, SMTPTranscript?, peer: String?)
    }

    private func send(_ batch: SMTPBatch, to destination: SMTPDestination) async -> Sent {
        var isSecondTry = false
        while true {
            let connection: Connection
            let uses: Int
            switch await lease(destination, fresh: isSecondTry) {
            case .reuse(let known, let count):
                connection = known
                uses = count
            case .connect:
                switch await open(destination) {
                case .opened(let new):
                    connection = new
                    uses = 0
                case .failed(let failure, let transcript, let peer):
                    release(destination, nil)
                    return .notConnected(failure, transcript, peer: peer)
                }
            case .shutDown:
                let failure = SMTPFailure(
                    reason: "not tried: this process is shutting down",
                    enhanced: EnhancedCode(4, 3, 2),
                    stage: .connect
                )
                return .notConnected(failure, nil, peer: nil)
            case .cancelled:
                return .notConnected(SMTPFailure(.cancelled, stage: .connect), nil, peer: nil)
            }
            let attempt = await connection.deliver(batch)
            giveBack(connection, uses: uses + 1, attempt, destination)
            // A server may drop an idle connection at any moment. Nothing was asked of it yet: this is no attempt.
            if attempt.isStale, !isSecondTry {
                logger.debug("a kept SMTP connection was dead", metadata: ["peer": "\(connection.peer)"])
                isSecondTry = true
                continue
            }
            return .attempted(attempt, peer: connection.peer)
        }
    }

    private func open(_ destination: SMTPDestination) async -> SMTPClientConnection.Opening {
        let opening = await openOnce(destination)
        guard destination.tls.mode == .opportunistic, case .failed(let failure, _, _) = opening,
            failure.stage == .tls, failure.reply == nil, !Task.isCancelled
        else { return opening }
        // RFC 7435 §3: where TLS is a courtesy, its failing is no reason to keep the mail.
        logger.debug("TLS failed; going on in clear", metadata: ["host": "\(destination.host)"])
        var inClear = destination
        inClear.tls.mode = .none
        return await openOnce(inClear, pooledAs: destination)
    }

    private func openOnce(
        _ destination: SMTPDestination,
        pooledAs key: SMTPDestination? = nil
    ) async -> SMTPClientConnection.Opening {
        let opening: SMTPClientConnection.Opening
        do {
            opening = await SMTPClientConnection.open(
                destination,
                tls: try await contexts.context(for: destination.tls),
                configuration: configuration,
                group: group
            )
        } catch {
            let failure = SMTPFailure.tls("TLS cannot be set up; are the extra trust roots PEM? (\(error))")
            return .failed(failure, SMTPTranscript(), peer: "\(destination.host):\(destination.port)")
        }
        switch opening {
        case .opened(let connection):
            adopt(connection, pooledAs: key ?? destination)
            logger.debug("SMTP connection opened", metadata: ["peer": "\(connection.peer)"])
        case .failed(let failure, _, let peer):
            logger.debug("no SMTP connection", metadata: ["peer": "\(peer)", "failure": "\(failure)"])
        }
        return opening
    }
}

// MARK: - Connections

extension SMTPClientPool {
    private func lease(_ destination: SMTPDestination, fresh: Bool) async -> Grant {
        let id = shared.withLock { $0.state.makeID() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                // Looked at under the lock that the handler below takes: a cancellation is seen here or there.
                let action = shared.withLock { shared in
                    Task.isCancelled
                        ? .grant(.cancelled, evicted: nil)
                        : shared.state.lease(destination, fresh: fresh, id: id, waiter: continuation)
                }
                switch action {
                case .grant(let grant, let evicted):
                    evicted?.quit()
                    continuation.resume(returning: grant)
                case .wait: break
                }
            }
        } onCancel: {
            let waiter = shared.withLock { $0.state.cancelWaiter(destination, id: id) }
            waiter?.resume(returning: .cancelled)
        }
    }

    private func giveBack(
        _ connection: Connection,
        uses: Int,
        _ attempt: SMTPClientHandler.Attempt,
        _ destination: SMTPDestination
    ) {
        guard attempt.isReusable, uses < configuration.messagesPerConnection else {
            if attempt.isReusable { connection.quit() }
            return release(destination, nil)
        }
        release(destination, (connection, uses))
        // It may have died before it was idle, when there was nothing to forget.
        if !connection.isActive { forget(connection, destination) }
    }

    private func release(_ destination: SMTPDestination, _ returned: (connection: Connection, uses: Int)?) {
        let (action, drained) = shared.withLock { shared in
            (shared.state.release(destination, returned), shared.takeDrained())
        }
        switch action {
        case .none: break
        case .resume(let waiter, let grant): waiter.resume(returning: grant)
        case .end(let connection): connection.quit()
        }
        for continuation in drained { continuation.resume() }
    }

    private func adopt(_ connection: Connection, pooledAs destination: SMTPDestination) {
        let isAborted = shared.withLock { shared in
            shared.open[ObjectIdentifier(connection)] = connection
            return shared.isAborted
        }
        connection.closed.whenComplete { _ in self.forget(connection, destination) }
        if isAborted { connection.cancel() }
    }

    private func forget(_ connection: Connection, _ destination: SMTPDestination) {
        let drained = shared.withLock { shared in
            shared.open[ObjectIdentifier(connection)] = nil
            shared.state.forget(destination, connection)
            return shared.takeDrained()
        }
        for continuation in drained { continuation.resume() }
    }
}
