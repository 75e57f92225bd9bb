// Publishes with confirms: one thread, one connection, many messages in flight, one wake-up a call.

package import Logging

/// Made, started, used from anywhere, stopped. Nothing is kept beyond the process: what is not confirmed is the caller's
/// to try again.
package final class AMQPPublisher: Sendable {
    private let configuration: AMQPConfiguration
    private let logger: Logger
    private let control = AMQPControl()
    private let queue: PublishQueue

    package init(configuration: AMQPConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        self.queue = PublishQueue(limits: configuration.limits)
    }

    deinit { control.requestStop() }

    /// Begins to connect, and keeps connected until `stop`.
    package func start() {
        guard control.begin() else { return }
        AMQPThread.start("amqp-publish") { [configuration, logger, control, queue] in
            PublisherLoop(configuration, logger, control, queue).run()
        }
    }

    /// Refuses what is not yet written, waits for the confirms that are due (`stopTimeout`), and ends the connection.
    package func stop() async {
        // The thread keeps its own time-out; a little more for it to be told apart from a stuck socket.
        await control.stop(patience: configuration.stopTimeout + .seconds(2))
        queue.refuseAll("shutting down")
    }

    package var state: AMQPConnectionState { control.state }
    package var counters: AMQPPublisherCounters { queue.counters }

    /// Publishes and waits for what becomes of each message: one outcome an input, in the same order. It does not wait
    /// for a connection that has failed, nor for a blocked one: those messages are `unavailable` at once. A cancelled call ends
    /// at once, `inDoubt`: the messages may go out all the same.
    package func publish(_ messages: [AMQPMessage]) async -> [AMQPPublishOutcome] {
        if messages.isEmpty { return [] }
        let caller = WaitingCaller()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                caller.wait(continuation)
                queue.add(PublishBatch(messages, caller), ring: control.ring) {
                    if control.isStopping { return "shutting down" }
                    switch control.state {
                    case .connecting(nil), .connected: return nil
                    case .connecting(let error?): return "no connection: \(error)"
                    case .blocked(let reason): return "the broker takes no messages: \(reason)"
                    case .closed: return "shut down"
                    }
                }
            }
        } onCancel: {
            caller.resume(messages.map { _ in .inDoubt("nobody waited for the broker's confirm any longer") })
        }
    }
}
