// Tells the dispatcher that the outbox has something new, so that it need not ask again and again.

import Synchronization

package final class OutboxSignal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation

    package init() {
        // One pending signal says as much as ten.
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package func notify() { continuation.yield() }

    /// Signals as they come; for one consumer.
    package var signals: AsyncStream<Void> { stream }
}
