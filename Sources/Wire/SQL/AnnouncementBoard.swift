// Who listens to a database's announcements, in this process: the part that is the same for every engine.

import Synchronization

package final class AnnouncementBoard: Sendable {
    /// Announcements that a listener may be behind; one that is further behind hears `"*"`.
    private static let backlog = 64

    private struct State {
        var listeners: [Int: AsyncStream<String>.Continuation] = [:]
        var next = 0
        var isClosed = false
    }

    private let state = Mutex(State())

    package init() {}

    package func listen() -> AsyncStream<String> {
        let (stream, listener) = AsyncStream.makeStream(
            of: String.self, bufferingPolicy: .bufferingNewest(Self.backlog))
        let number: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.next += 1
            state.listeners[state.next] = listener
            return state.next
        }
        guard let number else {
            listener.finish()
            return stream
        }
        listener.onTermination = { [weak self] _ in self?.forget(number) }
        return stream
    }

    package func publish(_ topic: String) {
        for listener in state.withLock({ Array($0.listeners.values) }) {
            // Something was pushed out: the listener no longer knows what it has missed.
            if case .dropped = listener.yield(topic) { listener.yield("*") }
        }
    }

    /// Ends all streams.
    package func close() {
        let listeners = state.withLock { state in
            state.isClosed = true
            defer { state.listeners = [:] }
            return Array(state.listeners.values)
        }
        for listener in listeners { listener.finish() }
    }

    private func forget(_ number: Int) { state.withLock { $0.listeners[number] = nil } }
}
