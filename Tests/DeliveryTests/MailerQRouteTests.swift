// What the broker says of each message, and what that means for it.

import AMQP
import CoreTestSupport
import Delivery
import JSON
import Model
import SQL
import Store
import Synchronization
import Testing

@Suite("MailerQ route")
struct MailerQRouteTests {
    private func route(
        _ publisher: ScriptedPublisher,
        _ database: any SQLDatabase,
        clock: any WallClock = SystemClock(),
        _ change: (inout MailerQRoute.Configuration) -> Void = { _ in }
    ) -> MailerQRoute {
        var configuration = MailerQRoute.Configuration(exchange: "", routingKey: "outbox")
        change(&configuration)
        return MailerQRoute(
            configuration: configuration, publisher: publisher, database: database, mapping: .init(.canonical),
            clock: clock)
    }

    private func document(_ message: AMQPMessage) throws -> JSONObject {
        try #require(try JSONParser.parse(message.body).objectValue)
    }

    @Test("what the broker confirms is handed over: one document a recipient, with ids and priority on the outside too")
    func confirmed() async throws {
        try await withHouse { house in
            try await house.accept { sample in
                sample.recipients = ["a@example.net", "b@example.net"]
                sample.priority = 300
            }
            let claimed = try await house.claimAll()
            let publisher = ScriptedPublisher()
            let outcomes = await route(publisher, house.database) { $0.exchange = "mail" }.deliver(claimed)
            #expect(outcomes.map(\.message.id) == claimed.map(\.id), "one outcome a message, in order")
            #expect(outcomes.map(\.result) == [.handedOver, .handedOver])
            #expect(publisher.calls.count == 1)
            for (message, sent) in zip(claimed, publisher.published) {
                #expect(sent.exchange == "mail" && sent.routingKey == "outbox")
                #expect(sent.contentType == "application/json" && sent.contentEncoding == nil)
                #expect(sent.messageID == message.id.text)
                #expect(sent.priority == 255)
                let document = try document(sent)
                #expect(document["recipient"] == .string(message.recipient))
                let reference = document["postern"]?.objectValue
                #expect(reference?["message"] == .string(message.id.text))
                #expect(reference?["handover"] == .integer(Int64(message.attempt)))
                #expect(reference?["correlation"]?.stringValue == sent.correlationID)
            }
        }
    }

    @Test(
        "what the broker got and did not confirm is worth another try, and says why",
        arguments: [
            (
                AMQPPublishOutcome.returned(code: 312, text: "NO_ROUTE"),
                "no queue takes messages for the queue \"outbox\"", false
            ),
            (.refused("404 no exchange"), "404 no exchange", false),
            (.inDoubt("connection lost"), "connection lost", true),
        ])
    func deferred(_ answer: AMQPPublishOutcome, _ words: String, _ isAmbiguous: Bool) async throws {
        try await withHouse { house in
            try await house.accept()
            let outcomes = await route(ScriptedPublisher { _ in answer }, house.database).deliver(
                try await house.claimAll())
            let outcome = try #require(outcomes.first)
            #expect(outcome.result == .deferred)
            #expect(outcome.reply?.asData().contains(words) == true)
            let detail = try JSONParser.parse(try #require(outcome.detail).asData()).objectValue
            #expect(detail?["reason"]?.stringValue == outcome.reply?.asData())
            #expect(detail?["routing_key"] == .string("outbox"))
            #expect(detail?["ambiguous"] == (isAmbiguous ? .bool(true) : nil))
        }
    }

    @Test("each message of a batch has its own fate, and one that never left was not tried")
    func mixed() async throws {
        try await withHouse { house in
            for name in ["a", "b", "c"] { try await house.accept { $0.recipients = ["\(name)@example.net"] } }
            let claimed = try await house.claimAll()
            let unlucky = claimed[1].id.text
            let publisher = ScriptedPublisher { $0.messageID == unlucky ? .unavailable("full") : .confirmed }
            let outcomes = await route(publisher, house.database).deliver(claimed)
            #expect(outcomes.map(\.message.id) == claimed.map(\.id))
            #expect(outcomes.map(\.result) == [.handedOver, .notTried, .handedOver])
        }
    }

    @Test("the route takes messages as long as the broker does", arguments: [true, false])
    func availability(_ isAvailable: Bool) async throws {
        try await withHouse { house in
            let route = route(ScriptedPublisher(isAvailable: isAvailable), house.database)
            #expect(route.isAvailable == isAvailable)
            #expect(route.kind == .handsOver)
        }
    }

    @Test("a publisher that answers for fewer messages than it was given leaves the others in doubt")
    func fewerAnswers() async throws {
        struct Terse: MailerQPublishing {
            var isAvailable: Bool { true }
            func publish(_ messages: [AMQPMessage]) async -> [AMQPPublishOutcome] { [.confirmed] }
        }
        try await withHouse { house in
            try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            let route = MailerQRoute(
                configuration: .init(exchange: "", routingKey: "outbox"), publisher: Terse(), database: house.database,
                mapping: .init(.canonical), clock: house.clock)
            #expect(await route.deliver(try await house.claimAll()).map(\.result) == [.handedOver, .deferred])
        }
    }

    @Test("an exchange that is not there leaves the messages in the outbox, and is tried again now and then")
    func breaker() async throws {
        try await withHouse { house in
            try await house.accept()
            let claimed = try await house.claimAll()
            let publisher = Mended()
            let route = MailerQRoute(
                configuration: .init(exchange: "gone", routingKey: "outbox"), publisher: publisher,
                database: house.database, mapping: .init(.canonical), clock: house.clock)
            for _ in 0..<5 {
                #expect(route.isAvailable)
                #expect(await route.deliver(claimed).map(\.result) == [.deferred])
            }
            #expect(!route.isAvailable)
            #expect(await route.deliver(claimed).map(\.result) == [.notTried])
            house.clock.advance(seconds: 1)
            #expect(route.isAvailable)
            #expect(await route.deliver(claimed).map(\.result) == [.deferred])
            #expect(!route.isAvailable)
            publisher.mend()
            house.clock.advance(seconds: 2)
            #expect(await route.deliver(claimed).map(\.result) == [.handedOver])
            #expect(route.isAvailable)
        }
    }

    /// Refuses everything until it is mended.
    private final class Mended: MailerQPublishing {
        private let isMended = Mutex(false)
        var isAvailable: Bool { true }
        func mend() { isMended.withLock { $0 = true } }
        func publish(_ messages: [AMQPMessage]) async -> [AMQPPublishOutcome] {
            let isMended = isMended.withLock { $0 }
            return messages.map { _ in isMended ? .confirmed : .refused("404 NOT_FOUND") }
        }
    }

    @Test("a message whose body is gone fails, and the others go")
    func bodyGone() async throws {
        try await withHouse { house in
            let gone = try await house.accept()[0]
            let there = try await house.accept()[0]
            let claimed = try await house.claimAll()
            try await house.database.write { connection in
                try connection.execute("DELETE FROM message_events WHERE message_id = \(gone.text)")
                try connection.execute("DELETE FROM outbox WHERE message_id = \(gone.text)")
                try connection.execute("DELETE FROM smtp_relay_logs WHERE id = \(gone.text)")
            }
            let outcomes = await route(ScriptedPublisher(), house.database).deliver(claimed)
            #expect(outcomes.first { $0.message.id == gone }?.result == .failed)
            #expect(outcomes.first { $0.message.id == there }?.result == .handedOver)
        }
    }

    @Test("a document that the broker would not take fails here, and does not disturb the others")
    func tooLarge() async throws {
        try await withHouse { house in
            let large = try await house.accept { sample in
                sample.payload = Array("From: a@example.com\r\n\r\n".utf8) + [UInt8](repeating: 0x61, count: 5000)
            }[0]
            try await house.accept()
            let publisher = ScriptedPublisher()
            let outcomes = await route(publisher, house.database) { $0.maximumBytes = 2000 }
                .deliver(try await house.claimAll())
            #expect(outcomes.first { $0.message.id == large }?.result == .failed)
            #expect(outcomes.count == 2 && publisher.published.count == 1)
        }
    }

    @Test("a database out of reach is no reason to lose a message")
    func noDatabase() async throws {
        try await withHouse { house in
            try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            let publisher = ScriptedPublisher()
            let outcomes = await route(publisher, LostDatabase()).deliver(try await house.claimAll())
            #expect(outcomes.map(\.result) == [.deferred, .deferred])
            #expect(publisher.calls.isEmpty)
        }
    }

    @Test("a batch costs two statements, whatever its messages are")
    func oneRead() async throws {
        try await withHouse { house in
            for index in 0..<40 { try await house.accept { $0.recipients = ["r\(index)@example.net"] } }
            try await house.accept { sample in sample.recipients = (0..<20).map { "s\($0)@example.net" } }
            let claimed = try await house.claimAll()
            let recorder = StatementRecorder(house.database)
            let outcomes = await route(ScriptedPublisher(), recorder).deliver(claimed)
            #expect(outcomes.count == 60 && outcomes.allSatisfy { $0.result == .handedOver })
            #expect(recorder.take().count == 2)
        }
    }

    @Test("no more is read at once than the budget allows, and always one message")
    func budget() async throws {
        try await withHouse { house in
            let messages = MessageRepository(database: house.database)
            var wanted: [(id: Model.MessageID, vault: VaultID)] = []
            for size in [900, 900, 900, 5000, 10] {
                let id = try await house.accept { $0.payload = [UInt8](repeating: 0x61, count: size) }[0]
                wanted.append((id, house.vault.id))
            }
            var counts: [Int] = []
            var rest = wanted[...]
            while !rest.isEmpty {
                let (found, count) = try await messages.stored(Array(rest), budget: 2000)
                #expect(Set(found.keys) == Set(rest.prefix(count).map(\.id)))
                counts.append(count)
                rest = rest.dropFirst(count)
            }
            #expect(counts == [2, 1, 1, 1])
        }
    }
}
