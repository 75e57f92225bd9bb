// Where the consumer's thread leaves a batch for the handler, and finds its answer.

internal import Synchronization

final class ConsumerDesk: Sendable {
    private let answer = Mutex<[AMQPDisposition]?>(nil)
    private let handler: @Sendable ([AMQPDelivery]) async -> [AMQPDisposition]

    init(handler: @escaping @Sendable ([AMQPDelivery]) async -> [AMQPDisposition]) { self.handler = handler }

    /// Starts the handler; `done` is called once its answer lies here.
    func handle(_ deliveries: [AMQPDelivery], done: @escaping @Sendable () -> Void) {
        // A stray task: the caller is a thread of librabbitmq's, which must keep up heartbeats and cannot await.
        Task {
            let dispositions = await handler(deliveries)
            answer.withLock { $0 = dispositions }
            done()
        }
    }

    func takeAnswer() -> [AMQPDisposition]? {
        answer.withLock { answer in
            defer { answer = nil }
            return answer
        }
    }
}
