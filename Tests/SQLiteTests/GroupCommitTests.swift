// Writes that wait together share a transaction: each is answered after the commit, and each stands or falls alone.

import SQL
import SQLite
import TestSupport
import Testing

@Suite("SQLite group commit")
struct GroupCommitTests {
    private struct Refusal: Error, Equatable {
        let number: Int
    }

    @Test("five hundred writes at once all succeed, each with its own answer")
    func concurrentWrites() async throws {
        try await withTable { database in
            let answers = try await withThrowingTaskGroup(of: (Int, Int64).self) { group in
                for number in 0..<500 {
                    group.addTask {
                        let answer = try await database.write { connection in
                            try connection.execute("INSERT INTO kept (value) VALUES (\(number))")
                            return try connection.row("SELECT value FROM kept WHERE value = \(number)")?.integer(0)
                                ?? -1
                        }
                        return (number, answer)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 500)
            #expect(answers.allSatisfy { $0.0 == Int($0.1) })
            let (count, distinct) = try await database.read { connection in
                let row = try connection.row("SELECT COUNT(*), COUNT(DISTINCT value) FROM kept")
                return (try row?.integer(0), try row?.integer(1))
            }
            #expect(count == 500)
            #expect(distinct == 500)
        }
    }

    @Test("a body that throws takes back its own changes only, and gets its own error")
    func ownChangesOnly() async throws {
        try await withTable { database in
            // Holding the writer makes the others wait, and so share one transaction.
            let held = Held()
            async let first: Void = database.write { _ in held.wait() }
            try await held.untilEntered()
            let outcomes = await withTaskGroup(of: (Int, Refusal?).self) { group in
                for number in 0..<60 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.execute("INSERT INTO kept (value) VALUES (\(number))")
                                try connection.execute("INSERT INTO kept (value) VALUES (\(number))")
                                if number % 3 == 0 { throw Refusal(number: number) }
                            }
                            return (number, nil)
                        } catch {
                            return (number, error as? Refusal ?? Refusal(number: -1))
                        }
                    }
                }
                held.release()
                return await group.reduce(into: [:]) { $0[$1.0] = .some($1.1) }
            }
            try await first
            for number in 0..<60 {
                #expect(outcomes[number] == .some(number % 3 == 0 ? Refusal(number: number) : nil))
            }
            let rows = try await database.read { connection in
                try connection.rows("SELECT value, COUNT(*) FROM kept GROUP BY value ORDER BY value").map {
                    try [$0.integer(0), $0.integer(1)]
                }
            }
            #expect(rows == (0..<60).filter { $0 % 3 != 0 }.map { [Int64($0), 2] })
        }
    }

    @Test("an error that the body swallowed leaves what else it wrote")
    func swallowedError() async throws {
        try await withTable { database in
            try await database.write { connection in
                try connection.execute("INSERT INTO kept (value) VALUES (1)")
                try? connection.script("INSERT INTO nowhere VALUES (1)")
                try connection.execute("INSERT INTO kept (value) VALUES (2)")
            }
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 2)
        }
    }

    @Test("a read that begins after a write was answered sees it")
    func readYourWrites() async throws {
        try await withTable { database in
            for number in 0..<50 {
                try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(number))") }
                let count = try await database.read { try $0.row("SELECT COUNT(*) FROM kept")?.integer(0) }
                #expect(count == Int64(number + 1))
            }
        }
    }

    @Test("a reader sees nothing of a transaction that is not committed")
    func isolation() async throws {
        try await withTable { database in
            let held = Held()
            async let write: Void = database.write { connection in
                try connection.execute("INSERT INTO kept (value) VALUES (1)")
                held.wait()
            }
            try await held.untilEntered()
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 0)
            held.release()
            try await write
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 1)
        }
    }

    @Test("one read sees one snapshot, whatever is committed meanwhile")
    func snapshot() async throws {
        try await withTable { database in
            let held = Held()
            async let counts = database.read { connection in
                let before = try connection.row("SELECT COUNT(*) FROM kept")?.integer(0)
                held.wait()
                return [before, try connection.row("SELECT COUNT(*) FROM kept")?.integer(0)]
            }
            try await held.untilEntered()
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (1)") }
            held.release()
            #expect(try await counts == [0, 0])
        }
    }

    @Test("closing finishes the writes that wait; later calls are unavailable")
    func closing() async throws {
        try await withDirectory { directory in
            let database = try SQLiteDatabase(path: directory + "/test.db")
            try await database.write { try $0.script("CREATE TABLE kept (value)") }
            let held = Held()
            let first = Task { try await database.write { _ in held.wait() } }
            try await held.untilEntered()
            let started = Counter()
            let waiting = (0..<40).map { number in
                Task {
                    started.increment()
                    return try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(number))") }
                }
            }
            try await eventually("all have begun") { started.value == 40 }
            let closing = Task { await database.close() }
            held.release()
            try await first.value
            await closing.value
            // A write either made it into the queue before the close, or was told that it is too late.
            var committed = 0
            for task in waiting {
                switch await task.result {
                case .success(let changed): committed += changed
                case .failure(let error): #expect((error as? SQLError)?.code == .unavailable)
                }
            }
            let late = await #expect(throws: SQLError.self) { try await database.write { try $0.execute("SELECT 1") } }
            #expect(late?.code == .unavailable)
            let lateRead = await #expect(throws: SQLError.self) { try await database.read { try $0.row("SELECT 1") } }
            #expect(lateRead?.code == .unavailable)
            await database.close()

            let again = try SQLiteDatabase(path: directory + "/test.db")
            #expect(try await again.integer("SELECT COUNT(*) FROM kept") == Int64(committed))
            await again.close()
        }
    }
}
