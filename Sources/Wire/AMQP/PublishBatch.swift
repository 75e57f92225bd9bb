// The messages of one `publish` call and their outcomes; its caller is resumed once, when the last one is known.

internal import Synchronization

/// Made by the caller, then owned by the publisher's thread: only one of the two ever has it.
final class PublishBatch: @unchecked Sendable {
    // Proof for @unchecked: handed over under the queue's lock, after which the caller only waits.
    let messages: [AMQPMessage]
    let bytes: Int
    /// Messages before this are written, or have an outcome.
    var next = 0
    private var outcomes: [AMQPPublishOutcome?]
    private var missing: Int
    private let caller: WaitingCaller

    init(_ messages: [AMQPMessage], _ caller: WaitingCaller) {
        precondition(!messages.isEmpty, "an empty batch has no outcome to wait for")
        self.messages = messages
        self.bytes = messages.reduce(0) { $0 + $1.body.count }
        self.outcomes = Array(repeating: nil, count: messages.count)
        self.missing = messages.count
        self.caller = caller
    }

    /// True when this was the last: then `finish` with what is `known`.
    func set(_ outcome: AMQPPublishOutcome, at index: Int) -> Bool {
        precondition(outcomes[index] == nil, "a message has one outcome")
        outcomes[index] = outcome
        missing -= 1
        return missing == 0
    }

    /// All outcomes, once the last is set.
    var known: [AMQPPublishOutcome] { outcomes.compactMap(\.self) }

    func finish(_ known: [AMQPPublishOutcome]) { caller.resume(known) }
}

/// Whoever waits for a batch: told once, by the publisher's thread or by the end of its own patience.
final class WaitingCaller: Sendable {
    private enum State {
        case notYet
        case waiting(CheckedContinuation<[AMQPPublishOutcome], Never>)
        case told([AMQPPublishOutcome])
        case gone
    }

    private let state = Mutex(State.notYet)

    func wait(_ continuation: CheckedContinuation<[AMQPPublishOutcome], Never>) {
        let known: [AMQPPublishOutcome]? = state.withLock { state in
            guard case .told(let known) = state else {
                state = .waiting(continuation)
                return nil
            }
            state = .gone
            return known
        }
        if let known { continuation.resume(returning: known) }
    }

    func resume(_ outcomes: [AMQPPublishOutcome]) {
        let continuation: CheckedContinuation<[AMQPPublishOutcome], Never>? = state.withLock { state in
            switch state {
            case .notYet:
                state = .told(outcomes)
                return nil
            case .waiting(let continuation):
                state = .gone
                return continuation
            case .told, .gone: return nil
            }
        }
        continuation?.resume(returning: outcomes)
    }
}
