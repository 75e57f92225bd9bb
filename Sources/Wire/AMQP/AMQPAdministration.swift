// Looks at queues, declares them, and takes messages out of them by hand: one thread, one connection that is kept.

package import Logging

package final class AMQPAdministration: Sendable {
    private let configuration: AMQPConfiguration
    private let logger: Logger
    private let control = AMQPControl()
    private let calls: AdministrationCalls

    package init(configuration: AMQPConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        self.calls = AdministrationCalls(limit: configuration.limits.waitingCalls)
    }

    deinit { control.requestStop() }

    /// Makes the thread; it connects at the first call.
    package func start() {
        guard control.begin() else { return }
        AMQPThread.start("amqp-admin") { [configuration, logger, control, calls] in
            AdministrationLoop(configuration, logger, control, calls).run()
        }
    }

    /// Ends waiting calls with `stopped`; taken messages go back to their queues.
    package func stop() async {
        await control.stop(patience: configuration.stopTimeout)
        calls.end(AMQPError(.stopped, "shut down"))
    }

    package var state: AMQPConnectionState { control.state }

    /// Ready messages and consumers of each queue, by passive declarations; nil for a queue that is not there.
    package func inspect(_ queues: [String]) async throws(AMQPError) -> [String: AMQPQueueDepth?] {
        try await perform { session throws(AMQPError) in
            let link = try session.link()
            var depths: [String: AMQPQueueDepth?] = [:]
            for queue in queues { depths[queue] = .some(try link.depth(of: queue)) }
            return depths
        }
    }

    /// Declares durable queues, in order.
    /// - Throws: `precondition` where one exists with other arguments, `refused` without the right to.
    package func declare(_ queues: [AMQPQueueDeclaration]) async throws(AMQPError) {
        try await perform { session throws(AMQPError) in
            for queue in queues { try session.link().declare(queue) }
        }
    }

    /// Takes up to `limit` messages, fewer when the queue has no more or they hold over `limits.batchBytes`. They are
    /// hidden from consumers until settled; after `limits.takenTimeout` without a call of `take` or `settle`, or when
    /// the connection is lost, the broker puts them back.
    package func take(queue: String, limit: Int) async throws(AMQPError) -> [AMQPTaken] {
        try await perform { session throws(AMQPError) in try session.take(queue: queue, limit: limit) }
    }

    /// Settles taken messages, in order.
    /// - Throws: `stale` when the broker has taken some of them back already; then none was settled.
    package func settle(_ settlements: [(AMQPTaken.Tag, AMQPDisposition)]) async throws(AMQPError) {
        try await perform { session throws(AMQPError) in try session.settle(settlements) }
    }

    private func perform<Value: Sendable>(
        _ work: @escaping @Sendable (AdministrationSession) throws(AMQPError) -> Value
    ) async throws(AMQPError) -> Value {
        let result: Result<Value, AMQPError> = await withCheckedContinuation { continuation in
            let call = AdministrationCalls.Call { session in
                switch session {
                case .failure(let error):
                    continuation.resume(returning: .failure(error))
                    return nil
                case .success(let session):
                    do throws(AMQPError) {
                        let value = try work(session)
                        continuation.resume(returning: .success(value))
                        return nil
                    } catch {
                        continuation.resume(returning: .failure(error))
                        return error
                    }
                }
            }
            if let error = calls.add(call) {
                continuation.resume(returning: .failure(error))
            } else {
                control.ring()
            }
        }
        return try result.get()
    }
}
