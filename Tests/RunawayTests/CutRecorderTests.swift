// Cut-offs in the table: together, once a second at most, none lost while the database is away, never an error.

import CoreTestSupport
import Model
import SQL
import ServiceLifecycle
import ServiceLifecycleTestKit
import Store
import TestSupport
import Testing

@testable import Runaway

@Suite("Cut-offs are written down")
struct CutRecorderTests {
    private let loop = PosternError(.mailLoop, "agent@example.com would answer itself")
    private let copy = PosternError(.repeatedMessage, "the same again")

    /// Two vaults, their callers, and a guard over a database that can fail.
    private struct Scene {
        let clock = ManualClock()
        let database: ScriptedDatabase
        let guardian: RunawayGuard
        let runaways: RunawayRepository
        let caller: Caller
        let other: Caller

        init(_ real: any SQLDatabase) async throws {
            database = ScriptedDatabase(real)
            guardian = RunawayGuard(database: database, clock: clock, hostname: hostname)
            runaways = RunawayRepository(database: real)
            let vaults = [VaultID(high: 0, low: 1), VaultID(high: 0, low: 2)]
            let now = clock.now().milliseconds
            try await real.write { connection in
                for vault in vaults {
                    try connection.execute(
                        """
                        INSERT INTO vaults (id, slug, name, data_key, created_at)
                        VALUES (\(vault.text), \(vault.text), 'n', \([UInt8(0)]), \(now))
                        """)
                }
            }
            func caller(_ index: Int) -> Caller {
                Caller(
                    vault: vaults[index], identity: .key(KeyID(high: 0, low: 9)), label: "bot \(index)", scopes: .all)
            }
            (self.caller, other) = (caller(0), caller(1))
        }

        func rows() async throws -> [RunawayCut] {
            try await runaways.cuts(since: Timestamp(milliseconds: 0), limit: 100)
        }
    }

    @Test("a thousand refusals in a second are two writes, and all are counted", arguments: TestEngine.all)
    func coalesced(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scene = try await Scene(database)
            let start = scene.clock.now()
            for _ in 0..<1_000 {
                await scene.guardian.cut(loop, caller: scene.caller)
                scene.clock.advance(seconds: 0.001)
            }
            #expect(scene.database.writeCount == 1)
            #expect(try await scene.rows().map(\.cuts) == [1])
            await scene.guardian.cut(loop, caller: scene.caller)
            #expect(scene.database.writeCount == 2)
            let end = scene.clock.now()
            #expect(
                try await scene.rows() == [
                    RunawayCut(
                        vault: scene.caller.vault, caller: scene.caller.identity.id, label: "bot 0",
                        reason: "mail_loop",
                        cuts: 1_001, detail: loop.detail, firstAt: start, lastAt: end)
                ])
        }
    }

    @Test("callers, vaults and reasons are counted apart", arguments: TestEngine.all)
    func apart(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scene = try await Scene(database)
            await scene.guardian.cut(loop, caller: scene.caller)
            await scene.guardian.cut(copy, caller: scene.caller)
            await scene.guardian.cut(loop, caller: scene.other)
            scene.clock.advance(seconds: 2)
            await scene.guardian.cut(loop, caller: scene.other)
            let rows = try await scene.rows()
            #expect(rows.first?.vault == scene.other.vault && rows.first?.cuts == 2)
            #expect(
                Set(rows.map { "\($0.label) \($0.reason) \($0.cuts)" }) == [
                    "bot 0 mail_loop 1", "bot 0 repeated_message 1", "bot 1 mail_loop 2",
                ])
        }
    }

    @Test("other refusals are none of the guard's", arguments: ErrorCode.allCases)
    func others(code: ErrorCode) async throws {
        let recorder = RunawayGuard(database: NoDatabase(), clock: ManualClock(), hostname: hostname)
        await recorder.cut(PosternError(code, "x"), caller: Watchman().caller)
        #expect(recorder.cuts.count == ([.mailLoop, .repeatedMessage].contains(code) ? 1 : 0))
    }

    @Test("what the database did not take is written when it is back, with its beginning", arguments: TestEngine.all)
    func databaseAway(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scene = try await Scene(database)
            let start = scene.clock.now()
            scene.database.failNextWrites(
                Array(repeating: SQLError(.unavailable, "the connection was lost"), count: 3))
            for _ in 0..<3 {
                await scene.guardian.cut(loop, caller: scene.caller)
                scene.clock.advance(seconds: 1)
            }
            #expect(try await scene.rows().isEmpty)
            await scene.guardian.cut(loop, caller: scene.caller)
            let row = try #require(try await scene.rows().first)
            #expect(row.cuts == 4 && row.firstAt == start && row.lastAt == scene.clock.now())
        }
    }

    @Test("after a quarter of an hour of quiet it is counted anew", arguments: TestEngine.all)
    func episodes(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scene = try await Scene(database)
            await scene.guardian.cut(loop, caller: scene.caller)
            scene.clock.advance(seconds: 899)
            await scene.guardian.cut(loop, caller: scene.caller)
            #expect(try await scene.rows().map(\.cuts) == [2])
            scene.clock.advance(seconds: 901)
            let begin = scene.clock.now()
            await scene.guardian.cut(copy, caller: scene.caller)
            await scene.guardian.cut(loop, caller: scene.caller)
            let row = try #require(try await scene.rows().first { $0.reason == "mail_loop" })
            #expect(row.cuts == 1 && row.firstAt == begin)
        }
    }

    @Test("counts of two processes are added, and a late one takes nothing back", arguments: TestEngine.all)
    func twoProcesses(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scene = try await Scene(database)
            let now = scene.clock.now()
            func cut(_ count: Int, _ first: Double, _ last: Double) -> RunawayCut {
                RunawayCut(
                    vault: scene.caller.vault, caller: "key_1", label: "bot", reason: "mail_loop", cuts: count,
                    detail: "d",
                    firstAt: now.adding(seconds: first), lastAt: now.adding(seconds: last))
            }
            try await scene.runaways.record([cut(3, 0, 10)])
            try await scene.runaways.record([cut(4, 2, 5)])
            #expect(try await scene.rows() == [cut(7, 0, 10)])
        }
    }

    @Test("the service writes the end of a burst, and at shutdown what is left")
    func service() async throws {
        try await withDatabase(.sqlite) { database in
            let scene = try await Scene(database)
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await scene.guardian.run() }
                    for _ in 0..<3 { await scene.guardian.cut(loop, caller: scene.caller) }
                    scene.clock.advance(seconds: 1)
                    try await eventually("the burst is written") { try await scene.rows().map(\.cuts) == [3] }
                    await scene.guardian.cut(loop, caller: scene.caller)
                    await scene.guardian.cut(loop, caller: scene.caller)
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
            #expect(try await scene.rows().map(\.cuts) == [5])
        }
    }

    @Test("many callers take a bounded place, and it is free again when they are quiet")
    func memory() async throws {
        let clock = ManualClock()
        let guardian = RunawayGuard(database: NoDatabase(), clock: clock, hostname: hostname)
        for number in 0..<(CutRecorder.limit + 500) {
            let caller = Caller(
                vault: VaultID(high: 0, low: 1), identity: .key(KeyID(high: 1, low: UInt64(number))), label: "l",
                scopes: .all)
            // Written down once for all, so that the test does not sort ten thousand times.
            _ = guardian.cuts.remember(loop, caller: caller)
        }
        #expect(guardian.cuts.count == CutRecorder.limit)
        try await withDatabase(.sqlite) { database in
            let scene = try await Scene(database)
            for number in 0..<50 {
                let caller = Caller(
                    vault: scene.caller.vault, identity: .key(KeyID(high: 1, low: UInt64(number))), label: "l",
                    scopes: .all)
                await scene.guardian.cut(loop, caller: caller)
            }
            scene.clock.advance(seconds: 2)
            await scene.guardian.cuts.write(at: scene.clock.now())
            #expect(scene.guardian.cuts.count == 0)
        }
    }

    @Test("housekeeping forgets what is over for a month, the oldest first, so many at most", arguments: TestEngine.all)
    func dropOld(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scene = try await Scene(database)
            let now = scene.clock.now()
            for days in [0, 29, 31, 32, 33] {
                let at = now.adding(seconds: -86_400 * Double(days))
                try await scene.runaways.record([
                    RunawayCut(
                        vault: scene.caller.vault, caller: "key_\(days)", label: "bot", reason: "mail_loop", cuts: 1,
                        detail: "d", firstAt: at, lastAt: at)
                ])
            }
            #expect(try await scene.runaways.dropOld(at: now, limit: 2) == 2)
            #expect(try await scene.rows().map(\.caller) == ["key_0", "key_29", "key_31"])
            #expect(try await scene.runaways.dropOld(at: now, limit: 2) == 1)
            #expect(try await scene.runaways.dropOld(at: now, limit: 2) == 0)
        }
    }
}
