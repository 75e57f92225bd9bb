// Counts what vaults use: in memory on the way of a message and a request, written down every few seconds and at the stop.

package import Logging
package import Model
package import SQL
import ServiceLifecycle
package import Store
import Synchronization

package final class UsageRecorder: Service {
    /// Milliseconds that a number of bytes is believed, when nothing of the vault was written down since.
    private static let belief: Int64 = 5_000

    private struct State {
        var pending: [UsageCounter: Int] = [:]
        /// What limited vaults keep, without what is pending.
        var stored: [VaultID: (bytes: Int, at: Timestamp)] = [:]
        /// The month of the last note, because every note needs it and it seldom changes.
        var month = (text: "", ends: Timestamp(milliseconds: .min))
    }

    private let repository: UsageRepository
    private let interval: Double
    private let clock: any WallClock
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameter interval: seconds between one writing and the next: what a crash may lose. Default 2.
    package init(database: any SQLDatabase, interval: Double = 2, clock: any WallClock, logger: Logger) {
        repository = UsageRepository(database: database)
        self.interval = interval
        self.clock = clock
        self.logger = logger
    }

    /// Never waits and never fails.
    package func note(_ vault: VaultID, messages: Int = 0, bytes: Int = 0, calls: Int = 0) {
        let now = clock.now()
        state.withLock { state in
            if now >= state.month.ends || now.adding(seconds: 86_400) < state.month.ends {
                let day = now.milliseconds - now.milliseconds % 86_400_000
                state.month = (UsageCounter.month(of: now), Timestamp(milliseconds: day + 86_400_000))
            }
            let month = state.month.text
            if messages != 0 { state.pending[UsageCounter(vault, .messages, month), default: 0] += messages }
            if calls != 0 { state.pending[UsageCounter(vault, .calls, month), default: 0] += calls }
            if bytes != 0 { state.pending[UsageCounter(vault, .storage), default: 0] += bytes }
        }
    }

    /// Refuses what the vault's plan leaves no room for. Costs nothing where the plan has no limit. What other processes
    /// accept at the same time is known a few seconds later.
    /// - Throws: `plan_limit_reached`, or what the database has to say.
    package func checkRoom(
        adding bytes: Int,
        in vault: VaultID,
        limits: PlanLimits,
        plan: String
    ) async throws {
        guard limits[.storageBytes] != nil else { return }
        try limits.checkRoom(for: .storageBytes, beside: try await stored(in: vault), adding: bytes, plan: plan)
    }

    private func stored(in vault: VaultID) async throws -> Int {
        let now = clock.now()
        let counter = UsageCounter(vault, .storage)
        let known: Int? = state.withLock { state in
            guard let stored = state.stored[vault],
                (0..<Self.belief).contains(now.milliseconds - stored.at.milliseconds)
            else { return nil }
            return stored.bytes + state.pending[counter, default: 0]
        }
        if let known { return known }
        let bytes = try await repository.storage(of: vault)
        return state.withLock { state in
            state.stored[vault] = (bytes, now)
            return bytes + state.pending[counter, default: 0]
        }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(interval))
                await flush()
            }
        }
        // Those who note something have stopped by now.
        await flush()
    }

    /// Writes down what was noted. What cannot be written is kept for the next time.
    package func flush() async {
        let pending = state.withLock { state in
            defer { state.pending = [:] }
            return state.pending
        }
        guard !pending.isEmpty else { return }
        do {
            let stored = try await repository.add(pending, at: clock.now())
            let now = clock.now()
            state.withLock { state in
                for (vault, bytes) in stored where state.stored[vault] != nil { state.stored[vault] = (bytes, now) }
            }
        } catch {
            state.withLock { $0.pending.merge(pending, uniquingKeysWith: +) }
            logger.warning("what vaults used could not be written down", metadata: ["error": "\(error)"])
        }
    }
}
