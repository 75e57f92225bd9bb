// The engines that the Store suites run on. A second engine is one more line in `all`.

package import SQL
import SQLite
import Store
import TestSupport

package struct TestEngine: Sendable, CustomStringConvertible {
    package let description: String
    /// Opens an empty database that lives in a directory of its own.
    package let open: @Sendable (_ directory: String) async throws -> any SQLDatabase

    package static let sqlite = TestEngine(description: "SQLite") { directory in
        try SQLiteDatabase(path: directory + "/postern.db")
    }

    package static let all: [TestEngine] = [.sqlite]
}

/// An open database, closed afterwards whatever the body does.
/// - Parameter isMigrated: false leaves it without tables.
package func withDatabase<Result>(
    _ engine: TestEngine = .sqlite,
    isMigrated: Bool = true,
    _ body: (any SQLDatabase) async throws -> Result
) async throws -> Result {
    try await Turnstile.databases.pass {
        try await withTemporaryDirectory { directory in
            let database = try await engine.open(directory)
            do {
                if isMigrated { try await Migrator(database: database).migrate() }
                let result = try await body(database)
                await database.close()
                return result
            } catch {
                await database.close()
                throw error
            }
        }
    }
}
