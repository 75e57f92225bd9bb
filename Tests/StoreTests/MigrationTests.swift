// The schema: one result whichever way it came about, and constraints that hold without any help from Swift.

import CoreTestSupport
import SQL
import Store
import Testing

@Suite("Migrations")
struct MigrationTests {
    /// Every table and index with its definition.
    private func schema(_ database: any SQLDatabase) async throws -> [String] {
        try await database.read { connection in
            try connection.rows("SELECT type, name, COALESCE(sql, '') FROM sqlite_master ORDER BY type, name").map {
                try "\($0.text(0)) \($0.text(1)): \($0.text(2))"
            }
        }
    }

    @Test("a database that is brought up step by step has the schema of one that is made at once")
    func stepwise() async throws {
        let atOnce = try await withDatabase(.sqlite) { try await schema($0) }
        for last in Migrations.all.dropLast().map(\.number) {
            let stepwise = try await withDatabase(.sqlite, isMigrated: false) { database in
                let migrator = Migrator(database: database)
                #expect(try await migrator.migrate(through: last).map(\.number) == Array(1...last))
                #expect(try await migrator.pending().map(\.number) == Migrations.all.map(\.number).filter { $0 > last })
                try await migrator.migrate()
                return try await schema(database)
            }
            #expect(stepwise == atOnce)
        }
        #expect(atOnce.contains { $0.hasPrefix("table smtp_relay_logs:") })
    }

    @Test("one step at a time leads to the same schema, and rows of the first step live on")
    func rowsSurvive() async throws {
        try await withDatabase(.sqlite, isMigrated: false) { database in
            let migrator = Migrator(database: database)
            try await migrator.migrate(through: 1)
            try await database.write { connection in
                try connection.execute(
                    "INSERT INTO vaults (id, slug, name, data_key, created_at) VALUES ('vlt_1', 's', 'n', \([UInt8]([1])), 5)"
                )
            }
            for migration in Migrations.all.dropFirst() { try await migrator.migrate(through: migration.number) }
            #expect(try await VaultRepository(database: database).all().map(\.slug) == ["s"])
        }
    }

    @Test("numbers are 1, 2, 3 … and each has a name", arguments: TestEngine.all)
    func numbering(_ engine: TestEngine) async throws {
        #expect(Migrations.all.map(\.number) == Array(1...Migrations.all.count))
        #expect(Migrations.all.allSatisfy { !$0.name.isEmpty })
        try await withDatabase(engine) { database in
            let names = try await database.read { connection in
                try connection.rows("SELECT name FROM schema_migrations ORDER BY number").map { try $0.text(0) }
            }
            #expect(names == Migrations.all.map(\.name))
        }
    }

    @Test("migrating again does nothing", arguments: TestEngine.all)
    func idempotent(_ engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let pending = try await Migrator(database: database).pending()
            let taken = try await Migrator(database: database).migrate()
            #expect(pending.isEmpty && taken.isEmpty)
        }
    }

    @Test("several that migrate at the same moment take each step once", arguments: TestEngine.all)
    func concurrent(_ engine: TestEngine) async throws {
        try await withDatabase(engine, isMigrated: false) { database in
            let taken = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<6 { group.addTask { try await Migrator(database: database).migrate().map(\.number) } }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(taken.sorted() == Migrations.all.map(\.number))
        }
    }

    @Test("looking for what is pending writes nothing", arguments: TestEngine.all)
    func pendingOnly(_ engine: TestEngine) async throws {
        try await withDatabase(engine, isMigrated: false) { database in
            let scripted = ScriptedDatabase(database)
            let pending = try await Migrator(database: scripted).pending()
            #expect(pending.count == Migrations.all.count)
            #expect(scripted.writeCount == 0)
        }
    }

    @Test("a database of a newer program is refused and left as it is", arguments: TestEngine.all)
    func newer(_ engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            try await database.write { connection in
                try connection.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')")
            }
            let migrator = Migrator(database: database)
            let error = await #expect(throws: SQLError.self) { try await migrator.pending() }
            #expect(error?.code == .failure)
            #expect(error?.message.contains("9999") == true)
            await #expect(throws: SQLError.self) { try await migrator.migrate() }
        }
    }

    @Test(
        "the schema itself refuses what must not be", arguments: TestEngine.all,
        [
            "INSERT INTO vaults (id, slug, name, data_key, created_at) VALUES ('vlt_2', '', 'n', \([UInt8]([0])), 1)",
            "INSERT INTO vaults (id, slug, name, data_key, created_at) VALUES ('vlt_2', 'default', 'n', \([UInt8]([0])), 1)",
            "INSERT INTO processes (number, owner, lease_until) VALUES (1024, 'o', 1)",
            "INSERT INTO processes (number, owner, lease_until) VALUES (-1, 'o', 1)",
            "INSERT INTO payloads (id, vault_id, format, bytes, created_at) VALUES ('pay_1', 'vlt_none', 'mime', \([UInt8]([0])), 1)",
            "UPDATE payloads SET format = 'xml'", "UPDATE smtp_relay_logs SET status = 'lost'",
            "UPDATE smtp_relay_logs SET recipient = NULL", "UPDATE outbox SET ready = 2", "DELETE FROM payloads",
            "DELETE FROM vaults",
            "INSERT INTO vault_settings (vault_id, key, value, updated_at) VALUES ('vlt_none', 'k', '1', 1)",
            "INSERT INTO outbox SELECT * FROM outbox",
        ] as [SQLStatement])
    func constraints(_ engine: TestEngine, _ statement: SQLStatement) async throws {
        try await withHouse(engine) { house in
            try await house.accept()
            let error = await #expect(throws: SQLError.self) {
                try await house.database.write { try $0.execute(statement) }
            }
            #expect(error?.code == .constraint)
        }
    }
}
