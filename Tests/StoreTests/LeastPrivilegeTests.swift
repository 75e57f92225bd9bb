// A server may run with a role that cannot change the schema, once another role has brought it up to date.

import CoreTestSupport
import SQL
import Store
import Testing

@Suite("Least privilege")
struct LeastPrivilegeTests {
    @Test("where no step is due, migrating writes nothing", arguments: TestEngine.all)
    func nothingDue(_ engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let watched = ScriptedDatabase(database)
            let steps = try await Migrator(database: watched).migrate()
            #expect(steps.isEmpty && watched.writeCount == 0)
        }
    }

    @Test("nor where only later steps than those asked for are due", arguments: TestEngine.all)
    func nothingAsked(_ engine: TestEngine) async throws {
        try await withDatabase(engine, isMigrated: false) { database in
            try await Migrator(database: database).migrate(through: 1)
            let watched = ScriptedDatabase(database)
            let steps = try await Migrator(database: watched).migrate(through: 1)
            #expect(steps.isEmpty && watched.writeCount == 0)
        }
    }
}
