// Moving an instance: nothing is forgotten, nothing changes on the way, and nothing is overwritten.

import CoreTestSupport
import Model
import SQL
import Sealing
import Store
import Synchronization
import Testing
import Vaults

@Suite("Moving an instance")
struct InstanceMoverTests {
    private static let twice = [(TestEngine.sqlite, TestEngine.postgreSQL), (.postgreSQL, .sqlite)]

    // The list

    @Test(
        "every table of the schema is on the list once: it moves, or it is left on purpose", arguments: TestEngine.all)
    func listed(_ engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let tables = try await database.read { connection in
                try connection.rows(
                    database.isShared
                        ? "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY tablename"
                        : "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name"
                ).map { try $0.text(0) }
            }
            #expect((InstanceTables.moved.map(\.name) + InstanceTables.left).sorted() == tables)
        }
    }

    @Test("what a row refers to is moved before it", arguments: TestEngine.all)
    func dependencies(_ engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let references = try await database.read { connection in
                try connection.rows(
                    database.isShared
                        ? """
                        SELECT t.relname, r.relname FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
                        JOIN pg_class r ON r.oid = c.confrelid WHERE c.contype = 'f'
                        """
                        : """
                        SELECT t.name, f."table" FROM sqlite_master t, pragma_foreign_key_list(t.name) f
                        WHERE t.type = 'table'
                        """
                ).map { (try $0.text(0), try $0.text(1)) }
            }
            #expect(references.count > 10)
            let order = InstanceTables.moved.map(\.name)
            for (table, referred) in references where table != referred {
                let place = try #require(order.firstIndex(of: table), "\(table) refers to something and is left")
                let before = try #require(order.firstIndex(of: referred), "\(table) moves and refers to what is left")
                #expect(before < place, "\(table) refers to \(referred)")
            }
        }
    }

    @Test("both engines have the same columns of the same kinds, and a primary key in each table that moves")
    func columns() async throws {
        func columns(_ engine: TestEngine) async throws -> [[SQLColumn]] {
            try await withDatabase(engine) { database in
                try await database.read { connection in
                    try InstanceTables.moved.map { try connection.columns(of: $0.name) }
                }
            }
        }
        let (one, other) = (try await columns(.sqlite), try await columns(.postgreSQL))
        #expect(one == other)
        for columns in one {
            #expect(columns.contains { $0.keyPosition == 1 } && !columns.contains { $0.kind == .other })
        }
        let none = try await withDatabase { try await $0.read { try $0.columns(of: "no_such_table") } }
        #expect(none.isEmpty)
    }

    // The way

    @Test(
        "everything arrives as it was, whatever the engines and however small the pieces",
        arguments: TestEngine.all, TestEngine.all)
    func arrives(_ from: TestEngine, _ to: TestEngine) async throws {
        try await withTwoDatabases(from, to) { source, target in
            let house = try await makeInstance(source)
            let before = try await contents(source)
            #expect(before.values.allSatisfy { !$0.isEmpty }, "the sample has rows in every table")
            let report = try await InstanceMover(source, target, at: house.clock, rows: 3).move()
            #expect(try await contents(target) == before)
            #expect(try await contents(source) == before)
            #expect(report.tables.map(\.rows) == InstanceTables.moved.map { before[$0.name]?.count ?? 0 })
            #expect(report.tables.map(\.copied) == report.tables.map(\.rows))
            #expect(!report.isContinued)
            // And it is an instance: its secrets open, and nothing is due.
            #expect(try await Migrator(database: target).pending().isEmpty)
            #expect(
                try await house.moved(to: target).secret("smarthost_password", in: house.vault.id)?.reveal() == "geheim"
            )
        }
    }

    @Test("a table's digest is the same there and back", arguments: twice)
    func digests(_ engines: (TestEngine, TestEngine)) async throws {
        try await withTwoDatabases(engines.0, engines.1) { source, target in
            let house = try await makeInstance(source)
            let there = try await InstanceMover(source, target, at: house.clock).move()
            try await withDatabase(engines.0, isMigrated: false) { third in
                let back = try await InstanceMover(target, third, at: house.clock, rows: 1).move()
                #expect(back.tables == there.tables)
            }
        }
    }

    @Test("an empty instance moves as well", arguments: TestEngine.all)
    func empty(_ engine: TestEngine) async throws {
        try await withTwoDatabases(engine, .standard) { source, target in
            let report = try await InstanceMover(source, target).move()
            #expect(report.rows == 0)
            #expect(try await Migrator(database: target).pending().isEmpty)
        }
    }

    @Test("a piece is bounded in rows and in bytes, and what is larger goes alone")
    func pieces() async throws {
        try await withTwoDatabases(.standard, .standard) { source, target in
            let house = try await TestHouse(database: source)
            for size in [900_000, 10, 10, 10, 600_000, 600_000, 10] {
                try await house.accept { $0.payload = [UInt8](repeating: 65, count: size) }
            }
            let seen = Mutex<[Int]>([])
            _ = try await InstanceMover(source, target, at: house.clock, rows: 3, bytes: 700_000) { progress in
                if progress.step == .copying, progress.table == "payloads" {
                    seen.withLock { $0.append(progress.rows) }
                }
            }.move()
            #expect(seen.withLock { $0 } == [1, 4, 5, 7])
        }
    }

    @Test("what a process of the source had in hand can go at once; processes and duties stay behind")
    func leases() async throws {
        try await withTwoDatabases(.sqlite, .postgreSQL) { source, target in
            let house = try await TestHouse(database: source)
            for _ in 0..<3 { try await house.accept() }
            try await house.accept { $0.sendAfter = 1000 }
            let now = house.clock.now()
            let housekeeping = HousekeepingRepository(database: source)
            _ = try await housekeeping.claimProcessNumber(owner: "gone", at: now, until: now.adding(seconds: 60))
            _ = try await housekeeping.holdDuty("watchdog", owner: "gone", at: now, until: now.adding(seconds: 60))
            let claimed = try await OutboxRepository(database: source, owner: "gone").claim(
                at: now, lease: now.adding(seconds: 300), limit: 2, share: 2, inHand: [:]
            ) { _ in .handOver }.leased
            #expect(claimed.count == 2)
            _ = try await InstanceMover(source, target, at: house.clock, isHeld: true).move()
            #expect(try await target.count("outbox", where: "lease_owner IS NOT NULL") == 0)
            #expect(try await target.count("outbox", where: "ready = 1") == 3)
            #expect(try await target.count("processes") == 0)
            #expect(try await target.count("duties") == 0)
            let again = try await OutboxRepository(database: target, owner: "next").claim(
                at: now, lease: now.adding(seconds: 300), limit: 10, share: 10, inHand: [:]
            ) { _ in .handOver }.leased
            #expect(Set(again.map(\.id)).isSuperset(of: claimed.map(\.id)))
        }
    }

    // Refusals

    @Test("a target with rows is refused, and left as it is", arguments: TestEngine.all)
    func occupied(_ engine: TestEngine) async throws {
        try await withTwoDatabases(.standard, engine) { source, target in
            try await makeInstance(source, messages: 1)
            try await Migrator(database: target).migrate()
            _ = try await TestHouse(database: target)
            let before = try await contents(target)
            let watched = ScriptedDatabase(target)
            await #expect(throws: InstanceMoveError.self) { try await InstanceMover(source, watched).plan() }
            let error = await #expect(throws: InstanceMoveError.self) {
                try await InstanceMover(source, watched).move()
            }
            #expect(error?.code == .targetNotEmpty && error?.message.contains("vaults") == true)
            #expect(watched.writeCount == 0)
            #expect(try await contents(target) == before)
        }
    }

    @Test("looking at what would move changes neither side, and says what moving says", arguments: TestEngine.all)
    func planning(_ engine: TestEngine) async throws {
        try await withTwoDatabases(engine, .standard) { source, target in
            let house = try await makeInstance(source)
            let watched = ScriptedDatabase(source)
            let plan = try await InstanceMover(watched, target, at: house.clock).plan()
            #expect(watched.writeCount == 0)
            #expect(try await target.read { try $0.hasTable("schema_migrations") } == false)
            #expect(try await InstanceMover(source, nil, at: house.clock).plan().tables == plan.tables)
            let report = try await InstanceMover(watched, target, at: house.clock).move()
            #expect(watched.writeCount == 0, "the source is only read")
            #expect(report.tables.map(\.digest) == plan.tables.map(\.digest))
            #expect(report.tables.map(\.bytes) == plan.tables.map(\.bytes))
        }
    }

    @Test("a source of an older schema is refused, and one of a newer program as well")
    func schemas() async throws {
        try await withTwoDatabases(.standard, .standard) { source, target in
            try await withDatabase(isMigrated: false) { old in
                try await Migrator(database: old).migrate(through: Migrations.all.count - 1)
                let error = await #expect(throws: InstanceMoveError.self) {
                    try await InstanceMover(old, target).move()
                }
                #expect(error?.code == .sourceSchema)
            }
            try await source.write { connection in
                try connection.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')")
            }
            await #expect(throws: SQLError.self) { try await InstanceMover(source, target).move() }
        }
    }

    @Test("a database that a process works on is refused until its lease ends", arguments: TestEngine.all)
    func living(_ engine: TestEngine) async throws {
        try await withTwoDatabases(engine, engine) { source, target in
            let clock = ManualClock()
            try await Migrator(database: target).migrate()
            for (database, name) in [(source, "source"), (target, "target")] {
                let until = clock.now().adding(seconds: 60)
                _ = try await HousekeepingRepository(database: database).claimProcessNumber(
                    owner: "p", at: clock.now(), until: until)
                let error = await #expect(throws: InstanceMoveError.self) {
                    try await InstanceMover(source, target, at: clock).move()
                }
                #expect(error?.code == .inUse && error?.message.contains(name) == true)
                #expect(error?.message.contains("\(until)") == true)
                clock.advance(seconds: 61)
            }
            _ = try await InstanceMover(source, target, at: clock).move()
        }
    }

    @Test("a NUL character that the target cannot store is named with its table and key, before anything is written")
    func nul() async throws {
        for target in TestEngine.all {
            try await withTwoDatabases(.sqlite, target) { source, target in
                let house = try await TestHouse(database: source)
                let id = try await house.accept()[0]
                try await source.write { connection in
                    try connection.execute(
                        "UPDATE smtp_relay_logs SET last_reply = \("250 \0ok") WHERE id = \(id.text)")
                }
                guard target.name == "PostgreSQL" else {
                    _ = try await InstanceMover(source, target, at: house.clock).move()
                    #expect(try await contents(target) == contents(source))
                    return
                }
                let error = await #expect(throws: InstanceMoveError.self) {
                    try await InstanceMover(source, target, at: house.clock).move()
                }
                #expect(error?.code == .unstorable)
                #expect(error?.message.contains("smtp_relay_logs \(id), column last_reply") == true)
                #expect(try await target.read { try $0.hasTable("schema_migrations") } == false)
            }
        }
    }
}

extension TestHouse {
    /// The vaults as another process sees them, on another database.
    fileprivate func moved(to database: any SQLDatabase) -> VaultDirectory {
        VaultDirectory(database: database, masterKey: masterKey, instanceDefaults: [:], clock: clock, ids: ids)
    }
}
