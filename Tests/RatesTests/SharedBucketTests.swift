// Several processes on one database: a limit of N lets N through in all, whatever they do, and nothing is lost for
// good.

import CoreTestSupport
import Model
import Store
import TestSupport
import Testing

@testable import Rates

@Suite("Several processes")
struct SharedBucketTests {
    @Test(
        "a limit of N lets exactly N through, however many ask at once", arguments: TestEngine.all, [1, 7, 150, 4_000])
    func exactly(_ engine: TestEngine, _ limit: Int) async throws {
        try await withRateHouse(engine) { house async throws in
            // A second of the highest of these limits is a token: blocks are in play as well.
            let bucket = RateBucket(.vault, limit: RateLimit(limit))
            let processes = [house.limiter(), house.limiter()]
            let passed = try await withThrowingTaskGroup { group in
                for process in processes {
                    group.addTask { try await process.passing(limit + 100, of: bucket, in: house.vault) }
                }
                return try await group.reduce(0, +)
            }
            #expect(passed == limit)
        }
    }

    @Test("takes of several buckets in any order do not stand in each other's way", arguments: TestEngine.all)
    func order(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let buckets = (0..<6).map { RateBucket(.domain, "\($0).example", limit: RateLimit(perHour: 1, burst: 100)) }
            let processes = [house.limiter(), house.limiter(), house.limiter()]
            let passed = try await withThrowingTaskGroup { group in
                for number in 0..<300 {
                    group.addTask {
                        var dice = Dice(seed: UInt64(number))
                        let chosen = buckets.shuffled(using: &dice).prefix(3)
                        let vault = number.isMultiple(of: 2) ? house.vault : house.other
                        let refusal = try await processes[number % 3].refusal(
                            chosen.map { RateCharge($0, tokens: 1) }, in: vault)
                        if let refusal, refusal.code != .rateLimited { throw refusal }
                        return refusal == nil ? 1 : 0
                    }
                }
                return try await group.reduce(0, +)
            }
            // 150 takes a vault, of 3 of 6 buckets each: 75 of a bucket on average, and 100 are there.
            #expect(passed == 300)
            let left = try await house.limiter().statuses(buckets, in: house.vault).map(\.remaining)
            let total = left.reduce(0, +)
            #expect(total == 600 - 450)
        }
    }

    @Test("clocks that differ do not fill a bucket faster than the fastest of them", arguments: TestEngine.all)
    func clocks(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let bucket = RateBucket(.vault, limit: RateLimit(3_600))
            let (early, late) = (house.limiter(), house.limiter())
            #expect(try await early.refusal(3_600, of: bucket, in: house.vault) == nil)
            var passed = 0
            // The one process asks at t + 5 and takes a part, the other at t takes the rest.
            for _ in 0..<20 {
                house.clock.advance(seconds: 10)
                for _ in 0..<2 where try await early.refusal(of: bucket, in: house.vault) == nil { passed += 1 }
                house.clock.advance(seconds: -5)
                while try await late.refusal(of: bucket, in: house.vault) == nil { passed += 1 }
            }
            #expect(passed == 105)
        }
    }

    @Test(
        "with low limits several processes answer as one bucket would, restarts and changes of limit included",
        arguments: TestEngine.all, 0..<6)
    func lowLimits(_ engine: TestEngine, _ seed: Int) async throws {
        try await withRateHouse(engine) { house async throws in
            var round = LowLimits(house, seed: seed)
            for step in 0..<250 { try await round.play("step \(step) of \(seed)") }
        }
    }

    @Test(
        "with high limits never more passes than the burst and what came since, and all of it is there in the end",
        arguments: TestEngine.all, 0..<6)
    func highLimits(_ engine: TestEngine, _ seed: Int) async throws {
        try await withRateHouse(engine) { house async throws in
            var round = HighLimits(house, seed: seed)
            for step in 0..<400 { try await round.play("step \(step) of \(seed)") }
            try await round.end()
        }
    }
}
