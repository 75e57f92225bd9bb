// Reports of next hops: each fact once, in any order, and never a step backwards.

import CoreTestSupport
import Model
import SQL
import Store
import Testing

@Suite("Reports")
struct ReportTests {
    private func handOver(_ house: TestHouse, owner: String = "a", lease: Double = 300) async throws -> [ClaimedMessage]
    {
        let now = house.clock.now()
        return try await OutboxRepository(database: house.database, owner: owner).claim(
            at: now, lease: now.adding(seconds: lease), limit: 1_000, share: 1_000, inHand: [:]
        ) { _ in .handOver }.leased
    }

    private func confirm(_ house: TestHouse, _ claimed: [ClaimedMessage], owner: String = "a") async throws {
        try await OutboxRepository(database: house.database, owner: owner).handedOver(
            claimed.map { HandOver(message: $0, event: house.event(.relayed, attempt: $0.attempt)) })
    }

    private func report(
        _ house: TestHouse,
        _ id: MessageID,
        handOver: Int = 1,
        deferrals: Int = 0,
        end: (MessageStatus, EventType)? = nil
    ) -> ReportedProgress {
        ReportedProgress(
            message: id, vault: house.vault.id, handOver: handOver, relayed: house.event(.relayed, attempt: handOver),
            attempts: (0..<deferrals).map { index in
                ReportedEvent(event: house.event(.deferred, attempt: index + 1), origin: "\(handOver).\(index + 1)")
            },
            end: end.map { status, type in
                (
                    "\(handOver).end",
                    MessageMove(
                        message: id, vault: house.vault.id, status: status,
                        event: house.event(type, attempt: deferrals + 1), outbox: .remove, reply: Foreign("250 ok"),
                        code: 550, enhancedCode: "5.1.1")
                )
            })
    }

    private func message(_ house: TestHouse, _ id: MessageID) async throws -> Message {
        try #require(try await MessageRepository(database: house.database).find(id, in: house.vault.id))
    }

    private func types(_ house: TestHouse, _ id: MessageID) async throws -> [EventType] {
        try await MessageRepository(database: house.database).events(of: id, in: house.vault.id).map(\.type)
    }

    @Test("a message is queued until the next hop has it, and cannot be cancelled meanwhile", arguments: TestEngine.all)
    func queuedUntilConfirmed(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let id = try await house.accept()[0]
            let claimed = try await handOver(house)
            #expect(claimed.map(\.id) == [id] && claimed[0].attempt == 1)
            #expect(try await message(house, id).status == .queued)
            let cancelled = try #require(
                try await MessageRepository(database: house.database).cancel(
                    id, in: house.vault.id, event: house.event(.cancelled), audit: house.audit(as: "message.cancel")))
            #expect(!cancelled.moved && cancelled.message.status == .queued)
            try await confirm(house, claimed)
            #expect(try await message(house, id).status == .inFlight)
            #expect(try await types(house, id) == [.accepted, .queued, .relayed])
            #expect(try await house.database.count("outbox") == 0)
        }
    }

    @Test("the most urgent is handed over first, whatever the number", arguments: TestEngine.all, [1, 2, 3, 100])
    func order(_ engine: TestEngine, _ count: Int) async throws {
        try await withHouse(engine) { house in
            for index in 0..<count { try await house.accept { $0.priority = index % 7 } }
            let claimed = try await handOver(house)
            #expect(claimed.count == count)
            var priorities: [Int64] = []
            for claim in claimed {
                let row = try await house.database.read {
                    try $0.row("SELECT priority FROM smtp_relay_logs WHERE id = \(claim.id.text)")
                }
                priorities.append(try #require(row).integer(0))
            }
            #expect(priorities == priorities.sorted(by: >))
        }
    }

    @Test("a report that comes three times is one story", arguments: TestEngine.all)
    func repeated(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept()[0]
            try await confirm(house, try await handOver(house))
            #expect(try await repository.record([report(house, id, deferrals: 1)]) == [.recorded])
            let end = report(house, id, deferrals: 2, end: (.delivered, .delivered))
            #expect(
                try await repository.record([end, end, report(house, id, deferrals: 1)]) == [
                    .recorded, .repeated, .repeated,
                ])
            #expect(try await repository.record([end]) == [.repeated])
            #expect(try await types(house, id) == [.accepted, .queued, .relayed, .deferred, .deferred, .delivered])
            #expect(try await message(house, id).status == .delivered)
        }
    }

    @Test(
        "a result that is faster than our own write stands, and the hand-over is told all the same",
        arguments: TestEngine.all)
    func fasterThanUs(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept()[0]
            let claimed = try await handOver(house)
            #expect(try await repository.record([report(house, id, end: (.delivered, .delivered))]) == [.recorded])
            #expect(try await house.database.count("outbox") == 0)
            try await confirm(house, claimed)
            #expect(try await message(house, id).status == .delivered)
            #expect(try await types(house, id) == [.accepted, .queued, .relayed, .delivered])
        }
    }

    @Test("a failure of an earlier hand-over does not end the present one; a delivery does", arguments: TestEngine.all)
    func earlierHandOver(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let ids = try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            _ = try await handOver(house, owner: "dead", lease: 10)
            house.clock.advance(seconds: 11)
            let again = try await handOver(house, owner: "b")
            #expect(again.map(\.attempt) == [2, 2])
            try await confirm(house, again, owner: "b")
            let outcomes = try await repository.record([
                report(house, ids[0], handOver: 1, end: (.bounced, .bounced)),
                report(house, ids[1], handOver: 1, end: (.delivered, .delivered)),
            ])
            #expect(outcomes == [.recorded, .recorded])
            #expect(try await message(house, ids[0]).status == .inFlight)
            #expect(try await message(house, ids[1]).status == .delivered)
            _ = try await repository.record([report(house, ids[0], handOver: 2, end: (.bounced, .bounced))])
            #expect(try await message(house, ids[0]).status == .bounced)
        }
    }

    @Test("an unknown message, and one of another vault, are nobody's", arguments: TestEngine.all)
    func unknown(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept()[0]
            let foreign = ReportedProgress(
                message: id, vault: house.ids.next(), handOver: 1, relayed: house.event(.relayed), attempts: [],
                end: report(house, id, end: (.bounced, .bounced)).end)
            let stranger = report(house, house.ids.next(), end: (.delivered, .delivered))
            #expect(try await repository.record([foreign, stranger]) == [.unknown, .unknown])
            #expect(try await types(house, id) == [.accepted, .queued])
        }
    }

    @Test("what failed waits among the failures, until it is sent again", arguments: TestEngine.all)
    func failures(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept { $0.recipients = ["boom@Example.NET"] }[0]
            try await confirm(house, try await handOver(house))
            _ = try await repository.record([report(house, id, end: (.bounced, .bounced))])
            let row = try #require(
                try await house.database.read {
                    try $0.row("SELECT message_id, code, enhanced_code, domain, reason FROM failures")
                })
            #expect(try row.text(0) == id.text && row.integer(1) == 550 && row.text(2) == "5.1.1")
            #expect(try row.text(3) == "example.net" && row.text(4) == "250 ok")
            let retried = try #require(
                try await repository.retry(
                    id, in: house.vault.id, event: house.event(.retried),
                    deadline: house.clock.now().adding(seconds: 60), audit: house.audit(as: "message.retry")))
            #expect(retried.moved && retried.message.status == .queued)
            #expect(try await house.database.count("failures") == 0)
        }
    }

    @Test("what a deferred hand-over says is kept, and the message tried again", arguments: TestEngine.all)
    func deferred(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let id = try await house.accept { $0.sendAfter = 5 }[0]
            house.clock.advance(seconds: 5)
            let claimed = try #require(try await handOver(house).first)
            #expect(try await message(house, id).status == .queued)
            let moved = try await repository.move([
                MessageMove(
                    message: id, vault: house.vault.id, status: .queued, event: house.event(.deferred, attempt: 1),
                    outbox: .retry(at: house.clock.now().adding(seconds: 10), after: claimed.attempt),
                    reply: Foreign("the broker takes nothing"))
            ])
            #expect(moved == [id])
            #expect(try await handOver(house).isEmpty)
            house.clock.advance(seconds: 10)
            #expect(try await handOver(house).map(\.attempt) == [2])
        }
    }
}
