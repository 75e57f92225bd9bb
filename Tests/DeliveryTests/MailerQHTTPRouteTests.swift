// What MailerQ's REST API answers, what that means for each message, and when it is left alone.

import CoreTestSupport
import Delivery
import JSON
import Model
import Store
import Testing

@Suite("MailerQ route by HTTP")
struct MailerQHTTPRouteTests {
    private func route(_ http: ScriptedMailerQ, _ house: TestHouse) -> MailerQHTTPRoute {
        MailerQHTTPRoute(
            http: http, database: house.database, mapping: .init(.canonical), hasResults: true, clock: house.clock)
    }

    private func accept(_ count: Int, _ house: TestHouse) async throws -> [ClaimedMessage] {
        try await house.accept { sample in sample.recipients = (0..<count).map { "r\($0)@example.net" } }
        return try await house.claimAll()
    }

    @Test("what MailerQ takes is handed over: one POST of JSON a message")
    func taken() async throws {
        try await withHouse { house in
            let http = ScriptedMailerQ { _ in ScriptedMailerQ.status(201) }
            let claimed = try await accept(3, house)
            let outcomes = await route(http, house).deliver(claimed)
            #expect(outcomes.map(\.message.id) == claimed.map(\.id))
            #expect(outcomes.map(\.result) == [.handedOver, .handedOver, .handedOver])
            #expect(http.requests.allSatisfy { $0.path == "/v1/inject" })
            let recipients = try http.requests.compactMap { request in
                try JSONParser.parse(request.body).objectValue?["recipient"]?.stringValue
            }
            #expect(Set(recipients) == Set(claimed.map(\.recipient)))
        }
    }

    @Test(
        "each answer has its meaning",
        arguments: [
            (200, RouteOutcome.Result.handedOver, CircuitBreaker.Condition.closed),
            (202, .handedOver, .closed), (204, .handedOver, .closed),
            (400, .failed, .closed), (413, .failed, .closed), (422, .failed, .closed),
            (408, .deferred, .closed), (429, .deferred, .closed), (500, .deferred, .closed), (503, .deferred, .closed),
            (301, .deferred, .open(until: Self.later)), (307, .deferred, .open(until: Self.later)),
            (401, .deferred, .open(until: Self.later)), (403, .deferred, .open(until: Self.later)),
            (404, .deferred, .open(until: Self.later)), (405, .deferred, .open(until: Self.later)),
        ])
    func answers(_ status: Int, _ result: RouteOutcome.Result, _ condition: CircuitBreaker.Condition) async throws {
        try await withHouse { house in
            let route = route(
                ScriptedMailerQ { _ in ScriptedMailerQ.status(status, "Because\r\nof \u{1B}this") }, house)
            let outcome = try #require(await route.deliver(try await accept(1, house)).first)
            #expect(outcome.result == result)
            #expect(route.condition == condition)
            let detail = try JSONParser.parse(try #require(outcome.detail).asData()).objectValue
            #expect(detail?["http_status"] == .integer(Int64(status)))
            if result == .handedOver {
                #expect(outcome.reply == nil)
            } else {
                #expect(outcome.reply?.asData().hasSuffix("MailerQ answered \(status): Because  of  this") == true)
                #expect(outcome.reply?.asData().hasPrefix("configuration") == (condition != .closed))
            }
        }
    }

    /// A second after a test's clock.
    private static let later = ManualClock().now().adding(seconds: 1)

    @Test("where no results come back, MailerQ's yes is the end, and its silence is written down")
    func withoutResults() async throws {
        try await withHouse { house in
            let http = ScriptedMailerQ { number in ScriptedMailerQ.status(number == 0 ? 200 : 401) }
            let route = MailerQHTTPRoute(
                http: http, database: house.database, mapping: .init(.canonical), hasResults: false, clock: house.clock)
            var outcomes: [RouteOutcome] = []
            for _ in 0..<3 { outcomes += await route.deliver(try await accept(1, house)) }
            #expect(outcomes.map(\.result) == [.delivered, .deferred, .deferred])
            #expect(outcomes[0].detail?.asData().contains("answers for it") == true)
            #expect(outcomes.allSatisfy { $0.reply != nil }, "a timeline that ends here says why")
            #expect(http.requests.count == 2)
        }
    }

    @Test("an answer's text is cut")
    func longAnswer() async throws {
        try await withHouse { house in
            let http = ScriptedMailerQ { _ in ScriptedMailerQ.status(422, String(repeating: "x", count: 100_000)) }
            let outcome = try #require(await route(http, house).deliver(try await accept(1, house)).first)
            #expect((outcome.reply?.asData().utf8.count ?? .max) < 600)
        }
    }

    @Test("no answer is worth another try, and says whether MailerQ may have the message", arguments: [false, true])
    func noAnswer(_ isAmbiguous: Bool) async throws {
        try await withHouse { house in
            let http = ScriptedMailerQ { _ in
                .failure(MailerQHTTPFailure(reason: "connection refused", isAmbiguous: isAmbiguous))
            }
            let outcome = try #require(await route(http, house).deliver(try await accept(1, house)).first)
            #expect(outcome.result == .deferred && outcome.reply?.asData() == "connection refused")
            let detail = try JSONParser.parse(try #require(outcome.detail).asData()).objectValue
            #expect(detail?["ambiguous"] == (isAmbiguous ? .bool(true) : nil))
        }
    }

    @Test("eight requests at most are under way, and all messages have their turn")
    func concurrency() async throws {
        try await withHouse { house in
            let barrier = Barrier()
            let http = ScriptedMailerQ { number in
                // The first eight wait for each other: fewer at a time would never come through.
                if number == 7 { barrier.open() }
                if number < 8 { await barrier.pass() }
                return ScriptedMailerQ.status(200)
            }
            let outcomes = await route(http, house).deliver(try await accept(40, house))
            #expect(outcomes.count == 40 && outcomes.allSatisfy { $0.result == .handedOver })
            #expect(http.requests.count == 40 && http.mostRunning == 8)
        }
    }

    @Test("a MailerQ that is down is left alone, asked once when it is time, and used again when it answers")
    func breaker() async throws {
        try await withHouse { house in
            let http = ScriptedMailerQ { number in
                number < 6
                    ? .failure(MailerQHTTPFailure(reason: "down", isAmbiguous: false)) : ScriptedMailerQ.status(200)
            }
            let route = route(http, house)
            func one(_ expected: RouteOutcome.Result, _ location: SourceLocation = #_sourceLocation) async throws {
                let result = await route.deliver(try await accept(1, house)).first?.result
                #expect(result == expected, sourceLocation: location)
            }
            for _ in 0..<5 { try await one(.deferred) }
            #expect(http.requests.count == 5)
            try await one(.notTried)
            #expect(!route.isAvailable)
            #expect(http.requests.count == 5, "open: nobody is asked")
            house.clock.advance(seconds: 1)
            #expect(route.isAvailable)
            try await one(.deferred)
            #expect(http.requests.count == 6, "one probe, which fails")
            house.clock.advance(seconds: 1)
            try await one(.notTried)
            #expect(http.requests.count == 6, "the second pause is longer")
            house.clock.advance(seconds: 1)
            try await one(.handedOver)
            #expect(route.condition == .closed)
        }
    }

    @Test("while the probe is under way, no other request is")
    func oneProbe() async throws {
        try await withHouse { house in
            let http = ScriptedMailerQ { number in ScriptedMailerQ.status(number == 0 ? 401 : 503) }
            let route = route(http, house)
            #expect(await route.deliver(try await accept(1, house)).map(\.result) == [.deferred])
            house.clock.advance(seconds: 1)
            let outcomes = await route.deliver(try await accept(20, house))
            #expect(outcomes.filter { $0.result == .deferred }.count == 1)
            #expect(outcomes.filter { $0.result == .notTried }.count == 19)
            #expect(http.requests.count == 2)
        }
    }
}
