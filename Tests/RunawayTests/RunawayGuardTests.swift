// What the guard charges the limits for, and that it forgets what did not go.

import Mapping
import Model
import Rates
import Testing

@testable import Runaway

@Suite("The runaway guard")
struct RunawayGuardTests {
    @Test("without a limit nothing is counted, nothing is remembered and no database is asked")
    func off() throws {
        let watchman = Watchman()
        let message = try Letter { $0.headers = [("Auto-Submitted", "auto-replied")] }.raw()
        for _ in 0..<5 { #expect(try watchman.cost(message) == []) }
        #expect(try watchman.cost(message, repeats: 5) == [])
    }

    @Test("the first copy costs nothing, the second is charged for both, each later one for itself")
    func copies() throws {
        let watchman = Watchman()
        let message = try Letter().raw()
        #expect(try watchman.cost(message, repeats: 5) == [])
        let second = try watchman.judge(message, repeats: 5)
        #expect(second.charges.map(\.tokens) == [2])
        let bucket = try #require(second.charges.first?.bucket)
        #expect(bucket.kind == .repeat && bucket.name.utf8.count == 32)
        #expect(bucket.limit == RateLimit(perHour: 5, burst: 5))
        let third = try watchman.judge(try Letter().raw(extra: [("Date", "tomorrow")]), repeats: 5)
        #expect(third.charges == [RateCharge(bucket, tokens: 1)])
        // Another recipient is another message.
        #expect(try watchman.cost(try Letter { $0.recipients = ["joe@example.net"] }.raw(), repeats: 5) == [])
    }

    @Test("the first copy is not charged any more when the limit would have forgotten it")
    func forgotten() throws {
        for (limit, hours, tokens) in [(1, 0.99, 2), (1, 1.0, 1), (4, 0.24, 2), (4, 0.25, 1), (1, -5, 2)] {
            let watchman = Watchman()
            let message = try Letter().blocks()
            #expect(try watchman.cost(message, repeats: limit) == [])
            watchman.clock.advance(seconds: hours * 3600)
            #expect(try watchman.cost(message, repeats: limit) == [tokens])
        }
    }

    @Test("what was not accepted is no copy of what comes later")
    func withdrawn() throws {
        let watchman = Watchman()
        let message = try Letter().blocks()
        for _ in 0..<3 { watchman.guardian.withdraw(try watchman.judge(message, repeats: 1)) }
        #expect(try watchman.cost(message, repeats: 1) == [])
        for _ in 0..<3 {
            let refused = try watchman.judge(message, repeats: 1)
            #expect(refused.charges.map(\.tokens) == [2])
            watchman.guardian.withdraw(refused)
        }
        // It was seen an hour ago, not a moment ago when it was refused.
        watchman.clock.advance(seconds: 3600)
        #expect(try watchman.cost(message, repeats: 1) == [1])
        let third = try watchman.judge(message, repeats: 1)
        #expect(third.charges.map(\.tokens) == [1])
        watchman.guardian.withdraw(third)
        #expect(try watchman.cost(message, repeats: 1) == [1])
    }

    @Test("a first copy that is taken back after the second was charged stays charged")
    func withdrawnLate() throws {
        let watchman = Watchman()
        let message = try Letter().blocks()
        let first = try watchman.judge(message, repeats: 9)
        #expect(try watchman.cost(message, repeats: 9) == [2])
        watchman.guardian.withdraw(first)
        #expect(try watchman.cost(message, repeats: 9) == [1])
    }

    @Test("copies in one submission are counted too, as one charge a bucket")
    func sameSubmission() throws {
        let watchman = Watchman()
        let message = try Letter().blocks()
        let judgement = try watchman.judge(message, message, message, repeats: 9)
        #expect(judgement.charges.map(\.tokens) == [3])
        watchman.guardian.withdraw(judgement)
        #expect(try watchman.cost(message, repeats: 9) == [])
    }

    @Test("each recipient is counted apart, in all vaults apart")
    func apart() throws {
        let watchman = Watchman()
        let message = try Letter { $0.recipients = ["a@example.net", "b@example.net", "c@example.net"] }.raw()
        #expect(try watchman.cost(message, repeats: 3) == [])
        #expect(try watchman.cost(message, repeats: 3) == [2, 2, 2])
        #expect(try watchman.cost(try Letter { $0.recipients = ["b@example.net"] }.raw(), repeats: 3) == [1])
        let other = Watchman(vault: 2).caller
        #expect(try watchman.judge(message, repeats: 3, by: other).charges.isEmpty)
    }

    @Test("envelopes of one message may differ in what they say")
    func contents() throws {
        let watchman = Watchman()
        let (first, second) = (try Letter().blocks(), try Letter { $0.text = "other" }.blocks())
        let both = MappedMessage(
            correlation: first.correlation, envelopes: first.envelopes + second.envelopes + first.envelopes)
        #expect(try watchman.cost(both, repeats: 3) == [2])
        // A circle in any of them is found.
        let loop = try Letter { $0.headers = Array(repeating: ("Received", "by a; x"), count: 51) }.blocks()
        let mixed = MappedMessage(correlation: first.correlation, envelopes: first.envelopes + loop.envelopes)
        #expect(watchman.refusal(mixed) != nil)
    }

    @Test(
        "automatic replies are counted by sender and recipient, from the first on",
        arguments: [
            ("Auto-Submitted", "auto-replied (vacation)"), ("X-Autoreply", "yes"), ("X-Autorespond", "away"),
            ("Precedence", "auto_reply"),
        ])
    func replies(name: String, value: String) throws {
        let watchman = Watchman()
        let reply = Letter { $0.headers = [(name, value)] }
        let first = try watchman.judge(try reply.raw(), replies: 4).charges
        #expect(first.map(\.tokens) == [1])
        let bucket = try #require(first.first?.bucket)
        #expect(bucket.kind == .autoReply && bucket.limit == RateLimit(perHour: 4, burst: 4))
        // Other words, other letter case: the same two.
        var again = reply
        again.subject = "Re: Hello"
        again.from = "Agent@example.com"
        again.recipients = ["JANE@example.net"]
        #expect(try watchman.judge(try again.blocks(), replies: 4).charges == first)
        var back = reply
        (back.from, back.recipients) = (reply.recipients[0], [reply.from])
        let buckets = try watchman.judge(try back.raw(), replies: 4).charges.map(\.bucket)
        #expect(buckets.count == 1 && buckets != [bucket])
    }

    @Test("other mail is no automatic reply; what a program writes to itself is counted like one")
    func noReplies() throws {
        let watchman = Watchman()
        let generated = Letter { $0.headers = [("Auto-Submitted", "auto-generated"), ("Precedence", "bulk")] }
        #expect(try watchman.cost(try generated.raw(), replies: 1) == [])
        #expect(try watchman.cost(try Letter().raw(), replies: 1) == [])
        #expect(try watchman.cost(try Letter { $0.recipients = [$0.from] }.raw(), replies: 1) == [])
        var toItself = generated
        toItself.recipients = [generated.from]
        #expect(try watchman.cost(try toItself.raw(), replies: 1) == [1])
    }

    @Test("both limits are charged in one go")
    func both() throws {
        let watchman = Watchman()
        let message = try Letter { $0.headers = [("Auto-Submitted", "auto-replied")] }.raw()
        #expect(try watchman.judge(message, repeats: 3, replies: 3).charges.map(\.bucket.kind) == [.autoReply])
        let kinds = try watchman.judge(message, repeats: 3, replies: 3).charges.map(\.bucket.kind)
        #expect(kinds == [.autoReply, .repeat])
    }
}

@Suite("The table of what was seen")
struct SightingsTests {
    private func digest(_ number: Int) throws -> CopyDigest {
        let body = BodyDigest(text: "\(number)", html: [])
        return CopyDigest(of: try Letter().blocks().envelopes[0], body: body, in: VaultID(high: 0, low: 1))
    }

    @Test("it never holds more than its size, the oldest go first, and what comes again stays")
    func bounded() throws {
        var sightings = Sightings(capacity: 100)
        let now = ManualClock().now()
        let regular = try digest(-1)
        _ = sightings.see(regular, at: now, limit: 10)
        for number in 0..<1_000 {
            #expect(sightings.see(try digest(number), at: now, limit: 10).tokens == 0)
            #expect(sightings.count <= 101)
            #expect(sightings.see(regular, at: now, limit: 10).tokens > 0)
        }
        // The half that is kept always is known still, what is older than all places is not.
        for number in (960..<1_000).reversed() {
            #expect(sightings.see(try digest(number), at: now, limit: 10).tokens == 2)
        }
        #expect(sightings.see(try digest(5), at: now, limit: 10).tokens == 0)
    }

    @Test("what is taken back after it was forgotten comes not back")
    func takenBackLate() throws {
        var sightings = Sightings(capacity: 2)
        let now = ManualClock().now()
        let first = try digest(1)
        _ = sightings.see(first, at: now, limit: 5)
        let second = sightings.see(first, at: now, limit: 5).change
        for number in 2..<9 { _ = sightings.see(try digest(number), at: now, limit: 5) }
        sightings.takeBack(second)
        #expect(sightings.see(first, at: now, limit: 5).tokens == 0)
    }

    @Test("a limit that counts as the guard charges lets through what it allows, but for one message at most")
    func againstReference() throws {
        // A reference limiter that counts every copy, and one that is charged by the table, over the same arrivals.
        var dice = Dice(3)
        for limit in [1, 2, 3, 10] {
            var sightings = Sightings(capacity: 10)
            var exact = Bucket(limit), charged = Bucket(limit)
            var passed = (exact: 0, charged: 0)
            var now = Timestamp(milliseconds: 0)
            let copy = try digest(0)
            for _ in 0..<400 {
                now = now.adding(seconds: Double(Int.random(in: 0...(7_200 / limit), using: &dice)))
                if exact.take(1, at: now) { passed.exact += 1 }
                let sight = sightings.see(copy, at: now, limit: limit)
                if charged.take(sight.tokens, at: now) {
                    passed.charged += 1
                } else {
                    sightings.takeBack(sight.change)
                }
                #expect(passed.charged <= passed.exact + 1)
            }
            #expect(passed.charged >= passed.exact - 1)
        }
    }

    /// A token bucket in its plainest form.
    private struct Bucket {
        private let limit: Int
        private var level: Double
        private var at = Timestamp(milliseconds: 0)

        init(_ limit: Int) { (self.limit, level) = (limit, Double(limit)) }

        mutating func take(_ tokens: Int, at now: Timestamp) -> Bool {
            level = min(Double(limit), level + Double((now.milliseconds - at.milliseconds) * Int64(limit)) / 3_600_000)
            at = now
            guard level >= Double(tokens) else { return false }
            level -= Double(tokens)
            return true
        }
    }
}
