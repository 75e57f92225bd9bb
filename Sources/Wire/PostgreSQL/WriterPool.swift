// The threads that write: each takes what waits, all of it in one transaction and mostly in one round trip.

import Dispatch
import SQL
import Synchronization

final class WriterPool: Sendable {
    private let dial: Dial
    private let queue: WriteQueue
    private let wakeUp = DispatchSemaphore(value: 0)
    private let running: Mutex<(threads: Int, waiting: [CheckedContinuation<Void, Never>])>
    private let count: Int
    /// Threads that are in a transaction now.
    private let busy = Atomic<Int>(0)
    /// Seconds for which a thread leaves what waits to one that is at work: it will take all of it in one transaction, which
    /// costs less than two. Longer than a commit usually takes, and short enough where one hangs.
    private static let courtesy = 0.003
    /// Jobs that are worth a transaction of their own at once.
    private static let plenty = 256

    init(_ dial: Dial) {
        self.dial = dial
        queue = WriteQueue(limits: dial.configuration.limits.queue)
        count = max(dial.configuration.limits.writers, 1)
        running = Mutex((0, []))
    }

    /// - Throws: `SQLError` with `.unavailable` when the system has no thread to give.
    func start() throws(SQLError) {
        for _ in 1...count {
            running.withLock { $0.threads += 1 }
            guard OwnThread.start({ self.run() }) else {
                finished()
                throw SQLError(.unavailable, "the system has no thread to give")
            }
        }
    }

    func add(_ job: WriteJob, cost: Int) {
        do throws(SQLError) {
            if try queue.add(job, cost: cost) { wakeUp.signal() }
        } catch {
            job.refuse(error)
        }
    }

    /// Returns when everything that waited has been answered.
    func close() async {
        queue.close()
        for _ in 0..<count { wakeUp.signal() }
        await withCheckedContinuation { continuation in
            let isFinished = running.withLock { state in
                if state.threads > 0 { state.waiting.append(continuation) }
                return state.threads == 0
            }
            if isFinished { continuation.resume() }
        }
    }

    private func run() {
        let line = Line(dial, .writer)
        var isClosed = false
        while !isClosed {
            // A connection first: what is taken from the queue has to be answered by this thread.
            let connection = Result { () throws(Refusal) in try line.link() }
            if case .failure = connection, line.othersAreOpen {
                wakeUp.signal()
                OwnThread.sleep(seconds: max(dial.pause, 0.05))
                continue
            }
            if busy.load(ordering: .relaxed) > 0, (1..<Self.plenty).contains(queue.depth) {
                OwnThread.sleep(seconds: Self.courtesy)
            }
            guard let batch = queue.take() else {
                isClosed = true
                continue
            }
            if batch.isEmpty {
                wakeUp.wait()
                continue
            }
            switch connection {
            case .success(let link):
                busy.add(1, ordering: .relaxed)
                Batch(line, link).commit(batch)
                busy.subtract(1, ordering: .relaxed)
            case .failure(let refusal):
                for job in batch { job.refuse(SQLError(.unavailable, refusal.error.message)) }
            }
        }
        line.hangUp()
        finished()
    }

    private func finished() {
        let waiting = running.withLock { state in
            state.threads -= 1
            guard state.threads == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
