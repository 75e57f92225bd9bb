// What a take costs: few statements, whatever the load, and memory within bounds.

import CoreTestSupport
import Model
import SQL
import Synchronization
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

    /// As many takes as asked for, each of as many buckets that no other one has.
    private func takes(_ count: Int, of size: Int, in vault: VaultID) -> [RateTake] {
        (0..<count).map { number in
            let charges = (0..<size).map { index in
                RateCharge(RateBucket(.domain, "\(index).\(number).example", limit: RateLimit(100)), tokens: 1)
            }
            return RateTake(charges + [RateCharge(high, tokens: 1)], in: vault)
        }
    }

    @Test("a draw holds so many buckets at most; what does not fit any more waits, in its turn")
    func rows() {
        let vault = VaultID(stored: "vlt_0000000000000001")
        let now = Timestamp(milliseconds: 1_800_000_000_000)
        func plan(_ takes: [RateTake], upTo limit: Int) -> RateDraw {
            var book = RateBook(window: 2, capacity: 100)
            return book.plan(takes, upTo: limit, returning: [], at: now)
        }
        // Ten of their own each, and one that they share.
        let some = takes(30, of: 10, in: vault)
        for (limit, served) in [(1_000, 30), (301, 30), (300, 29), (101, 10), (100, 9), (11, 1), (1, 1)] {
            let draw = plan(some, upTo: limit)
            #expect(draw.takes.count == served && draw.buckets.count == 10 * served + 1, "\(limit)")
        }
        // A large one comes first and has the draw to itself; behind others it waits, and is not overtaken.
        let large = takes(1, of: 1_000, in: vault)
        #expect(plan(large + some, upTo: 500).takes.count == 1)
        #expect(plan(some.prefix(2) + large + some.suffix(2), upTo: 500).takes.count == 2)
        // Takes of the same buckets count once.
        #expect(plan(Array(repeating: some[0], count: 200), upTo: 50).takes.count == 200)
    }

    @Test("one submission to thousands of domains passes, and many of them at once do in short transactions")
    func wide() async throws {
        try await withRateHouse { house async throws in
            let database = CostlyDatabase(house.database)
            let limiter = house.limiter(on: database)
            for take in takes(1, of: 3_000, in: house.other) {
                #expect(try await limiter.refusal(take.charges, in: house.other) == nil)
            }
            #expect(database.takeLargest() == 256 * 3_001)
            let passed = try await withThrowingTaskGroup { group in
                for take in takes(60, of: 200, in: house.vault) {
                    group.addTask { try await limiter.refusal(take.charges, in: house.vault) == nil ? 1 : 0 }
                }
                return try await group.reduce(0, +)
            }
            #expect(passed == 60)
            #expect(database.takeLargest() <= 256 * RateLimiter.rows)
        }
    }
}

/// Remembers what its most expensive write was said to cost: 256 bytes a bucket.
private final class CostlyDatabase: SQLDatabase {
    private let real: any SQLDatabase
    private let largest = Mutex(0)

    init(_ real: any SQLDatabase) { self.real = real }

    /// The largest since the last call.
    func takeLargest() -> Int {
        largest.withLock { largest in
            defer { largest = 0 }
            return largest
        }
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try await real.read(body)
    }

    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        largest.withLock { $0 = max($0, cost) }
        return try await real.write(cost: cost, body)
    }

    func announce(_ topic: String) { real.announce(topic) }

    func announcements() -> AsyncStream<String> { real.announcements() }

    var isShared: Bool { real.isShared }

    var name: String { real.name }

    func close() async { await real.close() }
}
