// The messages of one `publish` call and their outcomes; its caller is resumed once, when the last one is known.

/// Made by the caller, then owned by the publisher's thread: only one of the two ever has it.
final class PublishBatch: @unchecked Sendable {
    // Proof for @unchecked: handed over under the queue's lock, after which the caller only waits.
    let messages: [AMQPMessage]
    let bytes: Int
    /// Messages before this are written, or have an outcome.
    var next = 0
    private var outcomes: [AMQPPublishOutcome?]
    private var missing: Int
    private let continuation: CheckedContinuation<[AMQPPublishOutcome], Never>

    init(_ messages: [AMQPMessage], _ continuation: CheckedContinuation<[AMQPPublishOutcome], Never>) {
        precondition(!messages.isEmpty, "an empty batch has no outcome to wait for")
        self.messages = messages
        self.bytes = messages.reduce(0) { $0 + $1.body.count }
        self.outcomes = Array(repeating: nil, count: messages.count)
        self.missing = messages.count
        self.continuation = continuation
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

    func finish(_ known: [AMQPPublishOutcome]) { continuation.resume(returning: known) }
}
