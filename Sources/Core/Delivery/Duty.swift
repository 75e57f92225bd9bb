// A task that one process of an instance does at a time: whoever holds its lease. When that process dies, another takes over.

package import Model
package import SQL
import ServiceLifecycle
import Store
import Synchronization

package struct Duty: Sendable {
    private let name: String
    private let owner: String
    private let duration: Double
    private let housekeeping: HousekeepingRepository
    private let clock: any WallClock

    /// - Parameters:
    ///   - name: the same in every process, such as `watchdog`.
    ///   - duration: seconds that the duty is held without being asked for again.
    package init(_ name: String, owner: String, duration: Double = 30, database: any SQLDatabase, clock: any WallClock)
    {
        self.name = name
        self.owner = owner
        self.duration = duration
        housekeeping = HousekeepingRepository(database: database)
        self.clock = clock
    }

    /// Whether this process is the one, for the next `duration` seconds.
    package func hold() async throws -> Bool {
        let now = clock.now()
        return try await housekeeping.holdDuty(name, owner: owner, at: now, until: now.adding(seconds: duration))
    }
}

/// A duty that is held for as long as the process lives, with an answer that never waits.
package final class StandingDuty: Service {
    private let duty: Duty
    private let isSole: Bool
    private let held: Mutex<Bool>

    /// - Parameter isSole: no other process can have it, so nobody is asked.
    package init(_ duty: Duty, isSole: Bool) {
        self.duty = duty
        self.isSole = isSole
        held = Mutex(isSole)
    }

    /// While the database is away nobody can take over: whoever had the duty last has it still.
    package var isHeld: Bool { held.withLock { $0 } }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                if !isSole, let isOurs = try? await duty.hold() { held.withLock { $0 = isOurs } }
                try? await Task.sleep(for: .seconds(5))
            }
        }
    }
}
