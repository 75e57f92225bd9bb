// Token buckets that all processes share. Each process draws tokens in blocks and takes from its block in memory; a low
// limit is drawn token by token, so that a limit of N lets N through, however many processes there are.

package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store
import Synchronization

package final class RateLimiter: Service, Sendable {
    /// Takes, and buckets that go back, of one draw at most.
    private static let together = 500
    /// Buckets of one draw at most, so that its transaction stays short: it holds their rows for all processes. One take may
    /// have as many as its submission has recipients, and more; it is alone then.
    static let rows = 2_000
    /// Buckets that are remembered at most, beside those of which something is held.
    private static let capacity = 20_000

    /// What a take that waited hears.
    private enum Turn {
        case answer(RateBook.Answer)
        case failure(PosternError)
        /// It is the one that draws next, for itself and all that wait.
        case draw
    }

    private struct Waiter {
        let take: RateTake
        let continuation: CheckedContinuation<Turn, Never>
    }

    private struct State {
        var book: RateBook
        /// One draw at a time, see `RateRepository.draw`.
        var isDrawing = false
        var waiting: [Waiter] = []
        /// Upkeep that waits for its turn to draw.
        var upkeep: [CheckedContinuation<Void, Never>] = []
    }

    private let repository: RateRepository
    private let clock: any WallClock
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameter isShared: whether other processes may take from the same buckets. Blocks are larger where none does.
    package init(database: any SQLDatabase, isShared: Bool, clock: any WallClock, logger: Logger) {
        repository = RateRepository(database: database)
        self.clock = clock
        self.logger = logger
        state = Mutex(State(book: RateBook(window: isShared ? 2 : 10, capacity: Self.capacity)))
    }

    /// Takes all that is charged, or nothing. No charges cost nothing.
    /// - Throws: `PosternError`: `rate_limited` with the time to wait, `burst_exceeded`, `approval_required`,
    ///   `repeated_message`; or what the database has to say.
    package func take(_ charges: [RateCharge], in vault: VaultID) async throws -> RateGrant {
        guard !charges.isEmpty else { return RateGrant(vault: vault, charges: [], tightest: nil) }
        let take = RateTake(charges, in: vault)
        let (answer, draws) = state.withLock { state in
            let answer = state.book.take(take, at: clock.now())
            guard case .unknown = answer, !state.isDrawing else { return (answer, false) }
            state.isDrawing = true
            return (answer, true)
        }
        var turn = Turn.answer(answer)
        if case .unknown = answer { turn = draws ? .draw : await wait(take) }
        if case .draw = turn { turn = await draw(for: take) }
        switch turn {
        case .answer(.granted(let grant)): return grant
        case .answer(.refused(let refusal)): throw refusal.error(at: clock.now())
        case .failure(let error): throw error
        case .answer(.unknown), .draw: preconditionFailure("a draw answers every take")
        }
    }

    /// Undoes a take whose submission was not accepted after all. Once for each grant.
    package func giveBack(_ grant: RateGrant) {
        guard !grant.charges.isEmpty else { return }
        state.withLock { $0.book.giveBack(grant, at: clock.now()) }
    }

    /// What is left in these buckets, in their order. Takes nothing.
    package func statuses(_ buckets: [RateBucket], in vault: VaultID) async throws -> [RateStatus] {
        let rows = try await repository.rows(buckets.map(\.text), in: vault)
        let known = Dictionary(rows.map { ($0.bucket, TokenBucket($0)) }, uniquingKeysWith: { first, _ in first })
        let now = clock.now()
        return state.withLock { state in
            buckets.map { bucket in
                var bucketState = known[bucket.text] ?? TokenBucket(full: bucket.limit, at: now)
                bucketState.advance(to: now)
                bucketState.put(state.book.held(RateBook.Key(bucket, in: vault)))
                bucketState.change(to: bucket.limit, at: now)
                return bucketState.status(of: bucket, at: now)
            }
        }
    }

    /// Buckets in memory.
    var count: Int { state.withLock { $0.book.count } }
}

// Draws: whoever finds nobody drawing does it, for all that wait, and passes the turn on.
extension RateLimiter {
    private func wait(_ take: RateTake) async -> Turn {
        await withCheckedContinuation { continuation in
            let turn: Turn? = state.withLock { state in
                // The draw that was on its way may have ended in the meantime.
                let answer = state.book.take(take, at: clock.now())
                guard case .unknown = answer else { return .answer(answer) }
                guard state.isDrawing else {
                    state.isDrawing = true
                    return .draw
                }
                state.waiting.append(Waiter(take: take, continuation: continuation))
                return nil
            }
            if let turn { continuation.resume(returning: turn) }
        }
    }

    private func draw(for take: RateTake) async -> Turn {
        let (draw, others) = state.withLock { state in
            let takes = [take] + state.waiting.prefix(Self.together).map(\.take)
            let draw = state.book.plan(takes, upTo: Self.rows, returning: [], at: clock.now())
            // Those that do not fit wait for the next draw.
            let others = Array(state.waiting.prefix(draw.takes.count - 1))
            state.waiting.removeFirst(others.count)
            return (draw, others)
        }
        let turns: [Turn]
        do {
            turns = try await carryOut(draw).map(Turn.answer)
        } catch {
            turns = Array(repeating: .failure(PosternError(describing: error)), count: 1 + others.count)
        }
        passOn()
        for (waiter, turn) in zip(others, turns.dropFirst()) { waiter.continuation.resume(returning: turn) }
        return turns[0]
    }

    private func carryOut(_ draw: RateDraw) async throws -> [RateBook.Answer] {
        do {
            let outcome = try await repository.draw(draw.fresh) { rows in draw.settle(&rows) }
            return state.withLock { $0.book.settle(draw, outcome) }
        } catch {
            // Overloaded is said before anything is done.
            let isUndone = (error as? SQLError)?.code == .overloaded
            state.withLock { $0.book.fail(draw, isUndone: isUndone) }
            throw error
        }
    }

    /// After a draw: answers those whom it helped, and lets the next one draw.
    private func passOn() {
        var answers: [(Waiter, Turn)] = []
        let upkeep: CheckedContinuation<Void, Never>? = state.withLock { state in
            let now = clock.now()
            state.waiting.removeAll { waiter in
                let answer = state.book.take(waiter.take, at: now)
                if case .unknown = answer { return false }
                answers.append((waiter, .answer(answer)))
                return true
            }
            if !state.upkeep.isEmpty { return state.upkeep.removeFirst() }
            if state.waiting.isEmpty {
                state.isDrawing = false
            } else {
                answers.append((state.waiting.removeFirst(), .draw))
            }
            return nil
        }
        upkeep?.resume()
        for (waiter, turn) in answers { waiter.continuation.resume(returning: turn) }
    }
}

// Upkeep.
extension RateLimiter {
    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await tidy()
                // Tokens that nobody asks for make no sound: only looking finds them.
                try? await Task.sleep(for: .seconds(1))
            }
        }
        state.withLock { $0.book.stop() }
        await tidy(all: true)
    }

    /// Gives back what nobody used for a while, and forgets what nobody asked about.
    /// - Parameter all: gives back whatever is held.
    package func tidy(all: Bool = false) async {
        var keys = idle(all: all)
        while !keys.isEmpty {
            await turn()
            let draw = state.withLock { $0.book.plan([], returning: keys, at: clock.now()) }
            var failure: (any Error)?
            if !draw.isEmpty {
                do { _ = try await carryOut(draw) } catch { failure = error }
            }
            passOn()
            if let failure {
                logger.warning("unused tokens could not be given back", metadata: ["error": "\(failure)"])
                return
            }
            keys = idle(all: all)
        }
    }

    private func idle(all: Bool) -> [RateBook.Key] {
        state.withLock { $0.book.idle(at: clock.now(), all: all, limit: Self.together) }
    }

    /// Waits until this task is the one that draws.
    private func turn() async {
        await withCheckedContinuation { continuation in
            let isNow = state.withLock { state in
                guard state.isDrawing else {
                    state.isDrawing = true
                    return true
                }
                state.upkeep.append(continuation)
                return false
            }
            if isNow { continuation.resume() }
        }
    }
}
