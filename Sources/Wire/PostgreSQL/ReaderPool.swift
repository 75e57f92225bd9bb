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
            // While the server gives us no more connections, those that there are have to do.
            let mustStart =
                state.threads == 0 || state.waiting > state.idle && state.threads < limit && dial.pause == 0
            if mustStart { state.threads += 1 }
            return (nil, mustStart)
        }
        if let error { return job.refuse(error) }
        wakeUp.signal()
        if mustStart, !OwnThread.start({ self.run() }) { finished(Line(dial, .reader)) }
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
            state.withLock { $0.idle -= 1 }
            // A connection first: what is taken has to be answered by this thread.
            let connection = Result { () throws(Refusal) in try line.link() }
            if case .failure = connection, line.othersAreOpen {
                wakeUp.signal()
                return finished(line)
            }
            let (job, isClosed) = state.withLock { ($0.next(), $0.isClosed) }
            guard let job else {
                if isClosed { return finished(line) }
                continue
            }
            switch connection {
            case .success(let link): perform(job, link, line)
            case .failure(let refusal): job.refuse(SQLError(.unavailable, refusal.error.message))
            }
            line.tidy()
        }
    }

    /// A read that was cut off can be done again: it changed nothing.
    private func perform(_ job: WriteJob, _ first: Link, _ line: Line) {
        var link = first
        for attempt in 1... {
            let session = Session(link)
            // A failure is kept, and the body hears of it.
            do throws(SQLError) { try session.begin() } catch {}
            let outcome = job.run(session)
            session.settle()
            guard let failure = session.failure, failure.remedy != .none, attempt < 3 else {
                // The caller need not wait for the end of a transaction that changed nothing.
                outcome.finish(session.failure?.error)
                return session.rollBack()
            }
            if failure.remedy == .elsewhere { line.hangUp() } else { session.rollBack() }
            do throws(Refusal) {
                link = try line.link()
            } catch {
                return job.refuse(SQLError(.unavailable, error.error.message))
            }
        }
    }

    private func finished(_ line: Line) {
        line.hangUp()
        let closing = state.withLock { state in
            state.threads -= 1
            guard state.threads == 0 else { return [CheckedContinuation<Void, Never>]() }
            defer { state.closing = [] }
            return state.closing
        }
        for continuation in closing { continuation.resume() }
    }
}
