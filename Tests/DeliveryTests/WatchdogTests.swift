// Every message ends: the watchdog expires what nobody ended, and leaves alone what somebody has in hand.

import CoreTestSupport
import Delivery
import JSON
import Model
import Outbox
import SQL
import ServiceLifecycleTestKit
import Store
import TestSupport
import Testing

@Suite("Watchdog")
struct WatchdogTests {
    private func watchdog(_ house: TestHouse, on database: (any SQLDatabase)? = nil, interval: Double = 0.01)
        -> Watchdog
    {
        Watchdog(
            database: database ?? house.database, interval: interval,
            duty: Duty("watchdog", owner: "test", database: database ?? house.database, clock: house.clock),
            clock: house.clock, ids: house.ids, logger: silent)
    }

    @Test("what is past its deadline expires with a reason, and leaves the outbox")
    func expires() async throws {
        try await withHouse { house in
            let waiting = try await house.accept { $0.lifetime = 60 }[0]
            let lost = try await house.accept { $0.lifetime = 60 }[0]
            let fresh = try await house.accept { $0.lifetime = 6000 }[0]
            try await house.database.write { connection in
                try connection.execute("DELETE FROM outbox WHERE message_id = \(lost.text)")
                try connection.execute("UPDATE smtp_relay_logs SET status = 'in_flight' WHERE id = \(lost.text)")
            }
            try await watchdog(house).round()
            #expect(try await house.status(waiting) == .queued)
            house.clock.advance(seconds: 60)
            try await watchdog(house).round()
            // A next hop has ten minutes more for its report of what it took over.
            #expect(try await house.status(lost) == .inFlight)
            house.clock.advance(seconds: 600)
            try await watchdog(house).round()
            for id in [waiting, lost] {
                #expect(try await house.status(id) == .expired)
                let event = try #require(try await house.events(id).last)
                #expect(event.type == .expired)
                let detail = try JSONParser.parse(try #require(event.detail).asData()).objectValue
                #expect(detail?["reason"]?.stringValue?.contains("deadline") == true)
            }
            #expect(try await house.status(fresh) == .queued)
            #expect(try await house.database.count("outbox") == 1)
            let before = try await house.events(waiting).count
            try await watchdog(house).round()
            #expect(try await house.events(waiting).count == before)
        }
    }

    @Test("what a living process has in hand is left to it, until its lease ends")
    func inHand() async throws {
        try await withHouse { house in
            let id = try await house.accept { $0.lifetime = 60 }[0]
            _ = try await house.claimAll(lease: 100)
            house.clock.advance(seconds: 99)
            try await watchdog(house).round()
            #expect(try await house.status(id) == .inFlight)
            house.clock.advance(seconds: 1)
            try await watchdog(house).round()
            #expect(try await house.status(id) == .expired)
        }
    }

    @Test("whatever a message holds, it cannot stop the round for the others")
    func hostileRows() async throws {
        try await withHouse { house in
            // A NUL never gets as far as PostgreSQL's tables.
            let first = house.database.isShared ? "\u{1}" : "\u{0}"
            let ids = try await house.accept {
                $0.recipients = ["a@example.net", "b@example.net"]
                $0.tags = ["a\nb", "\u{0}", String(repeating: "x", count: 5_000), ""]
                $0.subject = first + "\r\n\u{7}"
                $0.lifetime = 60
            }
            house.clock.advance(seconds: 61)
            try await watchdog(house).round()
            for id in ids { #expect(try await house.status(id) == .expired) }
            let listed = try await MessageRepository(database: house.database).search(
                MessageQuery(), in: house.vault.id)
            #expect(listed.count == 2)
        }
    }

    @Test("idempotency keys go when their time is over")
    func keys() async throws {
        try await withHouse { house in
            try await house.accept { $0.idempotency = ("k", [1]) }
            try await watchdog(house).round()
            #expect(try await house.database.count("idempotency_keys") == 1)
            house.clock.advance(seconds: 86_400)
            try await watchdog(house).round()
            #expect(try await house.database.count("idempotency_keys") == 0)
        }
    }

    @Test("it goes round until the shutdown, also after a round that failed")
    func service() async throws {
        try await withHouse { house in
            let scripted = ScriptedDatabase(house.database)
            scripted.failNextWrites([SQLError(.unavailable, "busy"), SQLError(.storage, "full")])
            let id = try await house.accept { $0.lifetime = 60 }[0]
            house.clock.advance(seconds: 61)
            let watchdog = watchdog(house, on: scripted)
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await watchdog.run() }
                    try await eventually("the expiry") { try await house.status(id) == .expired }
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
        }
    }
}

@Suite("Payloads")
struct PayloadsTests {
    @Test("a finished message is handed out byte for byte, a message of blocks is built the same each time")
    func bytes() async throws {
        try await withHouse { house in
            let payloads = Payloads(database: house.database)
            let raw = Array("From: a@example.com\r\n\r\n\u{0}binary".utf8) + [0xFF]
            let id = try await house.accept { $0.payload = raw }[0]
            #expect(try await payloads.message(id, in: house.vault.id) == raw)
            let submission = Submission.simple(
                try JSONParser.parse(
                    #"{"from":"Jürgen <sales@example.com>","to":"ann@example.net","subject":"Grüße","text":"Hi","headers":{"X-A":"ü"}}"#
                ))
            let receipt = try await house.pipeline().submit(submission, by: house.caller, through: .http)
            let built = try #require(try await payloads.message(receipt.entries[0].id, in: house.vault.id))
            house.clock.advance(seconds: 1_000)
            #expect(try await payloads.message(receipt.entries[0].id, in: house.vault.id) == built)
            let text = String(decoding: built, as: UTF8.self)
            #expect(text.contains("Message-ID: <\(receipt.correlation.text.dropFirst(4))@example.com>\r\n"))
            #expect(text.contains("To: ann@example.net\r\n"))
        }
    }

    @Test("another vault's message is not there")
    func tenancy() async throws {
        try await withHouse { house in
            let other = try await house.neighbour().vault.id
            let id = try await house.accept()[0]
            #expect(try await Payloads(database: house.database).message(id, in: other) == nil)
        }
    }
}
