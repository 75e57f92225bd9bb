// Deleting what ended long ago: all of it, with what hangs on it, and nothing else.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Retention")
struct RetentionTests {
    private func end(_ house: TestHouse, _ ids: [MessageID], as status: MessageStatus = .delivered) async throws {
        try await house.database.write { connection in
            for id in ids {
                try connection.execute(
                    """
                    UPDATE smtp_relay_logs SET status = \(status.rawValue), updated_at = \(house.clock.now().milliseconds)
                    WHERE id = \(id.text)
                    """)
                try connection.execute("DELETE FROM outbox WHERE message_id = \(id.text)")
            }
        }
    }

    private func drop(_ house: TestHouse, in vault: VaultID? = nil, limit: Int = 100) async throws -> Int {
        try await HousekeepingRepository(database: house.database).dropEnded(
            before: house.clock.now(), limit: limit, in: vault ?? house.vault.id)
    }

    private func rows(_ house: TestHouse) async throws -> [Int64] {
        var counts: [Int64] = []
        for table in ["smtp_relay_logs", "message_events", "payloads", "outbox", "failures"] {
            counts.append(try await house.database.count(table))
        }
        return counts
    }

    static let ended: [MessageStatus] = [.delivered, .bounced, .failed, .expired, .captured, .cancelled]

    @Test("every status but the open ones is an end", arguments: TestEngine.all)
    func statuses(_ engine: TestEngine) async throws {
        #expect(Set(Self.ended + [.scheduled, .queued, .inFlight]) == Set(MessageStatus.allCases))
        try await withHouse(engine) { house in
            for status in MessageStatus.allCases { try await end(house, try await house.accept(), as: status) }
            house.clock.advance(seconds: 1)
            #expect(try await drop(house) == Self.ended.count)
            #expect(try await house.database.count("smtp_relay_logs") == 3)
            #expect(
                try await house.database.count(
                    "smtp_relay_logs", where: "status IN ('scheduled', 'queued', 'in_flight')")
                    == 3)
        }
    }

    @Test(
        "the message goes with its events, its failure and its content; a younger one and a neighbour's stay",
        arguments: TestEngine.all)
    func everything(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let neighbour = try await house.neighbour()
            let old = try await house.accept()[0]
            let theirs = try await house.accept(by: neighbour.caller)
            try await MessageRepository(database: house.database).move([
                MessageMove(
                    message: old, vault: house.vault.id, status: .bounced, event: house.event(.bounced),
                    outbox: .remove)
            ])
            try await end(house, theirs)
            #expect(try await house.database.count("failures") == 1)
            house.clock.advance(seconds: 10)
            let young = try await house.accept()
            try await end(house, young)
            #expect(try await drop(house) == 1)
            // Each of the others: itself, its two events, its content.
            #expect(try await rows(house) == [2, 4, 2, 0, 0])
            #expect(try await MessageRepository(database: house.database).find(old, in: house.vault.id)?.id == nil)
            #expect(try await drop(house) == 0)
            #expect(try await drop(house, in: neighbour.vault.id) == 1)
            house.clock.advance(seconds: 1)
            #expect(try await drop(house) == 1)
            #expect(try await rows(house) == [0, 0, 0, 0, 0])
        }
    }

    @Test("content that several messages share goes with the last of them", arguments: TestEngine.all)
    func sharedPayload(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let ids = try await house.accept { $0.recipients = (0..<3).map { "r\($0)@example.net" } }
            try await end(house, Array(ids[..<2]))
            house.clock.advance(seconds: 1)
            #expect(try await drop(house) == 2)
            #expect(try await rows(house) == [1, 2, 1, 1, 0])
            try await end(house, [ids[2]])
            house.clock.advance(seconds: 1)
            #expect(try await drop(house) == 1)
            #expect(try await rows(house) == [0, 0, 0, 0, 0])
        }
    }

    @Test("a batch takes the oldest, and the next one goes on", arguments: TestEngine.all)
    func batches(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            var ids: [MessageID] = []
            for _ in 0..<7 { ids += try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] } }
            for id in ids.reversed() {
                try await end(house, [id])
                house.clock.advance(seconds: 1)
            }
            #expect(try await drop(house, limit: 5) == 5)
            #expect(try await MessageRepository(database: house.database).find(ids[13], in: house.vault.id)?.id == nil)
            #expect(
                try await MessageRepository(database: house.database).find(ids[8], in: house.vault.id)?.id == ids[8])
            #expect(try await drop(house, limit: 5) == 5)
            #expect(try await drop(house, limit: 5) == 4)
            #expect(try await drop(house, limit: 5) == 0)
            #expect(try await rows(house) == [0, 0, 0, 0, 0])
        }
    }

    @Test("what is deleted is found along an index, and so is all that hangs on it")
    func plans() async throws {
        try await withHouse(.sqlite) { house in
            try await end(house, try await house.accept())
            house.clock.advance(seconds: 1)
            let recorder = StatementRecorder(house.database)
            _ = try await HousekeepingRepository(database: recorder).dropEnded(
                before: house.clock.now(), limit: 10, in: house.vault.id)
            let statements = recorder.take()
            #expect(statements.count >= 6)
            for statement in statements {
                let explained: SQLStatement = "EXPLAIN QUERY PLAN \(statement)"
                let plan = try await house.database.read { connection in
                    try connection.rows(explained).map { try $0.text(3) }.joined(separator: "; ")
                }
                #expect(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "\(plan): \(statement.text)")
            }
            #expect(statements.first.map { $0.text.contains("ORDER BY updated_at") } == true)
        }
    }
}
