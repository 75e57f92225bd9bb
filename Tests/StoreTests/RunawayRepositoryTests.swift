// Forgetting who was cut off long ago, while somebody is being cut off again.

import CoreTestSupport
import Dispatch
import Model
import SQL
import Store
import Synchronization
import TestSupport
import Testing

@Suite("Runaway repository")
struct RunawayRepositoryTests {
    /// Stops a database's thread where a test wants it.
    private final class Stop: Sendable {
        private let isReached = Mutex(false)
        private let semaphore = DispatchSemaphore(value: 0)

        func wait() {
            isReached.withLock { $0 = true }
            semaphore.wait()
        }

        func release() { semaphore.signal() }

        func untilReached() async throws { try await eventually("the row is held") { isReached.withLock { $0 } } }
    }

    @Test("what another transaction holds is passed over, not waited for")
    func passedOver() async throws {
        try await withHouse(.postgreSQL) { house in
            let runaways = RunawayRepository(database: house.database)
            let (now, vault) = (house.clock.now(), house.vault.id)
            for (caller, days) in [("key_1", 40.0), ("key_2", 39.0)] {
                let at = now.adding(seconds: -86_400 * days)
                try await runaways.record([
                    RunawayCut(
                        vault: vault, caller: caller, label: "bot", reason: "mail_loop", cuts: 1, detail: "d",
                        firstAt: at, lastAt: at)
                ])
            }
            let stop = Stop()
            let database = house.database
            async let holding: Void = database.write { connection in
                try connection.execute(
                    "UPDATE runaway_cuts SET last_at = \(now.milliseconds) WHERE caller_id = 'key_1'")
                stop.wait()
            }
            try await stop.untilReached()
            // Who waits for the row would wait for ever: it is let go then, so that the test can fail.
            let isLetGo = Mutex(false)
            let rescue = Task {
                try await Task.sleep(for: .seconds(20))
                isLetGo.withLock { $0 = true }
                stop.release()
            }
            #expect(try await runaways.dropOld(at: now, limit: 10) == 1)
            #expect(!isLetGo.withLock { $0 }, "the row was waited for")
            rescue.cancel()
            stop.release()
            try await holding
            #expect(try await database.count("runaway_cuts", where: "caller_id = 'key_1'") == 1)
        }
    }
}
