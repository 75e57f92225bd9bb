// Results from the queues become the story of their message, and nothing is acknowledged that is not written down.

import AMQP
import CoreTestSupport
import Events
import JSON
import Logging
import MailerQ
import Model
import SQL
import Store
import Testing

@Suite("Result handler")
struct ResultHandlerTests {
    private static let bounce = """
        {"state":"rcptto","result":"error","time":"2026-11-20 18:04:05","mta":"mx.example.net","from":"10.0.0.1",\
        "to":"192.0.2.7","code":550,"status":"5.1.1","description":"<b>no such user</b>"}
        """
    private static let greylist = """
        {"state":"rcptto","result":"error","time":"2026-11-20 18:00:00","code":451,"status":"4.7.1",\
        "description":"come back later"}
        """
    private static let accepted = """
        {"state":"message","result":"accepted","time":"2026-11-20 18:09:09","mta":"mx.example.net","code":250,\
        "status":"2.0.0","description":"queued as 42"}
        """

    private func handler(
        _ house: TestHouse,
        _ queue: MailerQResultQueue,
        on database: (any SQLDatabase)? = nil
    ) -> ResultHandler {
        ResultHandler(
            queue: queue, database: database ?? house.database, clock: house.clock, ids: house.ids, logger: silent)
    }

    private let silent = Logger(label: "silent") { _ in SwiftLogNoOpLogHandler() }

    /// A message that was handed over, as the dispatcher and the ledger do it.
    private func relayed(_ house: TestHouse) async throws -> MessageID {
        let id = try await house.accept { $0.route = .mailerq }[0]
        let outbox = OutboxRepository(database: house.database, owner: "test")
        let now = house.clock.now()
        let claimed = try await outbox.claim(
            at: now, lease: now.adding(seconds: 300), limit: 10, share: 10, inHand: [:]
        ) { _ in .handOver }
        try await outbox.handedOver(
            claimed.leased.map { HandOver(message: $0, event: house.event(.relayed, attempt: $0.attempt)) })
        return id
    }

    private func result(
        _ house: TestHouse,
        _ id: MessageID,
        handover: Int = 1,
        _ attempts: [String],
        extra: String = ""
    ) -> AMQPDelivery {
        let reference = """
            "postern":{"message":"\(id.text)","vault":"\(house.vault.id.text)","correlation":"cor_x","handover":\(handover)}
            """
        let text = """
            {"recipient":"ann@example.net","envelope":"sales@example.com",\(reference)\(extra),\
            "results":[\(attempts.joined(separator: ","))]}
            """
        return AMQPDelivery(queue: "q", body: Array(text.utf8))
    }

    private func story(_ house: TestHouse, _ id: MessageID) async throws -> [EventType] {
        try await MessageRepository(database: house.database).events(of: id, in: house.vault.id).map(\.type)
    }

    private func status(_ house: TestHouse, _ id: MessageID) async throws -> MessageStatus? {
        try await MessageRepository(database: house.database).find(id, in: house.vault.id)?.status
    }

    @Test("a bounce ends its message, with everything that the other server said", arguments: TestEngine.all)
    func bounce(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let id = try await relayed(house)
            let answer = await handler(house, .failure).handle([result(house, id, [Self.greylist, Self.bounce])])
            #expect(answer == [.ack])
            #expect(try await status(house, id) == .bounced)
            #expect(try await story(house, id) == [.accepted, .queued, .relayed, .deferred, .bounced])
            let events = try await MessageRepository(database: house.database).events(of: id, in: house.vault.id)
            let last = try #require(events.last)
            #expect(last.attempt == 2 && last.route == .mailerq)
            let text = try #require(last.detail).asData()
            let detail = try #require(try JSONParser.parse(text).objectValue)
            #expect(detail["code"] == .integer(550) && detail["enhanced_code"] == .string("5.1.1"))
            #expect(detail["reply"] == .string("<b>no such user</b>") && detail["peer"] == .string("mx.example.net"))
            #expect(detail["remote_ip"] == .string("192.0.2.7") && detail["stage"] == .string("rcptto"))
            #expect(detail["attempted_at"] == .string("2026-11-20T18:04:05.000Z"))
            #expect(try await house.database.count("failures", where: "code = 550") == 1)
        }
    }

    @Test("retry, success and a copy of each are one story", arguments: TestEngine.all)
    func duplicates(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let id = try await relayed(house)
            let retry = result(house, id, [Self.greylist], extra: #","nextattempt":{"time":"2026-11-20 18:10:00"}"#)
            #expect(await handler(house, .retry).handle([retry, retry]) == [.ack, .ack])
            #expect(try await status(house, id) == .inFlight)
            let success = result(house, id, [Self.greylist, Self.accepted])
            #expect(await handler(house, .success).handle([success, success]) == [.ack, .ack])
            #expect(await handler(house, .retry).handle([retry]) == [.ack])
            #expect(try await status(house, id) == .delivered)
            #expect(try await story(house, id) == [.accepted, .queued, .relayed, .deferred, .delivered])
        }
    }

    @Test("a failure that comes after the delivery changes nothing, and is told")
    func neverBackwards() async throws {
        try await withHouse { house in
            let id = try await relayed(house)
            _ = await handler(house, .success).handle([result(house, id, [Self.accepted])])
            _ = await handler(house, .failure).handle([result(house, id, [Self.bounce])])
            #expect(try await status(house, id) == .delivered)
        }
    }

    @Test("results of nobody are kept as orphans, without the recipient's name in front", arguments: TestEngine.all)
    func orphans(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let unknown = result(house, house.ids.next(), [Self.bounce])
            let foreign = AMQPDelivery(
                queue: "q", body: Array(#"{"recipient":"eve@example.org","results":[\#(Self.bounce)]}"#.utf8))
            let answer = await handler(house, .failure).handle([unknown, foreign])
            #expect(answer == [.ack, .ack])
            let rows = try await house.database.read {
                try $0.rows("SELECT reference, recipient_domain, code, reason FROM orphan_results ORDER BY id")
            }
            #expect(rows.count == 2)
            #expect(try rows.map { try $0.text(1) }.sorted() == ["example.net", "example.org"])
            #expect(try rows.allSatisfy { try $0.integer(2) == 550 })
            #expect(try rows.compactMap { try $0.optionalText(0) }.count == 1)
        }
    }

    @Test("what nobody can read goes to the dead letters, and the rest is done")
    func unreadable() async throws {
        try await withHouse { house in
            let id = try await relayed(house)
            let garbage = ["", "not json", "[1,2]", "{}", "\u{0}"].map {
                AMQPDelivery(queue: "q", body: Array($0.utf8))
            }
            let damaged = AMQPDelivery(queue: "q", body: Array("{}".utf8), isDamaged: true)
            let answer = await handler(house, .success).handle(
                garbage + [damaged, result(house, id, [Self.accepted])])
            #expect(answer.dropLast().allSatisfy { $0 == .reject })
            #expect(answer.last == .ack)
            #expect(try await status(house, id) == .delivered)
        }
    }

    @Test("a database that fails at first is asked again before anything is acknowledged")
    func databaseFails() async throws {
        try await withHouse { house in
            let id = try await relayed(house)
            let scripted = ScriptedDatabase(house.database)
            scripted.failNextWrites([SQLError(.unavailable, "away"), SQLError(.unavailable, "still away")])
            let answer = await handler(house, .success, on: scripted).handle([result(house, id, [Self.accepted])])
            #expect(answer == [.ack])
            #expect(scripted.writeCount == 3)
            #expect(try await status(house, id) == .delivered)
        }
    }

    @Test("what is stopped while the database is away goes back to its queue")
    func stopped() async throws {
        try await withHouse { house in
            let id = try await relayed(house)
            let scripted = ScriptedDatabase(house.database)
            scripted.failNextWrites(Array(repeating: SQLError(.unavailable, "away"), count: 1_000))
            let work = Task {
                await handler(house, .success, on: scripted).handle([result(house, id, [Self.accepted])])
            }
            while scripted.writeCount == 0 { await Task.yield() }
            work.cancel()
            #expect(await work.value == [.requeue])
            #expect(try await status(house, id) == .inFlight)
        }
    }
}
