// The limiter and its database: failures, upkeep, and the end of a process.

import CoreTestSupport
import Model
import SQL
import ServiceLifecycleTestKit
import Store
import Testing

@testable import Rates

@Suite("The rate limiter and its database")
struct RateLimiterTroubleTests {
    private let bucket = RateBucket(.vault, limit: RateLimit(10))

    @Test("a database that is overloaded or away is said so, and the next take is as if nothing had been")
    func away() async throws {
        try await withRateHouse { house async throws in
            let database = ScriptedDatabase(house.database)
            let limiter = house.limiter(on: database)
            database.failNextWrites([SQLError(.overloaded, "busy"), SQLError(.unavailable, "away")])
            #expect(try await limiter.refusal(of: bucket, in: house.vault)?.code == .overloaded)
            #expect(try await limiter.refusal(of: bucket, in: house.vault)?.code == .storageUnavailable)
            #expect(try await limiter.passing(50, of: bucket, in: house.vault) == 10)
        }
    }

    @Test("what could not be given back because the database was overloaded is given back later")
    func later() async throws {
        try await withRateHouse { house async throws in
            let database = ScriptedDatabase(house.database)
            let limiter = house.limiter(on: database)
            let grant = try await limiter.take([RateCharge(bucket, tokens: 10)], in: house.vault)
            limiter.giveBack(grant)
            database.failNextWrites([SQLError(.overloaded, "busy")])
            await limiter.tidy()
            await limiter.tidy()
            #expect(try await house.limiter().refusal(10, of: bucket, in: house.vault) == nil)
        }
    }

    @Test("buckets that are full again are dropped, others stay", arguments: TestEngine.all)
    func housekeeping(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let repository = RateRepository(database: house.database)
            let limiter = house.limiter()
            let slow = RateBucket(.key, "key_1", limit: RateLimit(perHour: 1, burst: 10))
            #expect(try await limiter.refusal(5, of: bucket, in: house.vault) == nil)
            #expect(try await limiter.refusal(5, of: slow, in: house.vault) == nil)
            #expect(try await repository.dropFull(at: house.clock.now(), limit: 100) == 0)
            house.clock.advance(seconds: 1_800 + 59)
            #expect(try await repository.dropFull(at: house.clock.now(), limit: 100) == 0)
            house.clock.advance(seconds: 2)
            #expect(try await repository.dropFull(at: house.clock.now(), limit: 100) == 1)
            #expect(try await house.database.count("rate_buckets", where: "bucket = 'key:key_1'") == 1)
            #expect(try await house.limiter().passing(30, of: bucket, in: house.vault) == 10)
            house.clock.advance(seconds: 100 * 3_600)
            #expect(try await repository.dropFull(at: house.clock.now(), limit: 1) == 1)
            #expect(try await repository.dropFull(at: house.clock.now(), limit: 100) == 1)
            #expect(try await house.database.count("rate_buckets") == 0)
        }
    }

    @Test("the largest numbers stay within what the database can count", arguments: TestEngine.all)
    func extremes(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let repository = RateRepository(database: house.database)
            let largest = RateBucket(.vault, limit: RateLimit(RateLimit.maximum))
            let slowest = RateBucket(.key, "k", limit: RateLimit(perHour: 1, burst: RateLimit.maximum))
            let limiter = house.limiter()
            for bucket in [largest, slowest] {
                #expect(try await limiter.refusal(RateLimit.maximum, of: bucket, in: house.vault) == nil)
                #expect(try await limiter.refusal(1, of: bucket, in: house.vault)?.code == .rateLimited)
            }
            house.clock.advance(seconds: 50 * 365 * 86_400)
            #expect(try await repository.dropFull(at: house.clock.now(), limit: 10) == 1)
            #expect(try await house.limiter().refusal(400_000, of: slowest, in: house.vault) == nil)
        }
    }

    @Test("a process that ends gives back what it held; the next one finds every token", arguments: TestEngine.all)
    func cleanStop(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let limiter = house.limiter()
            let large = RateBucket(.vault, limit: RateLimit(1_000_000))
            for _ in 0..<5 { #expect(try await limiter.refusal(of: large, in: house.vault) == nil) }
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup { group in
                    group.addTask { try await limiter.run() }
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
            let next = house.limiter()
            #expect(try await next.refusal(999_996, of: large, in: house.vault) != nil)
            #expect(try await next.refusal(999_995, of: large, in: house.vault) == nil)
        }
    }

    @Test(
        "a process that is killed refills nothing and takes no more than a small block with it",
        arguments: TestEngine.all)
    func crash(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let limit = RateLimit(1_000_000)
            let large = RateBucket(.vault, limit: limit)
            let limiter = house.limiter()
            for _ in 0..<5 { #expect(try await limiter.refusal(of: large, in: house.vault) == nil) }
            let left = try await house.limiter().statuses([large], in: house.vault)[0].remaining
            // Two seconds of the rate.
            #expect(left <= 999_995 && left >= 999_995 - 556)
        }
    }
}
