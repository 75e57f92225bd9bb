// Counts now and then what vaults really keep: a crash loses what was counted in memory, and a version before counted nothing.

package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store
package import Vaults

package struct UsageRecount: Service {
    private let repository: UsageRepository
    private let vaults: VaultDirectory
    private let interval: Double
    private let duty: Duty
    private let clock: any WallClock
    private let logger: Logger

    /// - Parameters:
    ///   - interval: seconds between rounds. Default 21,600, which is four times a day.
    ///   - duty: held by one process at a time.
    package init(
        database: any SQLDatabase,
        vaults: VaultDirectory,
        interval: Double = 21_600,
        duty: Duty,
        clock: any WallClock,
        logger: Logger
    ) {
        repository = UsageRepository(database: database)
        self.vaults = vaults
        self.interval = interval
        self.duty = duty
        self.clock = clock
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await round()
                } catch {
                    logger.error("what vaults keep could not be counted", metadata: ["error": "\(error)"])
                }
                try? await Task.sleep(for: .seconds(interval))
            }
        }
    }

    /// One count of every vault, as long as this process has the duty.
    package func round() async throws {
        for vault in try await vaults.all() {
            guard !Task.isCancelled, try await duty.hold() else { return }
            let drift = try await repository.recount(vault.id, at: clock.now())
            guard drift != 0 else { continue }
            logger.info(
                "the bytes that a vault keeps were counted anew",
                metadata: ["vault": "\(vault.id)", "difference": "\(drift)"])
        }
    }
}
