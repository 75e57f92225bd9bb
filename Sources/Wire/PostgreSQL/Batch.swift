// One transaction for many jobs. Nobody is answered before its end is known, and a yes is said only after the commit.

import SQL

struct Batch {
    private enum Ending {
        /// It stands; a job with an error of its own took back its own changes.
        case committed([(outcome: WriteJob.Outcome, error: SQLError?)])
        /// One of several jobs failed, and everything was taken back.
        case jobFailed
        /// Everything was taken back, and may succeed when it is tried again.
        case again(Failure)
        /// Nothing was committed, or nobody knows: the jobs that ran, and why.
        case failed([WriteJob.Outcome], SQLError)
    }

    /// Tries of one job that others get in the way of.
    private static let tries = 6

    private let line: Line
    private var link: Link

    init(_ line: Line, _ link: Link) {
        self.line = line
        self.link = link
    }

    /// Almost always every job succeeds, so the first try does without savepoints and without waiting in between. Where one
    /// fails, all is taken back and run again with a savepoint for each job, so that it takes back its own changes only.
    func commit(_ jobs: [WriteJob]) {
        var batch = self
        batch.settle(jobs)
        line.tidy()
    }

    private mutating func settle(_ jobs: [WriteJob]) {
        var ending = attempt(jobs)
        // A connection that had died unnoticed is nobody's fault: all of them once more, on another.
        if case .again(let failure) = ending, failure.remedy == .elsewhere {
            guard restore(after: failure) else { return refuse(jobs, failure.error) }
            ending = attempt(jobs)
        }
        guard case .again(let failure) = ending else { return answer(jobs, ending) }
        // Alone each job holds fewer locks, for a shorter time.
        if jobs.count == 1 { return persevere(jobs[0], failure) }
        guard restore(after: failure) else { return refuse(jobs, failure.error) }
        for job in jobs { settle([job]) }
    }

    private func attempt(_ jobs: [WriteJob]) -> Ending {
        let ending = transaction(jobs, isolated: false)
        guard case .jobFailed = ending else { return ending }
        return transaction(jobs, isolated: true)
    }

    private mutating func persevere(_ job: WriteJob, _ first: Failure) {
        var failure = first
        for attempt in 1..<Self.tries {
            guard restore(after: failure) else { break }
            if attempt > 1 { OwnThread.sleep(seconds: .random(in: 0.5...1) * 0.01 * Double(1 << attempt)) }
            let ending = transaction([job], isolated: false)
            guard case .again(let next) = ending else { return answer([job], ending) }
            failure = next
        }
        refuse([job], failure.error)
    }

    /// - Returns: whether there is a connection to try again on.
    private mutating func restore(after failure: Failure) -> Bool {
        if failure.remedy == .elsewhere { line.hangUp() }
        do throws(Refusal) {
            link = try line.link()
            return true
        } catch {
            return false
        }
    }

    private func refuse(_ jobs: [WriteJob], _ error: SQLError) {
        for job in jobs { job.refuse(error) }
    }

    private func answer(_ jobs: [WriteJob], _ ending: Ending) {
        switch ending {
        case .committed(let outcomes):
            for (outcome, error) in outcomes { outcome.finish(error) }
        case .failed(let outcomes, let error):
            for outcome in outcomes { outcome.finish(error) }
            // Those after it did nothing, and learn why.
            refuse(Array(jobs.dropFirst(outcomes.count)), error)
        case .again(let failure): refuse(jobs, failure.error)
        case .jobFailed: refuse(jobs, SQLError(.failure, "the transaction ended early"))
        }
    }

    private func transaction(_ jobs: [WriteJob], isolated: Bool) -> Ending {
        let session = Session(link)
        var outcomes: [(outcome: WriteJob.Outcome, error: SQLError?)] = []
        outcomes.reserveCapacity(jobs.count)
        var isCommitting = false
        do throws(SQLError) {
            try session.begin()
            for job in jobs {
                if isolated { try session.beginJob() }
                let outcome = job.run(session)
                if isolated || !outcome.succeeded { session.settle() }
                let failure = session.failure
                outcomes.append((outcome, failure?.error))
                if let failure, failure.remedy != .none || link.isLost { break }
                if failure == nil, outcome.succeeded {
                    if isolated { try session.endJob() }
                    continue
                }
                guard isolated else {
                    session.rollBack()
                    return jobs.count == 1 ? .committed(outcomes) : .jobFailed
                }
                session.rollBackJob()
                if session.failure != nil { break }
            }
            if session.failure == nil {
                isCommitting = true
                try session.commit()
                return .committed(outcomes)
            }
        } catch {}
        return ending(session, jobs, outcomes.map(\.outcome), isolated: isolated, isCommitting: isCommitting)
    }

    /// What a failure outside of a single job's own comes to.
    private func ending(
        _ session: Session,
        _ jobs: [WriteJob],
        _ outcomes: [WriteJob.Outcome],
        isolated: Bool,
        isCommitting: Bool
    ) -> Ending {
        let failure = session.failure ?? Failure(SQLError(.failure, "the transaction ended early"))
        if link.isLost, isCommitting {
            return .failed(
                outcomes, SQLError(.unavailable, "the connection was lost at the commit, whose outcome is not known"))
        }
        session.rollBack()
        if failure.remedy != .none { return .again(failure) }
        return isolated || jobs.count == 1 ? .failed(outcomes, failure.error) : .jobFailed
    }
}
