// What a take costs: few statements, whatever the load, and memory within bounds.

import CoreTestSupport
import Model
import SQL
import Testing

@testable import Rates

@Suite("What the rate limiter costs")
struct RateLimiterCostTests {
    private let high = RateBucket(.vault, limit: RateLimit(RateLimit.maximum))

    @Test("no charges cost nothing, not even a database that is there")
    func nothing() async throws {
        try await withRateHouse { house async throws in
            let database = ScriptedDatabase(house.database)
            let limiter = house.limiter(on: database)
            await house.database.close()
            limiter.giveBack(try await limiter.take([], in: house.vault))
            #expect(database.writeCount == 0 && limiter.count == 0)
        }
    }

    @Test("under a high limit many takes share a few draws", arguments: TestEngine.all)
    func blocks(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let database = ScriptedDatabase(house.database)
            let limiter = house.limiter(on: database)
            for _ in 0..<20_000 { _ = try await limiter.take([RateCharge(high, tokens: 1)], in: house.vault) }
            #expect(database.writeCount <= 2)
        }
    }

    @Test("takes that come at the same moment share draws instead of queueing for the row", arguments: TestEngine.all)
    func herd(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let database = ScriptedDatabase(house.database)
            let limiter = house.limiter(on: database)
            let low = RateBucket(.vault, limit: RateLimit(perHour: 1, burst: 300))
            #expect(try await limiter.passing(300, of: low, in: house.vault) == 300)
            #expect(database.writeCount < 100)
        }
    }

    @Test("a flood against an empty bucket costs one look a second", arguments: TestEngine.all)
    func flood(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let database = ScriptedDatabase(house.database)
            let limiter = house.limiter(on: database)
            let bucket = RateBucket(.key, "key_1", limit: RateLimit(1))
            #expect(try await limiter.refusal(of: bucket, in: house.vault) == nil)
            for second in 1...3 {
                for _ in 0..<1_000 { #expect(try await limiter.refusal(of: bucket, in: house.vault) != nil) }
                #expect(database.writeCount <= second)
                house.clock.advance(seconds: 1)
            }
        }
    }

    @Test("buckets that nobody uses any more are forgotten, and what was held of them goes back")
    func memory() async throws {
        try await withRateHouse { house async throws in
            let limiter = house.limiter()
            let limit = RateLimit(1_000_000)
            for round in 0..<3 {
                for domain in 0..<50 {
                    let bucket = RateBucket(.domain, "\(domain).example", limit: limit)
                    #expect(try await limiter.refusal(of: bucket, in: house.vault) == nil, "\(round)")
                }
            }
            #expect(limiter.count == 50)
            house.clock.advance(seconds: 61)
            await limiter.tidy()
            await limiter.tidy()
            #expect(limiter.count == 0)
            let all = (0..<50).map { RateBucket(.domain, "\($0).example", limit: limit) }
            let statuses = try await house.limiter().statuses(all, in: house.vault)
            #expect(statuses.allSatisfy { $0.remaining == limit.burst })
        }
    }

    @Test("a flood of names is remembered up to a bound")
    func bound() {
        var book = RateBook(window: 2, capacity: 100)
        let vault = VaultID(stored: "vlt_0000000000000001")
        let now = Timestamp(milliseconds: 1_800_000_000_000)
        for number in 0..<10_000 {
            let bucket = RateBucket(.repeat, "\(number)", limit: RateLimit(3))
            let draw = book.plan(
                [RateTake([RateCharge(bucket, tokens: 1)], in: vault)], returning: [], at: now)
            var rows = draw.fresh
            _ = book.settle(draw, draw.settle(&rows))
            #expect(book.count <= 100)
        }
    }
}
