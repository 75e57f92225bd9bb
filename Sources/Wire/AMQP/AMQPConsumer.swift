// Consumes one queue in batches: one thread, one connection, settled by what the handler answers.

package import Logging

/// Made, started, stopped. Whatever is not settled when the connection ends comes again, marked as redelivered.
package final class AMQPConsumer: Sendable {
    private let configuration: AMQPConfiguration
    private let queue: String
    private let prefetch: Int
    private let logger: Logger
    private let control = AMQPControl()
    private let desk: ConsumerDesk

    /// - Parameters:
    ///   - prefetch: Unsettled messages that the broker hands out at most, 1…2000 (quorum queues take no more).
    ///   - handler: Gets what has arrived, at most `limits.batchMessages`, one batch at a time and in order; answers
    ///     one disposition a delivery. While a batch asks for requeueing, the next one waits a little, longer each time.
    package init(
        configuration: AMQPConfiguration, queue: String, prefetch: Int, logger: Logger,
        handler: @escaping @Sendable ([AMQPDelivery]) async -> [AMQPDisposition]
    ) {
        precondition(1...2000 ~= prefetch, "a prefetch from 1 to 2000")
        self.configuration = configuration
        self.queue = queue
        self.prefetch = prefetch
        self.logger = logger
        self.desk = ConsumerDesk(handler: handler)
    }

    deinit { control.requestStop() }

    /// Begins to connect, and keeps consuming until `stop`: a queue that is missing or deleted is tried again.
    package func start() {
        guard control.begin() else { return }
        AMQPThread.start("amqp-consume") { [configuration, queue, prefetch, logger, control, desk] in
            ConsumerLoop(configuration, queue: queue, prefetch: prefetch, logger, control, desk).run()
        }
    }

    /// Takes no more deliveries, lets the running batch finish (`stopTimeout`), settles it, and ends the connection.
    package func stop() async { await control.stop(patience: configuration.stopTimeout + .seconds(2)) }

    package var state: AMQPConnectionState { control.state }
}
