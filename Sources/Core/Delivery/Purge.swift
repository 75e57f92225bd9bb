// Takes away what deleted vaults hold, and ends what waits in archived ones.

package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store
package import Vaults

package struct Purge: Service {
    private let repository: PurgeRepository
    private let vaults: VaultDirectory
    private let interval: Double
    private let duty: Duty
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let logger: Logger

    /// Rows of one transaction, so that nobody waits long for the writer.
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
        ids: IdentifierGenerator,
        logger: Logger
    ) {
        repository = PurgeRepository(database: database)
        self.vaults = vaults
        self.interval = interval
        self.duty = duty
        self.clock = clock
        self.ids = ids
        self.logger = logger
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                do {
                    try await round()
                } catch {
                    logger.error("a vault could not be put away", metadata: ["error": "\(error)"])
                }
                // The messages in hand of a deleted vault make no sound when they have gone: only looking finds that.
                try? await Task.sleep(for: .seconds(interval))
            }
        }
    }

    /// One look at every vault that is archived or deleted, as long as this process has the duty.
    package func round() async throws {
        guard try await duty.hold() else { return }
        for vault in try await repository.waiting() { try await cancelWaiting(in: vault) }
        for vault in try await repository.deleted(at: clock.now()) { try await purge(vault) }
    }

    private func cancelWaiting(in vault: VaultID) async throws {
        var total = 0
        while try await goesOn() {
            let cancelled = try await repository.cancelWaiting(in: vault, limit: Self.batch) { [ids, clock] in
                MessageEvent(
                    id: ids.next(), type: .cancelled, at: clock.now(), attempt: 0,
                    detail: Foreign(#"{"reason":"the vault is archived"}"#))
            }
            total += cancelled
            if cancelled == 0 { break }
        }
        if total > 0 {
            logger.info(
                "waiting messages of an archived vault cancelled",
                metadata: ["vault": "\(vault)", "count": "\(total)"])
        }
    }

    private func purge(_ vault: VaultID) async throws {
        while try await goesOn() {
            if try await repository.dropMessages(of: vault, at: clock.now(), limit: Self.batch) == 0 { break }
        }
        for table in PurgeRepository.tables {
            while try await goesOn() {
                if try await repository.drop(table, of: vault, limit: Self.batch) < Self.batch { break }
            }
        }
        guard try await goesOn() else { return }
        let isGone = try await repository.finish(vault, at: clock.now()) { [ids, clock] resource, before, after in
            AuditEntry(
                id: ids.next(), at: clock.now(), actor: Actor(id: "postern", label: "postern", door: "cli"),
                action: Action.vaultDelete.rawValue, resource: resource, before: before, after: after)
        }
        if isGone {
            vaults.invalidate(vault)
            logger.notice("a deleted vault is gone, with all that it held", metadata: ["vault": "\(vault)"])
        }
    }

    /// A vault of years takes longer than a duty is held, so it is asked for again with every batch.
    private func goesOn() async throws -> Bool {
        guard !Task.isCancelled else { return false }
        return try await duty.hold()
    }
}
