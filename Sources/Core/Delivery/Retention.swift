// Deletes what a vault does not want to keep: messages that ended longer ago than its `retention_days`.

package import Logging
import Metrics
package import Model
package import SQL
import ServiceLifecycle
import Store
package import Vaults

package struct Retention: Service {
    private let housekeeping: HousekeepingRepository
    private let vaults: VaultDirectory
    private let interval: Double
    private let duty: Duty
    private let clock: any WallClock
    private let logger: Logger

    /// Messages of one transaction, so that nobody waits long for the writer.
    private static let batch = 250

    /// - Parameters:
    ///   - interval: seconds between rounds.
    ///   - duty: held by one process at a time.
    package init(
        database: any SQLDatabase,
        vaults: VaultDirectory,
        interval: Double,
        duty: Duty,
        clock: any WallClock,
        logger: Logger
    ) {
        housekeeping = HousekeepingRepository(database: database)
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
                    logger.error("old messages could not be deleted", metadata: ["error": "\(error)"])
                }
                // Days go by unannounced: nothing says that a message has become old enough.
                try? await Task.sleep(for: .seconds(interval))
            }
        }
    }

    /// One look at every vault, as long as this process has the duty.
    package func round() async throws {
        guard try await duty.hold() else { return }
        for vault in try await vaults.all() {
            guard let days = try await vaults.settings(of: vault.id).value(Settings.retentionDays) else {
                continue
            }
            let deleted = try await delete(in: vault.id, before: clock.now().adding(seconds: -86_400 * Double(days)))
            if deleted > 0 {
                logger.info("old messages deleted", metadata: ["vault": "\(vault.id)", "count": "\(deleted)"])
            }
        }
    }

    private func delete(in vault: VaultID, before time: Timestamp) async throws -> Int {
        var total = 0
        // A backlog of years takes longer than a duty is held, so it is asked for again with every batch.
        while !Task.isCancelled, try await duty.hold() {
            let deleted = try await housekeeping.dropEnded(before: time, limit: Self.batch, in: vault)
            Self.deleted.increment(by: deleted)
            total += deleted
            if deleted < Self.batch { break }
        }
        return total
    }

    private static let deleted = Counter(label: "postern_retention_deleted_total")
}
