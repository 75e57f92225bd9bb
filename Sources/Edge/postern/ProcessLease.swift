// This process's number, held by lease so that no two processes make the same ids, and the name its claims go by.

import Logging
import Model
import SQL
import Sealing
import ServiceLifecycle
import Store

struct ProcessLease: Service {
    /// Seconds that a number is held without being renewed.
    private static let duration = 120.0

    let number: Int
    let owner: String
    private let housekeeping: HousekeepingRepository
    private let clock: any WallClock
    private let logger: Logger

    /// - Throws: `StartError` when all 1,024 numbers are taken.
    init(database: any SQLDatabase, clock: any WallClock, logger: Logger) async throws {
        housekeeping = HousekeepingRepository(database: database)
        self.clock = clock
        self.logger = logger
        owner = RandomToken.text(16)
        let now = clock.now()
        guard
            let number = try await housekeeping.claimProcessNumber(
                owner: owner, at: now, until: now.adding(seconds: Self.duration))
        else {
            throw StartError(description: "all 1,024 process numbers are taken; stop a process and wait two minutes")
        }
        self.number = number
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                try? await Task.sleep(for: .seconds(Self.duration / 4))
                do {
                    let until = clock.now().adding(seconds: Self.duration)
                    if try await !housekeeping.renewProcessNumber(number, owner: owner, until: until) {
                        logger.critical("this process's number belongs to another one; restart it")
                    }
                } catch {
                    logger.error("the process number could not be renewed", metadata: ["error": "\(error)"])
                }
            }
        }
        try? await housekeeping.releaseProcessNumber(number, owner: owner)
    }
}
