// A move that does not come to its end: nothing starts on half of it, the same move goes on, and no other does.

import CoreTestSupport
import Model
import SQL
import Store
import Synchronization
import Testing

@Suite("An interrupted move")
struct InterruptedMoveTests {
    @Test(
        "goes on from wherever it broke, before or after a commit, and ends with everything",
        arguments: TestEngine.all, [false, true])
    func goesOn(_ engine: TestEngine, _ failsAfterCommit: Bool) async throws {
        try await withTwoDatabases(.standard, engine) { source, target in
            let house = try await makeInstance(source)
            var breaks = 0
            while true {
                // Three writes a run, of which the first asks what the target can store: each run gets a little further.
                let breaking = BreakingDatabase(target, writes: 3, failsAfterCommit: failsAfterCommit)
                do {
                    _ = try await InstanceMover(source, breaking, at: house.clock, rows: 4).move()
                    break
                } catch let error as SQLError {
                    #expect(error.code == .unavailable)
                    breaks += 1
                    try #require(breaks < 100)
                    let isMarked = try await target.read { try $0.hasTable("unfinished_move") }
                    if isMarked { await refusesToStart(target) }
                }
            }
            #expect(breaks > 8)
            #expect(try await contents(target) == contents(source))
            #expect(try await Migrator(database: target).pending().isEmpty)
            #expect(try await target.read { try $0.hasTable("unfinished_move") } == false)
        }
    }

    private func refusesToStart(_ database: any SQLDatabase) async {
        let migrator = Migrator(database: database)
        let asked = await #expect(throws: SQLError.self) { try await migrator.pending() }
        #expect(asked?.code == .failure && asked?.message.contains("postern migrate") == true)
        await #expect(throws: SQLError.self) { try await migrator.migrate() }
    }

    /// Breaks a move after a few pieces.
    private func begin(_ source: any SQLDatabase, _ target: any SQLDatabase, _ house: TestHouse) async throws {
        let breaking = BreakingDatabase(target, writes: Migrations.all.count + 8)
        await #expect(throws: SQLError.self) {
            try await InstanceMover(source, breaking, at: house.clock, rows: 4).move()
        }
        #expect(try await target.count("vaults") > 0)
    }

    @Test("says that it would go on, and copies only what is not there", arguments: TestEngine.all)
    func rest(_ engine: TestEngine) async throws {
        try await withTwoDatabases(engine, .standard) { source, target in
            let house = try await makeInstance(source)
            try await begin(source, target, house)
            #expect(try await InstanceMover(source, target, at: house.clock).plan().isContinued)
            let report = try await InstanceMover(source, target, at: house.clock).move()
            #expect(report.isContinued)
            #expect(report.tables[0].copied == 0 && report.tables[0].rows == 2)
            #expect(report.tables.contains { $0.copied > 0 && $0.copied < $0.rows }, "a table that was begun")
            #expect(report.tables.contains { $0.copied > 0 && $0.copied == $0.rows }, "a table that was not")
            #expect(try await contents(target) == contents(source))
        }
    }

    @Test("does not go on when the source has changed meanwhile, or is another one")
    func otherSource() async throws {
        try await withTwoDatabases(.standard, .standard) { source, target in
            let house = try await makeInstance(source)
            try await begin(source, target, house)
            let before = try await target.count("smtp_relay_api_keys")
            try await source.write { connection in
                try connection.execute("UPDATE smtp_relay_users SET last_used_at = 99")
            }
            let error = await #expect(throws: InstanceMoveError.self) {
                try await InstanceMover(source, target, at: house.clock).move()
            }
            #expect(error?.code == .targetNotEmpty)
            try await withHouse { other in
                let error = await #expect(throws: InstanceMoveError.self) {
                    try await InstanceMover(other.database, target, at: house.clock).plan()
                }
                #expect(error?.code == .targetNotEmpty)
            }
            #expect(try await target.count("smtp_relay_api_keys") == before)
        }
    }

    @Test("is not completed when somebody has changed what had arrived", arguments: TestEngine.all)
    func tampered(_ engine: TestEngine) async throws {
        try await withTwoDatabases(.standard, engine) { source, target in
            let house = try await makeInstance(source)
            try await begin(source, target, house)
            try await target.write { try $0.execute("UPDATE vaults SET name = 'another'") }
            let error = await #expect(throws: InstanceMoveError.self) {
                try await InstanceMover(source, target, at: house.clock).move()
            }
            #expect(error?.code == .contentsDiffer && error?.message.contains("vaults") == true)
            await refusesToStart(target)
        }
    }

    @Test("a process that is started on the source during the move keeps it from being completed")
    func startedMeanwhile() async throws {
        try await withTwoDatabases(.standard, .standard) { source, target in
            let house = try await makeInstance(source)
            let now = house.clock.now()
            let watched = BreakingDatabase(target, writes: 1000) { left in
                guard left == 1000 - 10 else { return }
                _ = try await HousekeepingRepository(database: source).claimProcessNumber(
                    owner: "early", at: now, until: now.adding(seconds: 60))
            }
            let error = await #expect(throws: InstanceMoveError.self) {
                try await InstanceMover(source, watched, at: house.clock, rows: 4).move()
            }
            #expect(error?.code == .inUse)
            await refusesToStart(target)
        }
    }

    @Test("a mark that is gone although the connection broke is a completed move", arguments: TestEngine.all)
    func lastCommit(_ engine: TestEngine) async throws {
        try await withTwoDatabases(.standard, engine) { source, target in
            // Nothing to copy: a question, the schema, the mark, and the mark's end.
            let breaking = BreakingDatabase(target, writes: Migrations.all.count + 3, failsAfterCommit: true)
            _ = try await InstanceMover(source, breaking).move()
            #expect(try await Migrator(database: target).pending().isEmpty)
        }
    }
}
