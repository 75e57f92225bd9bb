// What became of an attempt is written down: once, in one commit, and even when the database fails at first.

import CoreTestSupport
import Delivery
import JSON
import Model
import SQL
import Store
import TestSupport
import Testing

@Suite("Outcome ledger")
struct OutcomeLedgerTests {
    private func ledger(_ house: TestHouse, on database: (any SQLDatabase)? = nil) -> OutcomeLedger {
        OutcomeLedger(
            database: database ?? house.database, owner: "test", retry: RetrySchedule(initial: 10, maximum: 100),
            clock: house.clock,
            ids: house.ids, logger: silent)
    }

    @Test(
        "each final result ends the message with its event, the reply, and no outbox entry",
        arguments: [
            (RouteOutcome.Result.delivered, MessageStatus.delivered, EventType.delivered),
            (.bounced, .bounced, .bounced),
            (.failed, .failed, .failed),
        ])
    func endings(_ result: RouteOutcome.Result, _ status: MessageStatus, _ type: EventType) async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try #require(try await house.claimAll().first)
            house.clock.advance(seconds: 2)
            await ledger(house).record([
                RouteOutcome(message: claimed, result: result, reply: Foreign("550 <no> \"such\" user"))
            ])
            let message = try #require(
                try await MessageRepository(database: house.database).find(claimed.id, in: house.vault.id))
            #expect(message.status == status && message.updatedAt == house.clock.now())
            #expect(message.lastReply?.asData() == "550 <no> \"such\" user")
            let event = try #require(try await house.events(claimed.id).last)
            #expect(event.type == type && event.attempt == 1 && event.at == house.clock.now())
            #expect(event.route == .smarthost)
            let detail = try JSONParser.parse(try #require(event.detail).asData()).objectValue
            #expect(detail?["reason"] == .string("550 <no> \"such\" user"))
            #expect(try await house.database.count("outbox") == 0)
        }
    }

    @Test("a deferral says when the next attempt is, and that is when it comes")
    func deferral() async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try #require(try await house.claimAll().first)
            await ledger(house).record([
                RouteOutcome(
                    message: claimed, result: .deferred, reply: Foreign("451 later"), detail: Foreign(#"{"peer":"mx"}"#)
                )
            ])
            #expect(try await house.status(claimed.id) == .queued)
            let event = try #require(try await house.events(claimed.id).last)
            #expect(event.type == .deferred)
            let text = try #require(event.detail?.asData())
            let detail = try #require(try JSONParser.parse(text).objectValue)
            #expect(detail["peer"] == .string("mx"))
            let next = try #require(Timestamp(detail["next_attempt_at"]?.stringValue ?? ""))
            #expect(try await OutboxRepository(database: house.database, owner: "a").nextDue() == next)
            #expect(next >= house.clock.now().adding(seconds: 9) && next <= house.clock.now().adding(seconds: 11))
        }
    }

    @Test("when the next attempt would come after the deadline, the message has expired")
    func deadline() async throws {
        try await withHouse { house in
            try await house.accept { $0.lifetime = 8 }
            let claimed = try #require(try await house.claimAll().first)
            await ledger(house).record([RouteOutcome(message: claimed, result: .deferred, reply: Foreign("451 later"))])
            #expect(try await house.status(claimed.id) == .expired)
            #expect(try await house.events(claimed.id).last?.type == .expired)
            #expect(try await house.database.count("outbox") == 0)
        }
    }

    @Test(
        "a detail that is no JSON object is replaced and not stored", arguments: ["", "[]", "{", "not json", "\u{0}"])
    func malformedDetail(_ detail: String) async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try #require(try await house.claimAll().first)
            await ledger(house).record([
                RouteOutcome(message: claimed, result: .delivered, reply: Foreign("250 ok"), detail: Foreign(detail))
            ])
            let event = try #require(try await house.events(claimed.id).last)
            #expect(event.detail?.asData() == #"{"reason":"250 ok"}"#)
        }
    }

    @Test("the outcomes of one call are one write")
    func oneWrite() async throws {
        try await withHouse { house in
            let ids = try await house.accept { $0.recipients = (0..<20).map { "r\($0)@example.net" } }
            let claimed = try await house.claimAll()
            let scripted = ScriptedDatabase(house.database)
            await ledger(house, on: scripted).record(claimed.map { RouteOutcome(message: $0, result: .delivered) })
            #expect(scripted.writeCount == 1)
            for id in ids { #expect(try await house.status(id) == .delivered) }
        }
    }

    @Test("a database that fails first is asked until it takes the outcome")
    func failingDatabase() async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try #require(try await house.claimAll().first)
            let scripted = ScriptedDatabase(house.database)
            scripted.failNextWrites([
                SQLError(.storage, "disk full"), SQLError(.overloaded, "too many"), SQLError(.unavailable, "busy"),
            ])
            await ledger(house, on: scripted).record([RouteOutcome(message: claimed, result: .delivered)])
            #expect(scripted.writeCount == 4)
            #expect(try await house.status(claimed.id) == .delivered)
            #expect(try await house.events(claimed.id).count { $0.type == .delivered } == 1)
        }
    }

    @Test("at a shutdown an outcome is tried once more and then left to the lease")
    func shutdown() async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try #require(try await house.claimAll(lease: 60).first)
            let scripted = ScriptedDatabase(house.database)
            scripted.failNextWrites(Array(repeating: SQLError(.unavailable, "busy"), count: 1_000))
            let ledger = ledger(house, on: scripted)
            let recording = Task { await ledger.record([RouteOutcome(message: claimed, result: .deferred)]) }
            try await eventually("the first try") { scripted.writeCount > 0 }
            recording.cancel()
            await recording.value
            #expect(try await house.status(claimed.id) == .inFlight)
            house.clock.advance(seconds: 61)
            #expect(try await house.claimAll(owner: "next").map(\.id) == [claimed.id])
        }
    }

    @Test("an outcome that comes after the end changes nothing")
    func lateOutcome() async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try #require(try await house.claimAll().first)
            let ledger = ledger(house)
            await ledger.record([RouteOutcome(message: claimed, result: .bounced)])
            let before = try await house.events(claimed.id).map(\.id)
            for result in [.delivered, .deferred, .failed, .bounced] as [RouteOutcome.Result] {
                await ledger.record([RouteOutcome(message: claimed, result: result)])
            }
            #expect(try await house.status(claimed.id) == .bounced)
            #expect(try await house.events(claimed.id).map(\.id) == before)
        }
    }
}
