// The connections of one server and the work done for them, so that a shutdown knows whom to tell and when all is done.

import NIOCore
import Synchronization

final class SMTPServerConnections: Sendable {
    private struct State {
        var channels: [UInt64: any Channel] = [:]
        /// Questions that the delegate has not answered yet; a client may leave before the answer.
        var work = 0
        var isDraining = false
        /// Work is not waited for any more.
        var isAbandoned = false
        var waiter: CheckedContinuation<Void, Never>?

        var isDone: Bool { channels.isEmpty && (work == 0 || isAbandoned) }

        mutating func takeWaiterIfDone() -> CheckedContinuation<Void, Never>? {
            guard isDone else { return nil }
            defer { waiter = nil }
            return waiter
        }
    }

    private let state = Mutex(State())

    /// - Returns: `false` when the server is shutting down.
    func add(_ channel: any Channel, id: UInt64) -> Bool {
        state.withLock { state in
            guard !state.isDraining else { return false }
            state.channels[id] = channel
            return true
        }
    }

    func remove(id: UInt64) {
        change { $0.channels[id] = nil }
    }

    func workBegins() {
        change { $0.work += 1 }
    }

    func workEnds() {
        change { $0.work -= 1 }
    }

    /// Lets no more connections in.
    ///
    /// - Returns: Those there are.
    func beginDraining() -> [any Channel] {
        state.withLock { state in
            state.isDraining = true
            return Array(state.channels.values)
        }
    }

    /// Closes every connection, whatever it is doing, and waits for no work.
    func abandon() {
        let channels = state.withLock { state in
            state.isAbandoned = true
            return Array(state.channels.values)
        }
        for channel in channels { channel.close(promise: nil) }
        change { _ in }
    }

    /// Returns when there is no connection and no work left.
    func waitUntilDone() async {
        await withCheckedContinuation { continuation in
            change { $0.waiter = continuation }
        }
    }

    private func change(_ body: (inout State) -> Void) {
        let waiter = state.withLock { state in
            body(&state)
            return state.takeWaiterIfDone()
        }
        waiter?.resume()
    }
}
