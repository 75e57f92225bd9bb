// One accepted submission: all its rows in one commit, and once only for one idempotency key.

import CoreTestSupport
import MIME
import Model
import SQL
import Store
import Testing

@Suite("Acceptance")
struct AcceptanceTests {
    @Test("a message is there with its payload, two events and an outbox entry", arguments: TestEngine.all)
    func rows(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let acceptance = try house.acceptance {
                $0.recipients = ["ann@example.net", "bob@example.net"]
                $0.tags = ["a,b", "ünï"]
                $0.metadata = #"{"order":"7"}"#
                $0.priority = 42
                $0.subject = "Grüße 😀"
            }
            guard case .committed = try await repository.accept(acceptance) else {
                Issue.record("not committed")
                return
            }
            for entry in acceptance.entries {
                let message = try #require(try await repository.find(entry.id, in: house.vault.id))
                #expect(message.recipient == entry.envelope.recipient.description)
                #expect(message.sender == "sales@example.com")
                #expect(message.correlation == acceptance.correlation)
                #expect(message.status == .queued)
                #expect(message.route == .smarthost)
                #expect(message.door == .http)
                #expect(message.callerID == house.caller.identity.id && message.callerLabel == "tests")
                #expect(message.subject == Foreign("Grüße 😀"))
                #expect(message.tags == ["a,b", "ünï"])
                #expect(message.attempts == 0 && message.lastReply == nil && message.sendAt == nil)
                #expect(message.size == acceptance.payload.count)
                #expect(message.createdAt == house.clock.now() && message.updatedAt == house.clock.now())
                #expect(message.deadline == house.clock.now().adding(seconds: 3600))
                let payload = try #require(try await repository.payload(of: entry.id, in: house.vault.id))
                #expect(payload.format == .mime && payload.bytes == acceptance.payload)
                #expect(payload.metadata == #"{"order":"7"}"# && payload.envelopeJSON == "{}")
                let events = try await repository.events(of: entry.id, in: house.vault.id)
                #expect(events.map(\.type) == [.accepted, .queued])
            }
            #expect(try await house.database.count("payloads") == 1)
            #expect(try await house.database.count("outbox") == 2)
            #expect(try await house.database.count("message_events") == 4)
        }
    }

    @Test("a message for later waits, and its timeline says so", arguments: TestEngine.all)
    func scheduled(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let outbox = OutboxRepository(database: house.database, owner: "test")
            let id = try await house.accept { $0.sendAfter = 60 }[0]
            #expect(try await repository.find(id, in: house.vault.id)?.status == .scheduled)
            #expect(try await repository.events(of: id, in: house.vault.id).map(\.type) == [.accepted, .scheduled])
            #expect(try await outbox.nextDue() == house.clock.now().adding(seconds: 60))
            #expect(try await outbox.depth() == (waiting: 1, ready: 0))
        }
    }

    @Test("when one row cannot be written, none is", arguments: TestEngine.all)
    func allOrNone(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let first = try house.acceptance { $0.idempotency = ("k", [1]) }
            _ = try await repository.accept(first)
            // A second submission that ends in an id which is taken: its payload and key must not stay behind.
            let fresh = try house.acceptance {
                $0.recipients = ["new@example.net", "bob@example.net"]
                $0.idempotency = ("other", [2])
            }
            let broken = Acceptance(
                correlation: fresh.correlation, caller: fresh.caller, door: .smtp, payloadID: fresh.payloadID,
                payloadFormat: .mime, payload: fresh.payload,
                entries: [
                    fresh.entries[0],
                    Acceptance.Entry(
                        id: first.entries[0].id, envelope: fresh.entries[1].envelope, envelopeJSON: "{}", route: .shadow
                    ),
                ],
                metadata: nil, sendAt: nil, deadline: fresh.deadline, createdAt: fresh.createdAt,
                eventIDs: fresh.eventIDs)
            let error = await #expect(throws: SQLError.self) {
                try await repository.accept([broken], idempotency: fresh.idempotency)
            }
            #expect(error?.code == .constraint)
            for (table, rows) in [
                ("smtp_relay_logs", 1), ("payloads", 1), ("outbox", 1), ("message_events", 2),
                ("idempotency_keys", 1),
            ] as [(String, Int64)] {
                #expect(try await house.database.count(table) == rows, "\(table)")
            }
        }
    }

    @Test("text with quotes, semicolons and NUL stays text; PostgreSQL refuses the NUL", arguments: TestEngine.all)
    func hostileText(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let withNUL = "'); DROP TABLE smtp_relay_logs; --\u{0}\"$1"
            let hostile = house.database.isShared ? withNUL.replacing("\u{0}", with: "\u{1}") : withNUL
            if house.database.isShared {
                let refused = try house.acceptance { $0.subject = withNUL }
                await #expect(throws: SQLError.self) { try await repository.accept(refused) }
                #expect(try await house.database.count("smtp_relay_logs") == 0)
            }
            let id = try await house.accept {
                $0.subject = hostile
                $0.tags = [hostile, "\n\t"]
                $0.metadata = hostile
            }[0]
            let message = try #require(try await repository.find(id, in: house.vault.id))
            #expect(message.subject?.asData() == hostile)
            #expect(message.tags == [hostile, "\n\t"])
            #expect(try await repository.payload(of: id, in: house.vault.id)?.metadata == hostile)
        }
    }

    @Test(
        "the same key and digest are answered as the first time; another digest is a conflict",
        arguments: TestEngine.all)
    func replayAndConflict(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let first = try house.acceptance { $0.idempotency = ("k", [1]) }
            guard case .committed = try await repository.accept(first) else {
                Issue.record("the first was not committed")
                return
            }
            guard
                case .replayed(let answer) = try await repository.accept(
                    house.acceptance { $0.idempotency = ("k", [1]) })
            else {
                Issue.record("the second was not a replay")
                return
            }
            #expect(answer == first.entries[0].id.text)
            guard case .conflict = try await repository.accept(house.acceptance { $0.idempotency = ("k", [2]) }) else {
                Issue.record("another body was not a conflict")
                return
            }
            #expect(try await house.database.count("smtp_relay_logs") == 1)
            #expect(try await house.database.count("payloads") == 1)

            let now = house.clock.now()
            let earlier = try await repository.earlierAnswer(key: "k", digest: [1], caller: house.caller, at: now)
            guard case .replayed = earlier else {
                Issue.record("the earlier answer is not found")
                return
            }
            guard
                case .conflict = try await repository.earlierAnswer(
                    key: "k", digest: [9], caller: house.caller, at: now)
            else {
                Issue.record("the conflict is not found")
                return
            }
            let unknown = try await repository.earlierAnswer(key: "K", digest: [1], caller: house.caller, at: now)
            if unknown != nil { Issue.record("a key that was never used has an answer") }
        }
    }

    @Test("a key belongs to its caller, and to nobody else", arguments: TestEngine.all)
    func keysPerCaller(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let neighbour = try await house.neighbour().caller
            _ = try await repository.accept(house.acceptance { $0.idempotency = ("k", [1]) })
            let second = try await repository.accept(house.acceptance(by: neighbour) { $0.idempotency = ("k", [2]) })
            guard case .committed = second else {
                Issue.record("the neighbour met a key that is not its own")
                return
            }
        }
    }

    @Test("a key is free again when its time is over, to the millisecond", arguments: TestEngine.all)
    func expiry(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let housekeeping = HousekeepingRepository(database: house.database)
            _ = try await repository.accept(house.acceptance { $0.idempotency = ("k", [1]) })
            house.clock.advance(seconds: 86_399.999)
            guard case .conflict = try await repository.accept(house.acceptance { $0.idempotency = ("k", [2]) }) else {
                Issue.record("the key ended too early")
                return
            }
            #expect(try await housekeeping.dropExpiredKeys(at: house.clock.now(), limit: 10) == 0)
            house.clock.advance(seconds: 0.001)
            let now = house.clock.now()
            let over = try await repository.earlierAnswer(key: "k", digest: [1], caller: house.caller, at: now)
            if over != nil { Issue.record("a key whose time is over has an answer") }
            guard case .committed = try await repository.accept(house.acceptance { $0.idempotency = ("k", [2]) }) else {
                Issue.record("the key did not end")
                return
            }
            guard case .replayed = try await repository.accept(house.acceptance { $0.idempotency = ("k", [2]) }) else {
                Issue.record("the new owner of the key is not remembered")
                return
            }
            house.clock.advance(seconds: 86_400)
            #expect(try await housekeeping.dropExpiredKeys(at: house.clock.now(), limit: 10) == 1)
            #expect(try await house.database.count("idempotency_keys") == 0)
        }
    }

    @Test("of fifty submissions at once with one key exactly one is committed", arguments: TestEngine.all)
    func concurrentKeys(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = MessageRepository(database: house.database)
            let acceptances = try (0..<50).map { index in
                try house.acceptance { $0.idempotency = ("k", index % 10 == 9 ? [2] : [1]) }
            }
            let outcomes = try await withThrowingTaskGroup(of: AcceptanceOutcome.self) { group in
                for acceptance in acceptances { group.addTask { try await repository.accept(acceptance) } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            var committed = 0
            var answers: Set<String> = []
            for outcome in outcomes {
                switch outcome {
                case .committed: committed += 1
                case .replayed(let answer): answers.insert(answer)
                case .conflict: break
                }
            }
            #expect(committed == 1)
            #expect(answers.count == 1)
            #expect(try await house.database.count("smtp_relay_logs") == 1)
            #expect(try await house.database.count("idempotency_keys") == 1)
        }
    }

    @Test("a thousand recipients are one payload and a thousand messages", arguments: TestEngine.all)
    func manyRecipients(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let ids = try await house.accept { sample in
                sample.recipients = (0..<1000).map { "r\($0)@example.net" }
            }
            #expect(Set(ids).count == 1000)
            #expect(try await house.database.count("smtp_relay_logs") == 1000)
            #expect(try await house.database.count("payloads") == 1)
        }
    }
}
