// Random rounds of several processes, beside one bucket that nobody shares: what the limiter has to look like from
// outside.

import Model
import Store
import Testing

@testable import Rates

/// Buckets that are counted exactly, each take and each gift at once.
struct ReferenceModel {
    private var buckets: [String: TokenBucket] = [:]

    mutating func take(_ charges: [RateCharge], at now: Timestamp) -> Bool {
        for charge in charges { open(charge.bucket, at: now) }
        guard charges.allSatisfy({ tokens(of: $0.bucket, at: now) >= $0.tokens }) else { return false }
        for charge in charges { _ = buckets[charge.bucket.text]?.take(charge.tokens) }
        return true
    }

    /// Takes what is there of it.
    mutating func drain(_ charge: RateCharge, at now: Timestamp) {
        let there = min(charge.tokens, tokens(of: charge.bucket, at: now))
        _ = take([RateCharge(charge.bucket, tokens: there)], at: now)
    }

    mutating func put(_ charges: [RateCharge], at now: Timestamp) {
        for charge in charges {
            open(charge.bucket, at: now)
            buckets[charge.bucket.text]?.put(charge.tokens)
        }
    }

    mutating func tokens(of bucket: RateBucket, at now: Timestamp) -> Int {
        open(bucket, at: now)
        return buckets[bucket.text]?.tokens ?? 0
    }

    private mutating func open(_ bucket: RateBucket, at now: Timestamp) {
        var state = buckets[bucket.text] ?? TokenBucket(full: bucket.limit, at: now)
        state.advance(to: now)
        state.change(to: bucket.limit, at: now)
        buckets[bucket.text] = state
    }
}

/// Limits of which two seconds are less than a token: nothing is drawn ahead, and every answer has to be the model's.
struct LowLimits {
    private let house: RateHouse
    private var dice: Dice
    private var processes: [RateLimiter]
    private var vaultLimit: RateLimit
    private var keyLimit: RateLimit
    private var model = ReferenceModel()

    init(_ house: RateHouse, seed: Int) {
        self.house = house
        dice = Dice(seed: UInt64(seed) + 1_000)
        processes = (0..<3).map { _ in house.limiter() }
        vaultLimit = RateLimit(dice.roll(1...40))
        keyLimit = RateLimit(perHour: 60, burst: dice.roll(1...20))
    }

    private var vault: RateBucket { RateBucket(.vault, limit: vaultLimit) }
    private var keys: [RateBucket] { (0...1).map { RateBucket(.key, "key_\($0)", limit: keyLimit) } }

    mutating func play(_ step: String) async throws {
        let index = dice.roll(0...2)
        switch dice.roll(0...11) {
        case 0: house.clock.advance(seconds: Double(dice.roll(0...600_000)) / 1000)
        case 1: house.clock.advance(seconds: Double(dice.roll(0...1_500)) / 1000)
        case 2:
            vaultLimit = RateLimit(perHour: dice.roll(1...90), burst: dice.roll(1...40))
            try await take([RateCharge(vault, tokens: 1)], by: house.limiter(), step)
        case 3:
            keyLimit = RateLimit(perHour: dice.roll(1...1_000), burst: dice.roll(1...20))
            for key in keys { try await take([RateCharge(key, tokens: 1)], by: house.limiter(), step) }
        case 4:
            // Stopped or killed: it holds nothing that it could lose.
            if dice.roll(0...1) == 1 { await processes[index].tidy(all: true) }
            processes[index] = house.limiter()
        case 5: _ = try await RateRepository(database: house.database).dropFull(at: house.clock.now(), limit: 10)
        default:
            let charges = [
                RateCharge(vault, tokens: dice.roll(0...2)),
                RateCharge(keys[dice.roll(0...1)], tokens: dice.roll(1...2)),
            ].filter { $0.tokens > 0 }
            let grant = try await take(charges, by: processes[index], step)
            guard let grant, dice.roll(0...9) == 0 else { return }
            processes[index].giveBack(grant)
            model.put(charges, at: house.clock.now())
            await processes[index].tidy()
            // The others may remember for a second that there was nothing.
            house.clock.advance(seconds: 1)
        }
    }

    @discardableResult
    private mutating func take(
        _ charges: [RateCharge],
        by process: RateLimiter,
        _ step: String
    ) async throws -> RateGrant? {
        let expected = model.take(charges, at: house.clock.now())
        do {
            let grant = try await process.take(charges, in: house.vault)
            #expect(expected, "\(step): granted what is not there")
            return grant
        } catch let error as PosternError {
            #expect(!expected, "\(step): refused what is there: \(error)")
            return nil
        }
    }
}

/// Limits that are drawn in blocks: what passes stays within the sum of all that ever was in the bucket.
struct HighLimits {
    private let house: RateHouse
    private var dice: Dice
    private var processes: [RateLimiter]
    private var limit: RateLimit
    private var model = ReferenceModel()
    /// What the bucket has ever had, in its smallest unit.
    private var offered: Int
    private var passed = 0
    /// What killed processes took with them at most.
    private var lost = 0

    init(_ house: RateHouse, seed: Int) {
        self.house = house
        dice = Dice(seed: UInt64(seed) + 2_000)
        processes = (0..<3).map { _ in house.limiter() }
        limit = RateLimit(perHour: dice.roll(20_000...900_000), burst: dice.roll(100...5_000))
        offered = limit.burst * Int(TokenBucket.unit)
    }

    private var bucket: RateBucket { RateBucket(.vault, limit: limit) }

    mutating func play(_ step: String) async throws {
        let index = dice.roll(0...2)
        switch dice.roll(0...19) {
        case 0...1:
            let milliseconds = dice.roll(0...2_500)
            house.clock.advance(seconds: Double(milliseconds) / 1000)
            offered += milliseconds * limit.perHour
        case 2: await processes[index].tidy()
        case 3:
            if dice.roll(0...1) == 1 {
                await processes[index].tidy(all: true)
            } else {
                lost += limit.perHour * 2 / 3_600
            }
            processes[index] = house.limiter()
        case 4: try await change()
        default:
            let charge = RateCharge(bucket, tokens: dice.roll(1...60))
            guard try await processes[index].refusal([charge], in: house.vault) == nil else { return }
            passed += charge.tokens
            model.drain(charge, at: house.clock.now())
            #expect(passed * Int(TokenBucket.unit) <= offered, "\(step)")
        }
    }

    private mutating func change() async throws {
        for process in processes { await process.tidy(all: true) }
        let more = dice.roll(0...500)
        limit = RateLimit(perHour: dice.roll(20_000...900_000), burst: limit.burst + more)
        offered += more * Int(TokenBucket.unit)
        if try await processes[0].refusal([RateCharge(bucket, tokens: 1)], in: house.vault) == nil { passed += 1 }
        model.drain(RateCharge(bucket, tokens: 1), at: house.clock.now())
    }

    /// What is left is what an unshared bucket would hold, but for what was killed; and a pause fills it.
    mutating func end() async throws {
        for process in processes { await process.tidy(all: true) }
        let left = try await house.limiter().statuses([bucket], in: house.vault)[0].remaining
        #expect(left >= model.tokens(of: bucket, at: house.clock.now()) - lost)
        #expect(passed > 1_000)
        house.clock.advance(seconds: 3_600)
        let all = RateCharge(bucket, tokens: limit.burst)
        #expect(try await processes[0].refusal([all], in: house.vault) == nil)
    }
}
