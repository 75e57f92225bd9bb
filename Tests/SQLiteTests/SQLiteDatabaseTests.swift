// The embedded engine: what goes in comes out, writes are durable and shared, and failures have the seam's words.

import FoundationEssentials
import SQL
import SQLite
import Testing

@Suite("SQLite engine")
struct SQLiteDatabaseTests {
    @Test(
        "a text comes back byte for byte",
        arguments: [
            "", " ", "'", "x'); DROP TABLE kept; --", "\"; DELETE FROM kept", "a\u{0}b", "\u{0}", "é", "e\u{301}", "😀",
            "\u{10FFFF}", "\r\n", "$1", "\u{FEFF}x", String(repeating: "ä", count: 100_000),
        ])
    func texts(_ text: String) async throws {
        try await withTable { database in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(text))") }
            let row = try await database.read {
                try $0.row("SELECT value, typeof(value) FROM kept WHERE value = \(text)")
            }
            let stored = try #require(row)
            #expect(Array(try stored.text(0).utf8) == Array(text.utf8))
            #expect(try stored.text(1) == "text")
        }
    }

    @Test(
        "bytes come back as they are, none at all included",
        arguments: [[], [0], [0, 255, 0], Array(0...255)] as [[UInt8]])
    func blobs(_ bytes: [UInt8]) async throws {
        try await withTable { database in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(bytes))") }
            let row = try await database.read { try $0.row("SELECT value, typeof(value) FROM kept") }
            let stored = try #require(row)
            #expect(try stored.blob(0) == bytes)
            #expect(try stored.text(1) == "blob")
        }
    }

    @Test("a megabyte of every byte comes back")
    func largeBlob() async throws {
        let bytes = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try await withTable { database in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(bytes))") }
            let row = try await database.read { try $0.row("SELECT value FROM kept") }
            #expect(try row?.blob(0) == bytes)
        }
    }

    @Test("numbers and null keep their kind", arguments: [Int64.min, -1, 0, 1, Int64.max])
    func numbers(_ number: Int64) async throws {
        try await withTable { database in
            let absent: String? = nil
            let row = try await database.read { try $0.row("SELECT \(number), \(1.5), \(absent), \(true)") }
            #expect(row?.values == [.integer(number), .real(1.5), .null, .integer(1)])
        }
    }

    @Test("many values are bound in their places")
    func manyValues() async throws {
        try await withTable { database in
            let numbers = (0..<2_000).map { Int64($0) }
            let row = try await database.read { connection in
                let statement: SQLStatement =
                    "SELECT COUNT(*) FROM (SELECT \(11) AS a) WHERE a IN \(list: numbers) AND \(5) = 5"
                return try connection.row(statement)
            }
            #expect(try row?.integer(0) == 1)
        }
    }

    @Test("an empty list matches nothing")
    func emptyList() async throws {
        try await withTable { database in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES ('a'), (NULL)") }
            let rows = try await database.read { try $0.rows("SELECT 1 FROM kept WHERE value IN \(list: [String]())") }
            #expect(rows.isEmpty)
        }
    }

    @Test("execute says how many rows changed")
    func changes() async throws {
        try await withTable { database in
            let counts = try await database.write { connection in
                [
                    try connection.execute("INSERT INTO kept (value) VALUES (1), (2), (3)"),
                    try connection.execute("UPDATE kept SET value = 9 WHERE value > 1"),
                    try connection.execute("UPDATE kept SET value = 9 WHERE value > 100"),
                    try connection.execute("DELETE FROM kept"),
                ]
            }
            #expect(counts == [3, 2, 0, 3])
        }
    }

    @Test("a commit is on disk: write-ahead log, full synchronisation")
    func durability() async throws {
        try await withTable { database in
            let mode = try await database.write { connection in
                [
                    try connection.row("PRAGMA synchronous")?.values, try connection.row("PRAGMA journal_mode")?.values,
                    try connection.row("PRAGMA foreign_keys")?.values,
                ]
            }
            #expect(mode == [[.integer(2)], [.text("wal")], [.integer(1)]])
        }
    }

    @Test("what was committed is there after closing and opening again")
    func reopening() async throws {
        try await withDirectory { directory in
            let first = try SQLiteDatabase(path: directory + "/test.db")
            try await first.write { connection in
                try connection.script("CREATE TABLE kept (value); INSERT INTO kept VALUES (42);")
            }
            await first.close()
            let second = try SQLiteDatabase(path: directory + "/test.db")
            let row = try await second.read { try $0.row("SELECT value FROM kept") }
            #expect(try row?.integer(0) == 42)
            await second.close()
        }
    }

    @Test("a stop leaves one file: a copy of it is the whole database, and a second close is none")
    func foldsTheLog() async throws {
        try await withDirectory { directory in
            let database = try SQLiteDatabase(path: directory + "/test.db")
            try await database.write { connection in
                try connection.script("CREATE TABLE kept (value); INSERT INTO kept VALUES (42);")
            }
            _ = try await database.read { try $0.row("SELECT value FROM kept") }
            await database.close()
            await database.close()
            let log = directory + "/test.db-wal"
            let size = (try? FileManager.default.attributesOfItem(atPath: log)[.size] as? Int) ?? 0
            #expect(size == 0)
        }
    }

    @Test("a path that cannot be opened is a storage error, not a crash")
    func unopenable() {
        let error = #expect(throws: SQLError.self) { try SQLiteDatabase(path: "/nonexistent/postern/test.db") }
        #expect(error?.code == .storage)
    }

    @Test("a file that is no database is refused")
    func notADatabase() async throws {
        try await withDirectory { directory in
            let path = directory + "/test.db"
            try writeFile(path, String(repeating: "this is not a database. ", count: 100))
            #expect(throws: SQLError.self) { try SQLiteDatabase(path: path) }
        }
    }

    @Test("unique, foreign key, check and not-null violations are constraint errors, and change nothing")
    func constraints() async throws {
        try await withTable { database in
            try await database.write { connection in
                try connection.script(
                    """
                    CREATE TABLE parents (id INTEGER PRIMARY KEY);
                    CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id),
                        name TEXT UNIQUE, age INTEGER CHECK (age >= 0));
                    INSERT INTO parents VALUES (1);
                    INSERT INTO children VALUES (1, 1, 'a', 0);
                    """)
            }
            let violations: [SQLStatement] = [
                "INSERT INTO children VALUES (2, 99, 'b', 0)", "INSERT INTO children VALUES (2, 1, 'a', 0)",
                "INSERT INTO children VALUES (2, 1, 'b', -1)", "INSERT INTO children VALUES (2, NULL, 'b', 0)",
                "INSERT INTO children VALUES (1, 1, 'b', 0)", "DELETE FROM parents",
            ]
            for statement in violations {
                let error = await #expect(throws: SQLError.self) {
                    try await database.write { try $0.execute(statement) }
                }
                #expect(error?.code == .constraint, "\(statement.text)")
            }
            let count = try await database.read { try $0.row("SELECT COUNT(*) FROM children")?.integer(0) }
            #expect(count == 1)
        }
    }

    @Test("a mistake in SQL is a failure, and the engine goes on")
    func mistakes() async throws {
        try await withTable { database in
            let error = await #expect(throws: SQLError.self) { try await database.write { try $0.execute("SELEKT 1") } }
            #expect(error?.code == .failure)
            let missing = await #expect(throws: SQLError.self) {
                try await database.read { try $0.rows("SELECT * FROM nowhere") }
            }
            #expect(missing?.code == .failure)
            let answer = try await database.integer("SELECT 1")
            #expect(answer == 1)
        }
    }

    @Test("asking for a table finds it, and nothing else")
    func tables() async throws {
        try await withTable { database in
            let found = try await database.read { connection in
                [try connection.hasTable("kept"), try connection.hasTable("nowhere"), try connection.hasTable("k%")]
            }
            #expect(found == [true, false, false])
        }
    }

    @Test("a statement that is only sent is done, and its error is the body's")
    func sending() async throws {
        try await withTable { database in
            try await database.write { try $0.send("INSERT INTO kept (value) VALUES (1)") }
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 1)
            let error = await #expect(throws: SQLError.self) {
                try await database.write { try $0.send("INSERT INTO nowhere VALUES (1)") }
            }
            #expect(error?.code == .failure)
        }
    }

    @Test("a file belongs to one process, in which announcements are heard until the database is closed")
    func announcements() async throws {
        try await withTable { database in
            #expect(database.name == "SQLite")
            #expect(!database.isShared)
            let heard = database.announcements()
            for topic in ["a", "b", "a"] { database.announce(topic) }
            await database.close()
            database.announce("late")
            var topics: [String] = []
            for await topic in heard { topics.append(topic) }
            #expect(topics == ["a", "b", "a"])
            for await _ in database.announcements() { Issue.record("a closed database announces nothing") }
        }
    }

    @Test("a read cannot write")
    func readsOnly() async throws {
        try await withTable { database in
            await #expect(throws: SQLError.self) {
                try await database.read { try $0.execute("INSERT INTO kept (value) VALUES (1)") }
            }
            let count = try await database.integer("SELECT COUNT(*) FROM kept")
            #expect(count == 0)
        }
    }
}
