// The bucket as a value, against one that is counted millisecond by millisecond.

import Model
import Store
import Testing

@testable import Rates

@Suite("A token bucket")
struct TokenBucketTests {
    private let start = Timestamp(milliseconds: 1_800_000_000_000)

    private func after(_ milliseconds: Int64) -> Timestamp {
        Timestamp(milliseconds: start.milliseconds + milliseconds)
    }

    @Test("a limit of one an hour gives one, and the next one when the hour is over, to the millisecond")
    func one() {
        var bucket = TokenBucket(full: RateLimit(1), at: start)
        #expect(bucket.take(1) == true)
        #expect(bucket.take(1) == false)
        #expect(bucket.time(of: 1) == after(3_600_000))
        bucket.advance(to: after(3_599_999))
        #expect(bucket.take(1) == false)
        bucket.advance(to: after(3_600_000))
        #expect(bucket.take(1) == true)
        #expect(bucket.take(1) == false)
    }

    @Test("many short steps gain exactly what one long step gains")
    func steps() {
        var (stepped, leapt) = (TokenBucket(full: RateLimit(7), at: start), TokenBucket(full: RateLimit(7), at: start))
        #expect(stepped.take(7) && leapt.take(7))
        for step in 1...9_999 { stepped.advance(to: after(Int64(step) * 137)) }
        leapt.advance(to: after(9_999 * 137))
        #expect(stepped == leapt)
    }

    @Test("takes, gifts and time in any order give what counting every millisecond gives", arguments: 0..<20)
    func model(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        let limit = RateLimit(perHour: dice.roll(1...3_000_000), burst: dice.roll(1...40))
        var bucket = TokenBucket(full: limit, at: start)
        let capacity = Int64(limit.burst) * 3_600_000
        var (level, time) = (capacity, Int64(0))
        for _ in 0..<400 {
            switch dice.roll(0...5) {
            case 0...2:
                let tokens = dice.roll(1...5)
                let isThere = level >= Int64(tokens) * 3_600_000
                #expect(bucket.take(tokens) == isThere)
                if isThere { level -= Int64(tokens) * 3_600_000 }
            case 3:
                let tokens = dice.roll(0...3)
                bucket.put(tokens)
                level = min(level + Int64(tokens) * 3_600_000, capacity)
            default:
                let step = dice.roll(0...2_000)
                for _ in 0..<step { level = min(level + Int64(limit.perHour), capacity) }
                time += Int64(step)
                bucket.advance(to: after(time))
            }
            #expect(bucket.level == level && bucket.tokens == Int(level / 3_600_000))
        }
    }

    @Test("the time of the next tokens is the first millisecond at which they are there", arguments: 0..<50)
    func promise(seed: Int) {
        var dice = Dice(seed: UInt64(seed))
        let limit = RateLimit(perHour: dice.roll(1...1_000_000), burst: dice.roll(1...1_000))
        var bucket = TokenBucket(full: limit, at: start)
        #expect(bucket.take(dice.roll(1...limit.burst)) == true)
        if dice.roll(0...1) == 1 {
            bucket.change(to: RateLimit(dice.roll(1...1_000)), at: after(Int64(dice.roll(0...1_000))))
        }
        let wanted = dice.roll(1...bucket.limit.burst)
        let ready = bucket.time(of: wanted)
        var before = bucket
        before.advance(to: Timestamp(milliseconds: ready.milliseconds - 1))
        #expect(ready == bucket.time || before.tokens < wanted)
        bucket.advance(to: ready)
        #expect(bucket.tokens >= wanted)
    }

    @Test("the largest limits and the longest pauses do not overflow")
    func extremes() {
        let largest = RateLimit(RateLimit.maximum)
        var bucket = TokenBucket(full: largest, at: start)
        #expect(bucket.take(RateLimit.maximum) == true)
        bucket.advance(to: Timestamp(milliseconds: 253_402_300_799_999))
        #expect(bucket.tokens == RateLimit.maximum)
        bucket.put(Int.max)
        #expect(bucket.tokens == RateLimit.maximum)
        #expect(bucket.take(Int.max) == false)
        bucket.change(to: RateLimit(1), at: bucket.time)
        bucket.change(to: largest, at: bucket.time)
        #expect(bucket.tokens == RateLimit.maximum)
        _ = bucket.take(RateLimit.maximum)
        bucket.change(to: RateLimit(1), at: bucket.time)
        #expect(bucket.time(of: 1).milliseconds == bucket.time.milliseconds + 2 * 3_600_000)
    }

    @Test("a clock that is behind gains nothing and takes nothing away")
    func behind() {
        var bucket = TokenBucket(full: RateLimit(60), at: start)
        #expect(bucket.take(60) == true)
        bucket.advance(to: after(600_000))
        #expect(bucket.tokens == 10)
        bucket.advance(to: after(1_000))
        #expect(bucket.tokens == 10 && bucket.time == after(600_000))
        bucket.advance(to: after(660_000))
        #expect(bucket.tokens == 11)
    }

    @Test("a clock that was years ahead and was set right stops nobody for years")
    func brokenClock() {
        var bucket = TokenBucket(full: RateLimit(60), at: after(10 * 365 * 86_400_000))
        #expect(bucket.take(60) == true)
        bucket.advance(to: start)
        #expect(bucket.tokens == 0)
        bucket.advance(to: after(60_000))
        #expect(bucket.tokens == 1)
    }
}

@Suite("A token bucket whose limit changes")
struct TokenBucketChangeTests {
    private let start = Timestamp(milliseconds: 1_800_000_000_000)

    @Test("what is gone stays gone: 3 of 5 leave 7 of 10, and none of 2")
    func used() {
        var bucket = TokenBucket(full: RateLimit(5), at: start)
        #expect(bucket.take(3) == true)
        var raised = bucket
        raised.change(to: RateLimit(10), at: start)
        #expect(raised.tokens == 7)
        bucket.change(to: RateLimit(2), at: start)
        #expect(bucket.tokens == 0)
    }

    @Test("a bucket that is full stays full")
    func full() {
        var bucket = TokenBucket(full: RateLimit(5), at: start)
        for limit in [RateLimit(50), RateLimit(perHour: 7, burst: 3), RateLimit(1)] {
            bucket.change(to: limit, at: start)
            #expect(bucket.tokens == limit.burst)
        }
    }

    @Test("two processes that see a change at different times win nothing, however often they alternate")
    func flapping() {
        let (low, high) = (RateLimit(10), RateLimit(100))
        var bucket = TokenBucket(full: high, at: start)
        var taken = 0
        for _ in 0..<1_000 {
            bucket.change(to: low, at: start)
            if bucket.take(1) { taken += 1 }
            bucket.change(to: high, at: start)
            if bucket.take(1) { taken += 1 }
        }
        #expect(taken == 100)
    }

    @Test("what went before a limit was lowered is forgotten after an hour, not after days")
    func forgiven() {
        var bucket = TokenBucket(full: RateLimit(1_000), at: start)
        #expect(bucket.take(1_000) == true)
        bucket.change(to: RateLimit(10), at: start)
        let ready = start.adding(seconds: 3_600 + 360)
        #expect(bucket.time(of: 1) == ready)
        bucket.advance(to: start.adding(seconds: 1_800))
        #expect(bucket.time(of: 1) == ready)
        bucket.advance(to: Timestamp(milliseconds: ready.milliseconds - 1))
        #expect(bucket.take(1) == false)
        bucket.advance(to: ready)
        #expect(bucket.take(1) == true)
    }

    @Test("a small debt is paid by the rate")
    func paid() {
        var bucket = TokenBucket(full: RateLimit(12), at: start)
        #expect(bucket.take(12) == true)
        bucket.change(to: RateLimit(perHour: 12, burst: 10), at: start)
        #expect(bucket.time(of: 1) == start.adding(seconds: 900))
        #expect(bucket.time(of: 10) == start.adding(seconds: 3_600))
        bucket.advance(to: start.adding(seconds: 900))
        #expect(bucket.tokens == 1)
    }
}
