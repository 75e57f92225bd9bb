// The engines that the Core suites run on.

import Logging
import PostgreSQL
package import SQL
import SQLite
import Store
import TestSupport

#if canImport(Glibc)
import Glibc
#endif

package struct TestEngine: Sendable, CustomStringConvertible {
    package let description: String
    /// Opens an empty database, in a directory of its own where it needs one, and says how to throw it away once it is closed.
    package let open:
        @Sendable (_ directory: String) async throws -> (
            database: any SQLDatabase, discard: @Sendable () async throws -> Void
        )

    package static let sqlite = TestEngine(description: "SQLite") { directory in
        (try SQLiteDatabase(path: directory + "/postern.db"), {})
    }

    package static let postgreSQL = TestEngine(description: "PostgreSQL") { _ in
        let server = try await TemporaryPostgreSQL.shared()
        let name = try await server.makeDatabase()
        var logger = Logger(label: "tests")
        logger.logLevel = .critical
        let database = try await PostgreSQLDatabase.open(
            PostgreSQLConfiguration(url: server.url(name)), logger: logger)
        return (database, { try await server.dropDatabase(name) })
    }

    /// Opens a PostgreSQL database of this suite once more, as another process would.
    package static func join(_ name: String) async throws -> any SQLDatabase {
        var logger = Logger(label: "tests")
        logger.logLevel = .critical
        return try await PostgreSQLDatabase.open(
            PostgreSQLConfiguration(url: try await TemporaryPostgreSQL.shared().url(name)), logger: logger)
    }

    package static let all: [TestEngine] = [.sqlite, .postgreSQL]

    /// Where a test asks for no engine: SQLite, or what `POSTERN_TEST_ENGINE` names, so that every suite runs on each.
    package static let standard: TestEngine = {
        let wanted = getenv("POSTERN_TEST_ENGINE").map { String(cString: $0).lowercased() }
        return all.first { $0.description.lowercased() == wanted } ?? .sqlite
    }()
}

/// An open database, closed afterwards whatever the body does.
/// - Parameter isMigrated: false leaves it without tables.
package func withDatabase<Result>(
    _ engine: TestEngine = .standard,
    isMigrated: Bool = true,
    _ body: (any SQLDatabase) async throws -> Result
) async throws -> Result {
    try await Turnstile.databases.pass {
        try await withTemporaryDirectory { directory in
            let (database, discard) = try await engine.open(directory)
            do {
                if isMigrated { try await Migrator(database: database).migrate() }
                let result = try await body(database)
                await database.close()
                try await discard()
                return result
            } catch {
                await database.close()
                try? await discard()
                throw error
            }
        }
    }
}
