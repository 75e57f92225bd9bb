// Writes that wait together share a transaction and a round trip: each stands or falls alone, and is answered after the commit.

import PostgreSQL
import SQL
import TestSupport
import Testing

@Suite("PostgreSQL group commit")
struct GroupCommitTests {
    private struct Refusal: Error, Equatable {
        let number: Int
    }

    @Test("a thousand writes at once all succeed, each with its own answer, in far fewer transactions")
    func concurrentWrites() async throws {
        try await withTable { database, _ in
            let answers = try await withThrowingTaskGroup(of: (Int, Int64).self) { group in
                for number in 0..<1000 {
                    group.addTask {
                        let answer = try await database.write { connection in
                            try connection.send("INSERT INTO kept (value) VALUES (\(number))")
                            return try connection.row("SELECT value FROM kept WHERE value = \(number)")?.integer(0)
                                ?? -1
                        }
                        return (number, answer)
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count == 1000)
            #expect(answers.allSatisfy { $0.0 == Int($0.1) })
            // A row carries the number of the transaction that wrote it.
            let row = try await database.read { connection in
                try connection.row("SELECT COUNT(*), COUNT(DISTINCT value), COUNT(DISTINCT xmin::text) FROM kept")
            }
            #expect(try row?.integer(0) == 1000)
            #expect(try row?.integer(1) == 1000)
            #expect(try #require(row).integer(2) < 300)
        }
    }

    @Test("a body that throws takes back its own changes only, and gets its own error")
    func ownChangesOnly() async throws {
        try await withTable({ $0.writers = 1 }) { database, _ in
            // Holding the writer makes the others wait, and so share one transaction.
            let held = Held()
            async let first: Void = database.write { _ in held.wait() }
            try await held.untilEntered()
            let outcomes = await withTaskGroup(of: (Int, Refusal?).self) { group in
                for number in 0..<60 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.send("INSERT INTO kept (value) VALUES (\(number))")
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

    @Test("a statement that was only sent and fails is its own job's error, and hurts nobody else's")
    func sentFailures() async throws {
        try await withTable(type: "BIGINT UNIQUE", { $0.writers = 1 }) { database, _ in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (7), (21)") }
            let held = Held()
            async let first: Void = database.write { _ in held.wait() }
            try await held.untilEntered()
            let codes = await withTaskGroup(of: (Int, SQLError.Code?).self) { group in
                for number in 0..<30 {
                    group.addTask {
                        do {
                            try await database.write { connection in
                                try connection.send("INSERT INTO kept (value) VALUES (\(1000 + number))")
                                try connection.send("INSERT INTO kept (value) VALUES (\(number))")
                            }
                            return (number, nil)
                        } catch {
                            return (number, (error as? SQLError)?.code)
                        }
                    }
                }
                held.release()
                return await group.reduce(into: [:]) { $0[$1.0] = .some($1.1) }
            }
            try await first
            for number in 0..<30 { #expect(codes[number] == .some([7, 21].contains(number) ? .constraint : nil)) }
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 2 + 28 * 2)
        }
    }

    @Test("a body that goes on after an error fails with that error")
    func swallowedError() async throws {
        try await withTable { database, _ in
            let error = await #expect(throws: SQLError.self) {
                try await database.write { connection in
                    try connection.execute("INSERT INTO kept (value) VALUES (1)")
                    _ = try? connection.execute("INSERT INTO nowhere VALUES (1)")
                    _ = try? connection.execute("INSERT INTO kept (value) VALUES (2)")
                }
            }
            #expect(error?.code == .failure)
            let count = try await database.integer("SELECT COUNT(*) FROM kept")
            #expect(count == 0)
        }
    }

    @Test("a read that begins after a write was answered sees it")
    func readYourWrites() async throws {
        try await withTable { database, _ in
            for number in 0..<50 {
                try await database.write { try $0.send("INSERT INTO kept (value) VALUES (\(number))") }
                #expect(try await database.integer("SELECT COUNT(*) FROM kept") == Int64(number + 1))
            }
        }
    }

    @Test("one read sees one snapshot, whatever is committed meanwhile")
    func snapshot() async throws {
        try await withTable { database, _ in
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

    @Test("two writers that lock the same rows in opposite order both succeed")
    func deadlock() async throws {
        try await withTable { database, place in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (1), (2)") }
            let other = try await place.open()
            let meeting = (Counter(), Counter())
            let update = {
                @Sendable (database: PostgreSQLDatabase, mine: Counter, theirs: Counter, first: Int, second: Int) in
                try await database.write { connection in
                    try connection.execute("UPDATE kept SET value = value + 10 WHERE value % 10 = \(first)")
                    // The first time they wait until both hold their first row.
                    if mine.increment() == 1 {
                        while theirs.value == 0 {}
                    }
                    try connection.execute("UPDATE kept SET value = value + 10 WHERE value % 10 = \(second)")
                }
            }
            async let one: Void = update(database, meeting.0, meeting.1, 1, 2)
            async let two: Void = update(other, meeting.1, meeting.0, 2, 1)
            _ = try await (one, two)
            #expect(meeting.0.value + meeting.1.value > 2, "there was a deadlock, and somebody ran again")
            #expect(try await database.integer("SELECT SUM(value) FROM kept") == 43)
            await other.close()
        }
    }

    @Test("two databases that claim with skip locked never take the same row")
    func skipLocked() async throws {
        try await withTable { database, place in
            try await database.write { try $0.execute("INSERT INTO kept (value) SELECT generate_series(1, 400)") }
            let other = try await place.open()
            let claimed = try await withThrowingTaskGroup(of: [Int64].self) { group in
                for number in 0..<40 {
                    let database = number.isMultiple(of: 2) ? database : other
                    group.addTask {
                        try await database.write { connection in
                            let values = try connection.rows(
                                "SELECT value FROM kept WHERE value > 0 ORDER BY value LIMIT \(13) /* skip locked */"
                            ).map { try $0.integer(0) }
                            try connection.send("UPDATE kept SET value = -value WHERE value IN \(list: values)")
                            return values
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(claimed.count == Set(claimed).count)
            #expect(claimed.count == 400)
            await other.close()
        }
    }

    @Test("rows that another transaction holds are passed over, not waited for")
    func passedOver() async throws {
        try await withTable { database, place in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (1), (2)") }
            let other = try await place.open()
            let held = Held()
            async let holding: Void = database.write { connection in
                try connection.execute("UPDATE kept SET value = 1 WHERE value = 1")
                held.wait()
            }
            try await held.untilEntered()
            let found = try await other.write { connection in
                try connection.rows("SELECT value FROM kept ORDER BY value /* skip locked */").map { try $0.integer(0) }
            }
            #expect(found == [2])
            held.release()
            try await holding
            await other.close()
        }
    }

    @Test("closing finishes the writes that wait; later calls are unavailable")
    func closing() async throws {
        try await withTable({ $0.writers = 1 }) { database, place in
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
            let again = try await place.open()
            #expect(try await again.integer("SELECT COUNT(*) FROM kept") == Int64(committed))
            await again.close()
        }
    }
}
