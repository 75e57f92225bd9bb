// The calls that wait for the administration's thread.

internal import Synchronization

final class AdministrationCalls: Sendable {
    /// Runs on the thread, resumes its caller, and tells the error it ended with.
    struct Call: Sendable {
        let run: @Sendable (Result<AdministrationSession, AMQPError>) -> AMQPError?
    }

    private struct Shared {
        var waiting: [Call] = []
        var ended: AMQPError?
    }

    private let shared = Mutex(Shared())
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    /// The error, when it is not taken.
    func add(_ call: Call) -> AMQPError? {
        shared.withLock { shared in
            if let ended = shared.ended { return ended }
            guard shared.waiting.count < limit else { return AMQPError(.overloaded, "too many calls are waiting") }
            shared.waiting.append(call)
            return nil
        }
    }

    func next() -> Call? {
        shared.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
    }

    /// Nothing is taken any more, and what waits fails.
    func end(_ error: AMQPError) {
        let left = shared.withLock { shared in
            shared.ended = error
            defer { shared.waiting = [] }
            return shared.waiting
        }
        for call in left { _ = call.run(.failure(error)) }
    }
}
