// What callers have handed to `publish` and the thread has not yet begun. Bounded: what does not fit is answered at once.

internal import Synchronization

final class PublishQueue: Sendable {
    private struct Shared {
        var batches: [PublishBatch] = []
        var messages = 0
        var bytes = 0
        /// The thread has found nothing and sleeps: the next batch rings.
        var isThreadIdle = false
        var counters = AMQPPublisherCounters()
    }

    private let shared = Mutex(Shared())
    private let limits: AMQPLimits

    init(limits: AMQPLimits) { self.limits = limits }

    var counters: AMQPPublisherCounters { shared.withLock { $0.counters } }

    /// `refusal` is asked under the lock, so that nothing slips in behind `refuseAll` after the state has changed.
    func add(_ batch: PublishBatch, ring: () -> Void, refusal: () -> String?) {
        let (why, wakes) = shared.withLock { shared -> (String?, Bool) in
            shared.counters.published += batch.messages.count
            if let why = refusal() { return (why, false) }
            let fits =
                shared.messages + batch.messages.count <= limits.waitingMessages
                && shared.bytes + batch.bytes <= limits.waitingBytes
            guard fits || shared.batches.isEmpty else {
                return ("\(shared.messages) messages are waiting for the broker already", false)
            }
            shared.batches.append(batch)
            shared.messages += batch.messages.count
            shared.bytes += batch.bytes
            defer { shared.isThreadIdle = false }
            return (nil, shared.isThreadIdle)
        }
        if wakes { ring() }
        if let why { refuse(batch, why) }
    }

    /// The oldest batches that wait. With nothing there and `orIdle`, the next `add` rings.
    func take(atMost count: Int, orIdle: Bool) -> [PublishBatch] {
        shared.withLock { shared in
            guard !shared.batches.isEmpty else {
                shared.isThreadIdle = orIdle
                return []
            }
            let taken = Array(shared.batches.prefix(count))
            shared.batches.removeFirst(taken.count)
            for batch in taken {
                shared.messages -= batch.messages.count
                shared.bytes -= batch.bytes
            }
            return taken
        }
    }

    /// Ends everything that waits.
    func refuseAll(_ why: String) {
        for batch in take(atMost: .max, orIdle: false) { refuse(batch, why) }
    }

    /// Ends a batch of which nothing more is to be written; what is in flight keeps its place.
    func refuse(_ batch: PublishBatch, _ why: String) {
        var isLast = false
        while batch.next < batch.messages.count {
            isLast = batch.set(.unavailable(why), at: batch.next)
            batch.next += 1
        }
        if isLast { finish(batch) }
    }

    func settle(_ batch: PublishBatch, _ index: Int, _ outcome: AMQPPublishOutcome) {
        if batch.set(outcome, at: index) { finish(batch) }
    }

    private func finish(_ batch: PublishBatch) {
        let known = batch.known
        shared.withLock { shared in
            for outcome in known { shared.counters.count(outcome) }
        }
        batch.finish(known)
    }
}
