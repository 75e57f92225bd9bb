// A database with one table, and a body that stops where a test wants it to.

import Dispatch
import SQL
import SQLite
import Synchronization
import TestSupport

#if canImport(Glibc)
import Glibc
#endif

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
    func increment() { count.withLock { $0 += 1 } }
}

func withDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    try await Turnstile.databases.pass { try await withTemporaryDirectory(body) }
}

/// A database with the table `kept (value)`.
func withTable<Result>(_ body: (SQLiteDatabase) async throws -> Result) async throws -> Result {
    try await withDirectory { directory in
        let database = try SQLiteDatabase(path: directory + "/test.db")
        do {
            try await database.write { try $0.script("CREATE TABLE kept (value)") }
            let result = try await body(database)
            await database.close()
            return result
        } catch {
            await database.close()
            throw error
        }
    }
}

func writeFile(_ path: String, _ text: String) throws {
    guard let file = fopen(path, "w") else { throw SQLError(.storage, "the file cannot be written") }
    fputs(text, file)
    fclose(file)
}

extension SQLDatabase {
    /// The first column of the first row, when it is an integer.
    func integer(_ statement: SQLStatement) async throws -> Int64? {
        try await read { try $0.row(statement)?.integer(0) }
    }
}
