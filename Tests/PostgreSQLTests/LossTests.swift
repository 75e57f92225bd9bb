// The server goes away and comes back: calls end in time and say so, nothing is told as done that is not, and no restart is needed.

import PostgreSQL
import SQL
import TestSupport
import Testing

@Suite("PostgreSQL losses")
struct LossTests {
    @Test("a connection that was ended while nobody used it is replaced without anyone noticing")
    func idleConnections() async throws {
        try await withTable { database, place in
            for round in 0..<5 {
                _ = try await database.integer("SELECT 1")
                try await place.terminateAll()
                try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(round))") }
                #expect(try await database.integer("SELECT COUNT(*) FROM kept") == Int64(round + 1))
            }
        }
    }

    @Test("a write that is cut off before its commit is done again, once")
    func cutOff() async throws {
        try await withTable { database, place in
            let runs = Counter()
            let held = Held()
            async let write: Void = database.write { connection in
                try connection.execute("INSERT INTO kept (value) VALUES (1)")
                if runs.increment() == 1 { held.wait() }
                try connection.execute("INSERT INTO kept (value) VALUES (2)")
            }
            try await held.untilEntered()
            try await place.terminateAll()
            held.release()
            try await write
            #expect(runs.value == 2)
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 2)
        }
    }

    @Test("a commit whose answer is lost is not told as a success")
    func lostCommit() async throws {
        try await withTable { database, place in
            // The commit waits: a deferred trigger sleeps in it, and the connection is ended meanwhile.
            try await place.server.execute(
                """
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(20); RETURN NULL; END';
                CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON kept DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
                    EXECUTE FUNCTION slow()
                """, in: place.name)
            let write = Task { try await database.write { try $0.send("INSERT INTO kept (value) VALUES (1)") } }
            try await eventually("the commit is on its way") {
                try await place.server.execute(
                    """
                    SELECT 1 FROM pg_stat_activity WHERE datname = '\(place.name)' AND query = 'COMMIT' AND state = 'active'
                    """) != nil
            }
            try await place.terminateAll()
            let error = await #expect(throws: SQLError.self) { try await write.value }
            #expect(error?.code == .unavailable)
            #expect(error?.message.contains("outcome is not known") == true)
        }
    }

    @Test("a statement that takes too long, or waits too long for a lock, is unavailable")
    func timeouts() async throws {
        try await withTable({
            $0.statementTimeout = 0.3
            $0.lockTimeout = 0.15
        }) { database, place in
            let slow = await #expect(throws: SQLError.self) { try await database.integer("SELECT 1 FROM pg_sleep(10)") }
            #expect(slow?.code == .unavailable)
            try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (1)") }
            let other = try await place.open()
            let held = Held()
            async let holding: Void = other.write { connection in
                try connection.execute("UPDATE kept SET value = 2")
                held.wait()
            }
            try await held.untilEntered()
            let locked = await #expect(throws: SQLError.self) {
                try await database.write { try $0.execute("UPDATE kept SET value = 3") }
            }
            #expect(locked?.code == .unavailable)
            held.release()
            try await holding
            await other.close()
        }
    }

    @Test("a server that stops and starts: unavailable meanwhile, then all is as before", arguments: [false, true])
    func restart(_ isSudden: Bool) async throws {
        let server = try await TemporaryPostgreSQL.start()
        let name = try await server.makeDatabase()
        let database = try await open(server.url(name), limits: limits { $0.longestPause = 0.2 })
        try await database.write { try $0.script("CREATE TABLE kept (value BIGINT)") }
        _ = try await database.integer("SELECT COUNT(*) FROM kept")
        if isSudden { try await server.kill() } else { try await server.stop() }
        let started = ContinuousClock.now
        for _ in 0..<20 {
            let write = await #expect(throws: SQLError.self) {
                try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (1)") }
            }
            #expect(write?.code == .unavailable)
            let read = await #expect(throws: SQLError.self) { try await database.integer("SELECT 1") }
            #expect(read?.code == .unavailable)
        }
        #expect(ContinuousClock.now - started < .seconds(10))
        try await server.start()
        try await eventually("writing works again") {
            (try? await database.write { try $0.execute("INSERT INTO kept (value) VALUES (2)") }) == 1
        }
        try await eventually("reading works again") {
            (try? await database.integer("SELECT COUNT(*) FROM kept WHERE value = 2")) == 1
        }
        await database.close()
    }

    @Test("killed and started again under load: whatever was answered with yes is there, once")
    func ledger() async throws {
        let server = try await TemporaryPostgreSQL.start()
        let name = try await server.makeDatabase()
        let database = try await open(server.url(name), limits: limits { $0.longestPause = 0.2 })
        try await database.write { try $0.script("CREATE TABLE kept (value BIGINT PRIMARY KEY)") }
        let numbers = Counter()
        let stopping = Counter()
        let yes = try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<16 {
                group.addTask {
                    var yes: [Int] = []
                    while stopping.value == 0 {
                        let number = numbers.increment()
                        do {
                            try await database.write { try $0.send("INSERT INTO kept (value) VALUES (\(number))") }
                            yes.append(number)
                        } catch {
                            #expect((error as? SQLError)?.code == .unavailable, "\(error)")
                            try await Task.sleep(for: .milliseconds(20))
                        }
                    }
                    return yes
                }
            }
            for _ in 0..<3 {
                let before = numbers.value
                try await eventually("work is done") { numbers.value > before + 500 }
                try await server.kill()
                try await server.start()
            }
            try await eventually("it works again") {
                (try? await database.integer("SELECT COUNT(*) FROM kept")) != nil
            }
            stopping.increment()
            return try await group.reduce(into: []) { $0 += $1 }
        }
        let kept = try await database.read { connection in
            try connection.rows("SELECT value FROM kept").map { Int(try $0.integer(0)) }
        }
        #expect(yes.count > 1000)
        #expect(Set(yes).subtracting(kept).isEmpty)
        await database.close()
    }

    @Test("a prepared statement whose table was changed by another process is prepared again")
    func changedTable() async throws {
        try await withTable { database, place in
            for _ in 0..<3 { _ = try await database.read { try $0.rows("SELECT * FROM kept") } }
            try await place.server.execute("ALTER TABLE kept ADD COLUMN more BIGINT", in: place.name)
            try await database.write { try $0.execute("INSERT INTO kept VALUES (1, 2)") }
            let row = try await database.read { try $0.row("SELECT * FROM kept") }
            #expect(row?.values == [.integer(1), .integer(2)])
        }
    }

    @Test("a server without a connection to spare: the connections that there are do the work")
    func fullServer() async throws {
        try await withPlace { place in
            try await place.server.execute("CREATE ROLE \(place.name) LOGIN CONNECTION LIMIT 3")
            try await place.server.execute("GRANT ALL ON SCHEMA public TO \(place.name)", in: place.name)
            let database = try await open(
                place.server.url(place.name).replacing("postgres@", with: "\(place.name)@"),
                limits: limits {
                    $0.writers = 2
                    $0.readers = 4
                    $0.longestPause = 0.2
                })
            try await database.write { try $0.script("CREATE TABLE kept (value BIGINT)") }
            _ = try await database.integer("SELECT 1")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 0..<100 {
                    group.addTask {
                        try await database.write { try $0.execute("INSERT INTO kept (value) VALUES (\(number))") }
                        _ = try await database.integer("SELECT COUNT(*) FROM kept")
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await database.integer("SELECT COUNT(*) FROM kept") == 100)
            await database.close()
            try await place.server.execute("DROP OWNED BY \(place.name)", in: place.name)
            try await place.server.execute("DROP ROLE \(place.name)")
        }
    }
}
