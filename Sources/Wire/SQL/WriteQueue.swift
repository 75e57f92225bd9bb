// The writes that wait for the next transaction: the part of group commit that is the same for every engine.

import Synchronization

/// A bounded queue between callers and an engine's one writer thread.
package final class WriteQueue: Sendable {
    package struct Limits: Sendable {
        /// Jobs that may wait. Default 16,384.
        package var jobs = 16_384
        /// Bytes that waiting jobs may hold. Default 256 MiB.
        package var cost = 256 << 20
        /// Jobs in one transaction, so that one commit stays short. Default 1,024.
        package var batch = 1_024

        package init() {}
    }

    private struct State {
        var jobs: [(job: WriteJob, cost: Int)] = []
        var cost = 0
        var isClosed = false
    }

    private let limits: Limits
    private let state = Mutex(State())

    package init(limits: Limits = .init()) { self.limits = limits }

    /// Adds a job.
    /// - Returns: whether the writer must be woken (the queue was empty).
    /// - Throws: `SQLError` with `.overloaded` or `.unavailable`; the job was not taken.
    package func add(_ job: WriteJob, cost: Int) throws(SQLError) -> Bool {
        let result: Result<Bool, SQLError> = state.withLock { state in
            guard !state.isClosed else { return .failure(SQLError(.unavailable, "the database is closed")) }
            guard state.jobs.count < limits.jobs, state.jobs.isEmpty || state.cost + cost <= limits.cost else {
                return .failure(SQLError(.overloaded, "\(state.jobs.count) writes are waiting"))
            }
            state.jobs.append((job, cost))
            state.cost += cost
            return .success(state.jobs.count == 1)
        }
        return try result.get()
    }

    /// The next batch, in order; empty when nothing waits, `nil` once the queue is closed and empty.
    package func take() -> [WriteJob]? {
        state.withLock { state in
            if state.jobs.isEmpty { return state.isClosed ? nil : [] }
            let batch = state.jobs.prefix(limits.batch)
            state.jobs.removeFirst(batch.count)
            for entry in batch { state.cost -= entry.cost }
            return batch.map(\.job)
        }
    }

    /// Jobs waiting now.
    package var depth: Int { state.withLock { $0.jobs.count } }

    /// Takes no more jobs.
    package func close() { state.withLock { $0.isClosed = true } }
}
