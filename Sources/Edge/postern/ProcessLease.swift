// This process's number, held by lease so that no two processes make the same ids, and the name its claims go by.

import Logging
import Model
import SQL
import Sealing
import ServiceLifecycle
import Store

struct ProcessLease: Service {
    let number: Int
    let owner: String
    /// Seconds that the process counts as alive without a sign.
    private let duration: Double
    private let housekeeping: HousekeepingRepository
    private let clock: any WallClock
    private let logger: Logger

    /// - Throws: `StartError` when all 1,024 numbers are taken.
    init(database: any SQLDatabase, duration: Double, clock: any WallClock, logger: Logger) async throws {
        housekeeping = HousekeepingRepository(database: database)
        self.duration = duration
        self.clock = clock
        self.logger = logger
        owner = RandomToken.text(16)
        let now = clock.now()
        guard
            let number = try await housekeeping.claimProcessNumber(
                owner: owner, at: now, until: now.adding(seconds: duration))
        else {
            throw StartError(description: "all 1,024 process numbers are taken; stop a process and wait")
        }
        self.number = number
    }

    /// - Throws: `StartError` when the number is another process's by now: this one was silent for too long, and its messages
    ///   are somebody else's.
    func run() async throws {
        try await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(duration / 6))
                if Task.isCancelled { break }
                do {
                    let until = clock.now().adding(seconds: duration)
                    guard try await !housekeeping.renewProcessNumber(number, owner: owner, until: until) else {
                        continue
                    }
                } catch {
                    logger.error("the process number could not be renewed", metadata: ["error": "\(error)"])
                    continue
                }
                throw StartError(
                    description: "this process was silent for longer than POSTERN_PROCESS_LEASE, and counts as dead; "
                        + "start it again")
            }
        }
        try? await housekeeping.releaseDuties(of: owner)
        try? await housekeeping.releaseProcessNumber(number, owner: owner)
    }
}
