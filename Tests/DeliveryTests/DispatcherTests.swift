// From the outbox to an end state: retries, bounces, deadlines, crashes, and fairness, with a route that does as it is told.

import CoreTestSupport
import Delivery
import JSON
import Model
import Outbox
import SQL
import Store
import TestSupport
import Testing

@Suite("Dispatcher")
struct DispatcherTests {
    @Test("a message is deferred, tried again at its time, and delivered; its timeline tells all of it")
    func retryThenDelivered() async throws {
        try await withHouse { house in
            let signal = OutboxSignal()
            let route = ScriptedRoute { $0.attempt < 3 ? .deferred : .delivered }
            let submission = Submission.simple(
                try JSONParser.parse(#"{"from":"sales@example.com","to":"ann@example.net","text":"Hi"}"#))
            try await house.running(house.dispatcher(route, signal: signal)) {
                let receipt = try await house.pipeline(signal: signal).submit(
                    submission, by: house.caller, through: .http)
                let id = receipt.entries[0].id
                for attempt in 1...2 {
                    try await eventually("deferral \(attempt)") {
                        try await house.events(id).count { $0.type == .deferred } == attempt
                    }
                    #expect(try await house.status(id) == .queued)
                    #expect(route.calls.count == attempt)
                    house.clock.advance(seconds: attempt == 1 ? 11.1 : 22.1)
                }
                try await eventually("the delivery") { try await house.status(id) == .delivered }
                let events = try await house.events(id)
                #expect(
                    events.map(\.type) == [
                        .accepted, .queued, .attempted, .deferred, .attempted, .deferred, .attempted, .delivered,
                    ])
                #expect(events.map(\.attempt) == [0, 0, 1, 1, 2, 2, 3, 3])
                #expect(events.map(\.at) == events.map(\.at).sorted())
                #expect(events.map(\.id) == events.map(\.id).sorted())
            }
            #expect(route.calls.count == 3)
        }
    }

    @Test("a refusal for good is a bounce with the peer's words, and nothing is tried again")
    func bounced() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { _ in .bounced }
            let id = try await house.accept()[0]
            try await house.running(house.dispatcher(route)) {
                try await eventually("the bounce") { try await house.status(id) == .bounced }
                house.clock.advance(seconds: 1_000)
                #expect(try await house.database.count("outbox") == 0)
            }
            #expect(route.calls.count == 1)
            let message = try await MessageRepository(database: house.database).find(id, in: house.vault.id)
            #expect(message?.lastReply?.asData() == "bounced in attempt 1")
        }
    }

    @Test("a message that is deferred for ever expires at its deadline")
    func expires() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { _ in .deferred }
            let id = try await house.accept { $0.lifetime = 100 }[0]
            try await house.running(house.dispatcher(route)) {
                try await eventually("the end") {
                    house.clock.advance(seconds: 1)
                    return try await house.status(id) == .expired
                }
            }
            let events = try await house.events(id)
            #expect(events.last?.type == .expired)
            #expect(events.filter { $0.type == .attempted }.count == route.calls.count)
            #expect((2...8).contains(route.calls.count))
        }
    }

    @Test("a scheduled message leaves at its time")
    func scheduled() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { _ in .delivered }
            let later = try await house.accept { $0.sendAfter = 60 }[0]
            let now = try await house.accept()[0]
            try await house.running(house.dispatcher(route)) {
                try await eventually("the other one") { try await house.status(now) == .delivered }
                #expect(try await house.status(later) == .scheduled)
                house.clock.advance(seconds: 60)
                try await eventually("its time") { try await house.status(later) == .delivered }
            }
        }
    }

    @Test("what a process held when it died is sent by the next one when the lease ends")
    func crash() async throws {
        try await withHouse { house in
            let id = try await house.accept()[0]
            _ = try await house.claimAll(owner: "crashed", lease: 300)
            let route = ScriptedRoute { _ in .delivered }
            try await house.running(house.dispatcher(route)) {
                let other = try await house.accept()[0]
                try await eventually("what is free") { try await house.status(other) == .delivered }
                #expect(try await house.status(id) == .inFlight)
                house.clock.advance(seconds: 300)
                try await eventually("what was held") { try await house.status(id) == .delivered }
            }
            #expect(try await house.events(id).map(\.attempt) == [0, 0, 1, 2, 2])
        }
    }

    @Test("an attempt that takes longer than its lease keeps the message")
    func renewal() async throws {
        try await withHouse { house in
            let barrier = Barrier()
            let route = ScriptedRoute { _ in
                await barrier.pass()
                return .delivered
            }
            let id = try await house.accept()[0]
            // A lease of 0.06 s is renewed each 0.02 s; a second process looks all the time.
            let first = house.dispatcher(route, owner: "first") { $0.lease = 0.06 }
            try await house.running(first) {
                try await eventually("the claim") { route.calls.count == 1 }
                let outbox = OutboxRepository(database: house.database, owner: "looking on")
                for _ in 0..<5 {
                    let due = try #require(try await outbox.nextDue())
                    house.clock.advance(seconds: 0.02)
                    try await eventually("a renewal") { try await outbox.nextDue().map { $0 > due } ?? false }
                    #expect(try await house.claimAll(owner: "second").isEmpty)
                }
                barrier.open()
                try await eventually("the end") { try await house.status(id) == .delivered }
            }
            #expect(route.calls.count == 1)
        }
    }

    @Test("with the instance's live send off everything is captured, whatever route it was accepted for")
    func liveSendOff() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { _ in .delivered }
            let ids = try await house.accept { $0.recipients = ["a@example.net", "b@example.net"] }
            try await house.running(house.dispatcher(route, isLive: false)) {
                for id in ids { try await eventually("the capture") { try await house.status(id) == .captured } }
            }
            #expect(route.calls.isEmpty)
            let events = try await house.events(ids[0])
            #expect(events.map(\.type) == [.accepted, .queued, .captured])
            #expect(events.last?.route == .shadow && events.last?.attempt == 0)
        }
    }

    @Test("a message that was accepted for shadow mode is captured though live send is on")
    func shadowRoute() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { _ in .delivered }
            let id = try await house.accept { $0.route = .shadow }[0]
            let later = try await house.accept {
                $0.route = .shadow
                $0.sendAfter = 60
            }[0]
            try await house.running(house.dispatcher(route)) {
                try await eventually("the capture") { try await house.status(id) == .captured }
                #expect(try await house.status(later) == .scheduled)
                house.clock.advance(seconds: 60)
                try await eventually("the later capture") { try await house.status(later) == .captured }
            }
            #expect(route.calls.isEmpty)
        }
    }

    @Test("a message for a route that is not set up waits and is not lost")
    func missingRoute() async throws {
        try await withHouse { house in
            let id = try await house.accept()[0]
            let dispatcher = Dispatcher(
                configuration: DispatcherConfiguration(
                    retry: RetrySchedule(initial: 10, maximum: 100), isLiveSendEnabled: true),
                routes: [:], database: house.database, owner: "a", signal: OutboxSignal(), clock: house.clock,
                ids: house.ids,
                logger: silent)
            try await house.running(dispatcher) {
                try await eventually("the deferral") { try await house.events(id).last?.type == .deferred }
            }
            #expect(try await house.status(id) == .queued)
        }
    }

    @Test("recipients of one submission go in one call, other submissions in calls of their own")
    func batches() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { _ in .delivered }
            var submissions: [Set<MessageID>] = []
            for index in 0..<3 {
                submissions.append(
                    Set(try await house.accept { $0.recipients = (0..<4).map { "r\(index)-\($0)@example.net" } }))
            }
            try await house.running(house.dispatcher(route)) {
                try await eventually("all") { try await house.database.count("outbox") == 0 }
            }
            #expect(Set(route.calls.map { Set($0.map(\.id)) }) == Set(submissions))
        }
    }

    @Test("five vaults whose routes hang leave room for a sixth")
    func slowVaults() async throws {
        try await withHouse { house in
            let barrier = Barrier()
            let good = house.vault.id
            let route = ScriptedRoute { message in
                if message.vault != good { await barrier.pass() }
                return .delivered
            }
            for index in 0..<5 {
                let slow = try await house.neighbour("slow-\(index)")
                for number in 0..<4 {
                    try await house.accept(by: slow.caller) { $0.recipients = ["r\(number)@example.net"] }
                }
            }
            try await house.running(house.dispatcher(route) { $0.inHand = 16 }) {
                try await eventually("the slow vaults' shares") { route.calls.count == 10 }
                let ids = try await house.accept { $0.recipients = (0..<6).map { "r\($0)@example.net" } }
                for id in ids { try await eventually("the good vault") { try await house.status(id) == .delivered } }
                barrier.open()
                try await eventually("everything") { try await house.database.count("outbox") == 0 }
            }
        }
    }

    @Test("a vault whose route hangs does not keep another one waiting")
    func slowVault() async throws {
        try await withHouse { house in
            let barrier = Barrier()
            let slow = house.vault.id
            let route = ScriptedRoute { message in
                if message.vault == slow { await barrier.pass() }
                return .delivered
            }
            for index in 0..<40 { try await house.accept { $0.recipients = ["slow\(index)@example.net"] } }
            let other = try await house.neighbour()
            // An eighth of forty places is a vault's share.
            try await house.running(house.dispatcher(route) { $0.inHand = 40 }) {
                try await eventually("the slow vault's share") { route.calls.count == 5 }
                for _ in 0..<3 {
                    let ids = try await house.accept(by: other.caller) {
                        $0.recipients = (0..<10).map { "f\($0)@example.net" }
                    }
                    try await eventually("the other vault") {
                        var ended = 0
                        for id in ids {
                            let message = try await MessageRepository(database: house.database).find(
                                id, in: other.vault.id)
                            if message?.status == .delivered { ended += 1 }
                        }
                        return ended == ids.count
                    }
                }
                #expect(try await house.database.count("smtp_relay_logs", where: "status = 'in_flight'") == 5)
                barrier.open()
                try await eventually("everything") { try await house.database.count("outbox") == 0 }
            }
        }
    }

    @Test("a shutdown lets running attempts finish and writes down what came of them, and claims nothing more")
    func gracefulShutdown() async throws {
        try await withHouse { house in
            let barrier = Barrier()
            let route = ScriptedRoute { _ in
                await barrier.pass()
                return .delivered
            }
            let running = try await house.accept()[0]
            var waiting: MessageID?
            try await house.running(house.dispatcher(route) { $0.inHand = 1 }) {
                try await eventually("the attempt") { route.calls.count == 1 }
                waiting = try await house.accept()[0]
                Task {
                    // The shutdown begins when this body returns: the attempt ends a moment later.
                    try await Task.sleep(for: .milliseconds(50))
                    barrier.open()
                }
            }
            #expect(try await house.status(running) == .delivered)
            let left = try #require(waiting)
            #expect(try await house.status(left) == .queued)
            #expect(route.calls.count == 1)
        }
    }

    @Test("an outbox that cannot be read is looked at again")
    func failingDatabase() async throws {
        try await withHouse { house in
            let scripted = ScriptedDatabase(house.database)
            scripted.failNextWrites([
                SQLError(.unavailable, "busy"), SQLError(.storage, "full"), SQLError(.unavailable, "busy"),
            ])
            let id = try await house.accept()[0]
            let route = ScriptedRoute { _ in .delivered }
            try await house.running(house.dispatcher(route, on: scripted)) {
                try await eventually("the delivery") { try await house.status(id) == .delivered }
            }
            #expect(route.calls.count == 1)
        }
    }

    @Test("a thousand messages of four vaults all end, each attempted once")
    func many() async throws {
        try await withHouse { house in
            let route = ScriptedRoute { message in message.recipient.hasPrefix("bad") ? .bounced : .delivered }
            try await house.accept { $0.recipients = (0..<250).map { "r\($0)@example.net" } }
            for index in 0..<3 {
                let other = try await house.neighbour("vault-\(index)")
                try await house.accept(by: other.caller) { $0.recipients = (0..<250).map { "bad\($0)@example.net" } }
            }
            try await house.running(house.dispatcher(route)) {
                try await eventually("all") { try await house.database.count("outbox") == 0 }
            }
            #expect(
                try await house.database.count("smtp_relay_logs", where: "status = 'delivered' AND attempts = 1") == 250
            )
            #expect(
                try await house.database.count("smtp_relay_logs", where: "status = 'bounced' AND attempts = 1") == 750)
        }
    }
}
