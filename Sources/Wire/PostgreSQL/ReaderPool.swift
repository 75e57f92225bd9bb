// The threads that read: as many as are needed, up to a limit, each with a connection of its own.

import Dispatch
import SQL
import Synchronization

final class ReaderPool: Sendable {
    private struct State {
        var jobs: [WriteJob] = []
        /// Jobs at the front that have been taken already.
        var taken = 0
        var threads = 0
        var idle = 0
        var isClosed = false
        var closing: [CheckedContinuation<Void, Never>] = []

        var waiting: Int { jobs.count - taken }

        mutating func next() -> WriteJob? {
            guard waiting > 0 else { return nil }
            taken += 1
            defer {
                if taken > 64, taken * 2 > jobs.count {
                    jobs.removeFirst(taken)
                    taken = 0
                }
            }
            return jobs[taken - 1]
        }
    }

    private let dial: Dial
    private let limit: Int
    private let state = Mutex(State())
    private let wakeUp = DispatchSemaphore(value: 0)

    init(_ dial: Dial) {
        self.dial = dial
        limit = max(dial.configuration.limits.readers, 1)
    }

    func add(_ job: WriteJob) {
        let (error, mustStart): (SQLError?, Bool) = state.withLock { state in
            if state.isClosed { return (SQLError(.unavailable, "the database is closed"), false) }
            guard state.waiting < dial.configuration.limits.waitingReads else {
                return (SQLError(.overloaded, "\(state.waiting) reads are waiting"), false)
            }
            state.jobs.append(job)
            let mustStart = state.waiting > state.idle && state.threads < limit
            if mustStart { state.threads += 1 }
            return (nil, mustStart)
        }
        if let error { return job.refuse(error) }
        wakeUp.signal()
        if mustStart, !OwnThread.start({ self.run() }) { finished(line: nil) }
    }

    /// Returns when every read has been answered.
    func close() async {
        await withCheckedContinuation { continuation in
            let threads = state.withLock { state in
                state.isClosed = true
                if state.threads > 0 { state.closing.append(continuation) }
                return state.threads
            }
            for _ in 0..<threads { wakeUp.signal() }
            if threads == 0 { continuation.resume() }
        }
    }

    private func run() {
        let line = Line(dial, .reader)
        while true {
            state.withLock { $0.idle += 1 }
            wakeUp.wait()
            let (job, isClosed) = state.withLock { state in
                state.idle -= 1
                return (state.next(), state.isClosed)
            }
            guard let job else {
                if isClosed { return finished(line: line) }
                continue
            }
            perform(job, line)
            line.tidy()
        }
    }

    /// A read that was cut off can be done again: it changed nothing.
    private func perform(_ job: WriteJob, _ line: Line) {
        var error = SQLError(.unavailable, "the database cannot be reached")
        for _ in 0..<3 {
            let link: Link
            do throws(Refusal) {
                link = try connect(line)
            } catch let refusal {
                error = SQLError(.unavailable, refusal.error.message)
                break
            }
            let session = Session(link)
            do throws(SQLError) { try session.begin() } catch {}
            let outcome = job.run(session)
            session.settle()
            guard let failure = session.failure, failure.remedy != .none else {
                // The caller need not wait for the end of a transaction that changed nothing.
                outcome.finish(session.failure?.error)
                return session.rollBack()
            }
            error = failure.error
            if failure.remedy == .elsewhere { line.hangUp() } else { session.rollBack() }
        }
        job.refuse(error)
    }

    /// While others are connected, it is worth waiting a moment for a connection more.
    private func connect(_ line: Line) throws(Refusal) -> Link {
        while true {
            do throws(Refusal) {
                return try line.link()
            } catch let refusal {
                guard refusal.isFull || line.othersAreOpen else { throw refusal }
                OwnThread.sleep(seconds: max(dial.pause, 0.02))
                guard line.othersAreOpen else { throw refusal }
            }
        }
    }

    private func finished(line: Line?) {
        line?.hangUp()
        let closing = state.withLock { state in
            state.threads -= 1
            guard state.threads == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.closing = [] }
            return state.closing
        }
        for continuation in closing { continuation.resume() }
    }
}
