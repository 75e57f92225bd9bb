// The engine against a real server: what goes in comes out, and failures have the seam's words.

import PostgreSQL
import SQL
import TestSupport
import Testing

@Suite("PostgreSQL engine")
struct PostgreSQLDatabaseTests {
    @Test("it says what it is")
    func name() async throws {
        try await withTable { database, _ in
            #expect(database.name == "PostgreSQL")
            #expect(database.isShared)
        }
    }

    @Test(
        "a text comes back byte for byte",
        arguments: [
            "", " ", "'", "x'); DROP TABLE kept; --", "\"; DELETE FROM kept", "é", "e\u{301}", "😀", "\u{10FFFF}",
            "\r\n",
            "$1", "\\", "\\x00", "\u{FEFF}x", String(repeating: "ä", count: 100_000),
        ])
    func texts(_ text: String) async throws {
        try await withTable(type: "TEXT") { database, _ in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(text))") }
            let row = try await database.read { try $0.row("SELECT value FROM kept WHERE value = \(text)") }
            #expect(try Array(#require(row).text(0).utf8) == Array(text.utf8))
        }
    }

    @Test(
        "a NUL in a text is refused where it would be written, and matches nothing where it is looked for",
        arguments: ["a\u{0}b", "\u{0}"])
    func nul(_ text: String) async throws {
        try await withTable(type: "TEXT") { database, _ in
            let error = await #expect(throws: SQLError.self) {
                try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(text))") }
            }
            #expect(error?.code == .failure)
            #expect(error?.message.contains("NUL") == true)
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES ('x'), (''), ('ab'), ('a b')") }
            let count = try await database.integer("SELECT COUNT(*) FROM kept WHERE value <> \(text)")
            #expect(count == 4)
        }
    }

    @Test(
        "bytes come back as they are, none at all included",
        arguments: [[], [0], [0, 255, 0], Array(0...255)] as [[UInt8]])
    func blobs(_ bytes: [UInt8]) async throws {
        try await withTable(type: "BYTEA") { database, _ in
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(bytes))") }
            let row = try await database.read { try $0.row("SELECT value, octet_length(value) FROM kept") }
            #expect(try #require(row).blob(0) == bytes)
            #expect(try #require(row).integer(1) == Int64(bytes.count))
        }
    }

    @Test("many big values at once come back, and neither side waits for the other", arguments: [1, 12])
    func bigValues(_ count: Int) async throws {
        let bytes = (0..<5 << 20).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 13) }
        try await withTable(type: "BYTEA") { database, _ in
            try await database.write { connection in
                for _ in 0..<count { try connection.send("INSERT INTO kept (value) VALUES (\(bytes))") }
            }
            let rows = try await database.read { try $0.rows("SELECT value FROM kept") }
            #expect(rows.count == count)
            for row in rows { #expect(try row.blob(0) == bytes) }
        }
    }

    @Test("long answers while much is sent do not block")
    func bothWays() async throws {
        try await withTable { database, _ in
            let text = String(repeating: "x", count: 10_000)
            try await database.write { connection in
                // Each statement's answer is as large as the statement.
                for _ in 0..<2_000 { try connection.send("SELECT \(text)") }
                try connection.execute("INSERT INTO kept (value) VALUES (1)")
            }
            let count = try await database.integer("SELECT COUNT(*) FROM kept")
            #expect(count == 1)
        }
    }

    @Test("numbers and null keep their kind", arguments: [Int64.min, -1, 0, 1, Int64.max])
    func numbers(_ number: Int64) async throws {
        try await withTable { database, _ in
            let absent: String? = nil
            let row = try await database.read { try $0.row("SELECT \(number), \(1.5), \(absent), \(true)") }
            #expect(row?.values == [.integer(number), .real(1.5), .null, .integer(1)])
        }
    }

    @Test("every type of column that the schema or a function brings is read")
    func types() async throws {
        try await withTable { database, _ in
            let row = try await database.read { connection in
                try connection.row(
                    """
                    SELECT 7::smallint, -7::integer, 7::bigint, true, 1 > 2, 1.5::real, 2.5::double precision, 'v'::varchar,
                        'n'::name, '\\x00ff'::bytea, NULL::bigint, COUNT(*), SUM(value), 9::oid FROM kept
                    """)
            }
            #expect(
                row?.values == [
                    .integer(7), .integer(-7), .integer(7), .integer(1), .integer(0), .real(1.5), .real(2.5),
                    .text("v"),
                    .text("n"), .blob([0, 255]), .null, .integer(0), .null, .integer(9),
                ])
            let odd = await #expect(throws: SQLError.self) { try await database.read { try $0.row("SELECT now()") } }
            #expect(odd?.code == .unexpectedValue)
        }
    }

    @Test(
        "sums, which the server makes wider, are integers where they fit",
        arguments: [
            ("0", .integer(0)), ("1", .integer(1)), ("-1", .integer(-1)), ("10000", .integer(10_000)),
            ("120000000", .integer(120_000_000)), ("9223372036854775807", .integer(.max)),
            ("-9223372036854775808", .integer(.min)), ("9223372036854775808", .real(9_223_372_036_854_775_808)),
            ("0.5", .real(0.5)), ("-12345.25", .real(-12345.25)), ("1e30", .real(1e30)), ("0.00001", .real(0.00001)),
        ] as [(String, SQLValue)])
    func numerics(_ text: String, _ expected: SQLValue) async throws {
        try await withTable { database, _ in
            let statement = SQLStatement(stringLiteral: "SELECT \(text)::numeric")
            let value = try await database.read { try $0.row(statement)?.values.first }
            if case .real(let expected) = expected {
                guard case .real(let found) = value else { throw NeverHappened("a real for \(text)") }
                #expect(abs(found - expected) <= abs(expected) * 1e-12)
            } else {
                #expect(value == expected)
            }
        }
    }

    @Test("a parameter's type is found wherever it stands, with a value and without")
    func parameterTypes() async throws {
        try await withPlace { place in
            let database = try await place.open()
            try await database.write { connection in
                try connection.script(
                    """
                    CREATE TABLE t (id TEXT PRIMARY KEY, small INTEGER, large BIGINT, text TEXT, bytes BYTEA,
                        flag INTEGER CHECK (flag IN (0, 1)));
                    INSERT INTO t (id, small, large, text) VALUES ('a', 1, 2, 'old');
                    """)
            }
            let values: [(Int?, String?, [UInt8]?)] = [
                (nil, nil, nil), (5, "new", [1]), (nil, nil, nil), (6, nil, [2]),
            ]
            // Several rounds: the statements are prepared on their second use.
            for round in 0..<4 {
                for (number, text, bytes) in values {
                    let id =
                        "row \(round) \(String(describing: number)) \(String(describing: text)) \(bytes?.count ?? 0)"
                    let rows = try await database.write { connection in
                        try connection.execute(
                            """
                            INSERT INTO t (id, small, large, text, bytes, flag)
                            VALUES (\(id), \(number), \(number), \(text), \(bytes), \(true)) ON CONFLICT (id) DO NOTHING
                            """)
                        try connection.execute(
                            """
                            UPDATE t SET small = \(number), text = COALESCE(\(text), text), large = large + \(1)
                            WHERE id = \(id) AND (\(number) IS NULL OR small = \(number))
                            """)
                        return try connection.rows(
                            """
                            SELECT COUNT(*) FROM t WHERE (\(text) IS NULL OR text = \(text)) AND \(text) IS NULL
                                AND id IN \(list: ["a", id]) LIMIT \(1)
                            """)
                    }
                    #expect(try rows[0].integer(0) == (text == nil ? round == 0 && number == nil ? 2 : 2 : 0))
                }
            }
            let copied = try await database.write { connection in
                try connection.execute(
                    "INSERT INTO t (id, small, large, text) SELECT 'copy', 1, \(77), NULL FROM t WHERE id = \("a")")
            }
            #expect(copied == 1)
            #expect(try await database.integer("SELECT large FROM t WHERE id = 'copy'") == 77)
            await database.close()
        }
    }

    @Test("many values are bound in their places, and an empty list matches nothing")
    func lists() async throws {
        try await withTable { database, _ in
            let numbers = (0..<2_000).map { Int64($0) }
            let row = try await database.read { connection in
                try connection.row(
                    "SELECT COUNT(*) FROM (SELECT \(11) AS a) AS t WHERE a IN \(list: numbers) AND \(5) = 5")
            }
            #expect(try row?.integer(0) == 1)
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (1), (NULL)") }
            let rows = try await database.read { try $0.rows("SELECT 1 FROM kept WHERE value IN \(list: [Int]())") }
            #expect(rows.isEmpty)
        }
    }

    @Test("more values than the protocol can count are refused, and the connection goes on")
    func tooManyValues() async throws {
        try await withTable { database, _ in
            let numbers = (0..<65_536).map { Int64($0) }
            let error = await #expect(throws: SQLError.self) {
                try await database.read { try $0.rows("SELECT 1 WHERE 1 IN \(list: numbers)") }
            }
            #expect(error?.code == .failure)
            let most = try await database.read { try $0.rows("SELECT 1 WHERE 1 IN \(list: Array(numbers.dropLast()))") }
            #expect(most.count == 1)
        }
    }

    @Test("more different statements than are kept prepared all work")
    func eviction() async throws {
        try await withTable({ $0.statements = 8 }) { database, _ in
            for round in 0..<3 {
                for number in 0..<40 {
                    let statement: SQLStatement = "SELECT \(number) + \(SQLStatement(stringLiteral: "\(number)"))"
                    for _ in 0..<2 { #expect(try await database.integer(statement) == Int64(2 * number)) }
                }
                try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(round))") }
            }
        }
    }

    @Test("execute says how many rows changed")
    func changes() async throws {
        try await withTable { database, _ in
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

    @Test("the session is what we rely on")
    func session() async throws {
        try await withTable { database, _ in
            let statement: SQLStatement = """
                SELECT current_setting('synchronous_commit'), current_setting('statement_timeout'),
                    current_setting('lock_timeout'), current_setting('client_encoding'), current_setting('application_name'),
                    current_setting('transaction_isolation'), current_setting('transaction_read_only')
                """
            let read = try await database.read { try $0.row(statement)?.values }
            let write = try await database.write { try $0.row(statement)?.values }
            let common: [SQLValue] = [.text("on"), .text("15s"), .text("10s"), .text("UTF8"), .text("postern")]
            #expect(read == common + [.text("repeatable read"), .text("on")])
            #expect(write == common + [.text("read committed"), .text("off")])
        }
    }

    @Test("unique, foreign key, check and not-null violations are constraint errors, and change nothing")
    func constraints() async throws {
        try await withPlace { place in
            let database = try await place.open()
            try await database.write { connection in
                try connection.script(
                    """
                    CREATE TABLE parents (id INTEGER PRIMARY KEY);
                    CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER NOT NULL REFERENCES parents (id),
                        name TEXT UNIQUE, age INTEGER CHECK (age >= 0));
                    INSERT INTO parents VALUES (1);
                    INSERT INTO children VALUES (1, 1, 'secret', 0);
                    """)
            }
            let violations: [SQLStatement] = [
                "INSERT INTO children VALUES (2, 99, 'b', 0)", "INSERT INTO children VALUES (2, 1, 'secret', 0)",
                "INSERT INTO children VALUES (2, 1, 'b', -1)", "INSERT INTO children VALUES (2, NULL, 'b', 0)",
                "INSERT INTO children VALUES (1, 1, 'b', 0)", "DELETE FROM parents",
            ]
            for statement in violations {
                for isSent in [false, true] {
                    let error = await #expect(throws: SQLError.self) {
                        try await database.write { connection in
                            if isSent { try connection.send(statement) } else { try connection.execute(statement) }
                        }
                    }
                    #expect(error?.code == .constraint, "\(statement.text)")
                    #expect(error?.description.contains("secret") == false)
                }
            }
            #expect(try await database.integer("SELECT COUNT(*) FROM children") == 1)
            await database.close()
        }
    }

    @Test("a mistake in SQL is a failure that shows no value, and the engine goes on")
    func mistakes() async throws {
        try await withTable { database, _ in
            let mistakes: [SQLStatement] = [
                "SELEKT 1", "SELECT * FROM nowhere", "INSERT INTO kept (value) VALUES (\("secret")::bigint)",
                "SELECT 1/0",
            ]
            for statement in mistakes {
                let error = await #expect(throws: SQLError.self) {
                    try await database.write { try $0.execute(statement) }
                }
                #expect(error?.code == .failure)
                #expect(error?.description.contains("secret") == false)
                let read = await #expect(throws: SQLError.self) { try await database.read { try $0.rows(statement) } }
                #expect(read?.code == .failure)
            }
            let count = try await database.integer("SELECT 1")
            #expect(count == 1)
        }
    }

    @Test("a read cannot write")
    func readsOnly() async throws {
        try await withTable { database, _ in
            await #expect(throws: SQLError.self) {
                try await database.read { try $0.execute("INSERT INTO kept (value) VALUES (1)") }
            }
            let count = try await database.integer("SELECT COUNT(*) FROM kept")
            #expect(count == 0)
        }
    }

    @Test("asking for a table does no harm to the transaction")
    func tables() async throws {
        try await withTable { database, _ in
            let found = try await database.read { connection in
                [try connection.hasTable("kept"), try connection.hasTable("nowhere"), try connection.hasTable("kept")]
            }
            #expect(found == [true, false, true])
            let also = try await database.write { connection in
                try connection.script("CREATE TABLE fresh (value BIGINT)")
                return [try connection.hasTable("fresh"), try connection.hasTable("nowhere")]
            }
            #expect(also == [true, false])
        }
    }

    @Test("texts compare byte by byte, although the database's own rules are others")
    func collation() async throws {
        try await withTable(type: "TEXT NOT NULL CHECK (value <> 'TEXT')") { database, place in
            let rules = try await place.server.execute(
                "SELECT datlocprovider FROM pg_database WHERE datname = '\(place.name)'")
            try await database.write { connection in
                try connection.execute(
                    "INSERT INTO kept (value) VALUES ('a'), ('B'), ('_'), ('ann@x'), (\("ann\u{10FFFF}")), ('é')")
            }
            let order = try await database.read { connection in
                try connection.rows("SELECT value FROM kept ORDER BY value").map { try $0.text(0) }
            }
            #expect(order == ["B", "_", "a", "ann@x", "ann\u{10FFFF}", "é"])
            let found = try await database.read { connection in
                try connection.rows(
                    "SELECT value FROM kept WHERE value >= \("ann") AND value < \("ann\u{10FFFF}")"
                ).map { try $0.text(0) }
            }
            #expect(found == ["ann@x"])
            #expect(rules == "i" || rules == "c")
        }
    }
}
