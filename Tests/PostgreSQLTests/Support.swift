// A database with one table on the tests' server, and bodies that stop where a test wants them to.

import Dispatch
import Logging
import PostgreSQL
import SQL
import Synchronization
import TestSupport

/// Holds a database body, which runs on a thread that may block, until the test lets it go.
final class Held: Sendable {
    private let entered = Mutex(false)
    private let semaphore = DispatchSemaphore(value: 0)

    func wait() {
        entered.withLock { $0 = true }
        semaphore.wait()
    }

    func release() { semaphore.signal() }

    func untilEntered() async throws { try await eventually("the body begins") { entered.withLock { $0 } } }
}

final class Counter: Sendable {
    private let count = Mutex(0)
    var value: Int { count.withLock { $0 } }

    @discardableResult
    func increment() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}

let logger = {
    var logger = Logger(label: "postgresql tests")
    logger.logLevel = .critical
    return logger
}()

/// Short patience, so that a test of a failure does not last.
func limits(_ change: (inout PostgreSQLConfiguration.Limits) -> Void = { _ in }) -> PostgreSQLConfiguration.Limits {
    var limits = PostgreSQLConfiguration.Limits()
    limits.openTimeout = 5
    limits.connectTimeout = 5
    change(&limits)
    return limits
}

func open(
    _ url: String,
    rootCertificates: String? = nil,
    limits: PostgreSQLConfiguration.Limits = limits()
) async throws -> PostgreSQLDatabase {
    try await PostgreSQLDatabase.open(
        PostgreSQLConfiguration(url: url, rootCertificates: rootCertificates, limits: limits), logger: logger)
}

/// A test's own database on the shared server.
struct Place: Sendable {
    let server: TemporaryPostgreSQL
    let name: String

    var url: String { server.url(name) }

    /// Opens it once more, as another process would.
    func open(_ change: (inout PostgreSQLConfiguration.Limits) -> Void = { _ in }) async throws -> PostgreSQLDatabase {
        try await PostgreSQLTests.open(url, limits: limits(change))
    }

    /// Ends all connections of the engine, as an administrator would.
    func terminateAll() async throws {
        try await server.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '\(name)'")
    }
}

func withPlace<Result>(_ body: (Place) async throws -> Result) async throws -> Result {
    try await Turnstile.databases.pass {
        let server = try await TemporaryPostgreSQL.shared()
        let place = Place(server: server, name: try await server.makeDatabase())
        do {
            let result = try await body(place)
            try await server.dropDatabase(place.name)
            return result
        } catch {
            try? await server.dropDatabase(place.name)
            throw error
        }
    }
}

/// A database with the table `kept (value)`.
func withTable<Result>(
    type: String = "BIGINT",
    _ change: (inout PostgreSQLConfiguration.Limits) -> Void = { _ in },
    _ body: (PostgreSQLDatabase, Place) async throws -> Result
) async throws -> Result {
    try await withPlace { place in
        let database = try await place.open(change)
        do {
            try await database.write { try $0.script("CREATE TABLE kept (value \(type))") }
            let result = try await body(database, place)
            await database.close()
            return result
        } catch {
            await database.close()
            throw error
        }
    }
}

extension SQLDatabase {
    /// The first column of the first row, when it is an integer.
    func integer(_ statement: SQLStatement) async throws -> Int64? {
        try await read { try $0.row(statement)?.integer(0) }
    }
}
