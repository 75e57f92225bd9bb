// Tells the dispatcher that the outbox has something new, so that it need not ask again and again.

import Synchronization

package final class OutboxSignal: Sendable {
    private let stream: AsyncStream<Void>
    private let continuation: AsyncStream<Void>.Continuation
    private let announcement: @Sendable () -> Void

    /// - Parameter announcement: tells the dispatchers of other processes.
    package init(announcement: @escaping @Sendable () -> Void = {}) {
        self.announcement = announcement
        // One pending signal says as much as ten.
        (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
    }

    package func notify() { continuation.yield() }

    /// For everybody: this process may have its hands full.
    package func announce() {
        notify()
        announcement()
    }

    /// Signals as they come; for one consumer.
    package var signals: AsyncStream<Void> { stream }
}
