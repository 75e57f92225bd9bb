// The limiter as one process sees it: what passes, what is refused, and with which words.

import CoreTestSupport
import Model
import Testing

@testable import Rates

@Suite("The rate limiter")
struct RateLimiterTests {
    private func vault(_ perHour: Int, burst: Int? = nil) -> RateBucket {
        RateBucket(.vault, limit: RateLimit(perHour, burst: burst))
    }

    @Test(
        "a limit of one lets one through; the refusal says when the next may go, and then it goes",
        arguments: TestEngine.all)
    func one(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let limiter = house.limiter()
            let bucket = vault(1)
            #expect(try await limiter.refusal(of: bucket, in: house.vault) == nil)
            let refusal = try #require(try await limiter.refusal(of: bucket, in: house.vault))
            #expect(refusal.code == .rateLimited && refusal.retryAfter == 3600)
            #expect(
                refusal.rate
                    == RateStatus(name: "vault", limit: bucket.limit, remaining: 0, resetSeconds: 3600))
            house.clock.advance(seconds: 3599)
            #expect(try await limiter.refusal(of: bucket, in: house.vault)?.retryAfter == 1)
            house.clock.advance(seconds: 1)
            #expect(try await limiter.refusal(of: bucket, in: house.vault) == nil)
            #expect(try await limiter.refusal(of: bucket, in: house.vault)?.retryAfter == 3600)
        }
    }

    @Test("a refusal is remembered no longer than until the time that it names", arguments: TestEngine.all)
    func memory(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let limiter = house.limiter()
            let bucket = vault(36_000, burst: 1)
            for _ in 0..<20 {
                #expect(try await limiter.refusal(of: bucket, in: house.vault) == nil)
                #expect(try await limiter.refusal(of: bucket, in: house.vault) != nil)
                house.clock.advance(seconds: 0.099)
                #expect(try await limiter.refusal(of: bucket, in: house.vault) != nil)
                house.clock.advance(seconds: 0.001)
            }
        }
    }

    @Test("all charges are taken, or none", arguments: TestEngine.all)
    func allOrNone(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let limiter = house.limiter()
            let (wide, narrow) = (vault(10), RateBucket(.key, "key_1", limit: RateLimit(3)))
            let both = [RateCharge(wide, tokens: 2), RateCharge(narrow, tokens: 2)]
            #expect(try await limiter.refusal(both, in: house.vault) == nil)
            let refusal = try await limiter.refusal(both, in: house.vault)
            #expect(refusal?.rate?.name == "key" && refusal?.rate?.remaining == 1)
            #expect(try await limiter.statuses([wide, narrow], in: house.vault).map(\.remaining) == [8, 1])
            // The same once more, this time without asking the database.
            #expect(try await limiter.refusal(both, in: house.vault) != nil)
            #expect(try await limiter.refusal(8, of: wide, in: house.vault) == nil)
            #expect(try await limiter.refusal(1, of: narrow, in: house.vault) == nil)
        }
    }

    @Test("a bucket that is charged twice in one take is charged the sum")
    func twice() async throws {
        try await withRateHouse { house async throws in
            let limiter = house.limiter()
            let bucket = vault(5)
            let charges = [RateCharge(bucket, tokens: 2), RateCharge(bucket, tokens: 2), RateCharge(bucket, tokens: 0)]
            #expect(try await limiter.refusal(charges, in: house.vault) == nil)
            #expect(try await limiter.refusal(charges, in: house.vault)?.code == .rateLimited)
            #expect(try await limiter.refusal(1, of: bucket, in: house.vault) == nil)
            let tooMany = [RateCharge(bucket, tokens: 3), RateCharge(bucket, tokens: 3)]
            #expect(try await limiter.refusal(tooMany, in: house.vault)?.code == .burstExceeded)
        }
    }

    @Test("each kind refuses in its own words, and what no waiting mends comes first")
    func words() async throws {
        try await withRateHouse { house async throws in
            let limiter = house.limiter()
            let limit = RateLimit(4)
            func refused(_ kind: RateBucket.Kind) async throws -> PosternError {
                let bucket = RateBucket(kind, kind == .vault ? "" : "x.example", limit: limit)
                #expect(try await limiter.refusal(4, of: bucket, in: house.vault) == nil)
                return try #require(try await limiter.refusal(1, of: bucket, in: house.vault))
            }
            let settings: [(RateBucket.Kind, String)] = [
                (.vault, "send_rate_limit"), (.key, "key_send_rate_limit"), (.own, "own limit"),
                (.agent, "agent_send_rate_limit"), (.domain, "domain_send_rate_limit"),
            ]
            for (kind, setting) in settings {
                let error = try await refused(kind)
                #expect(error.code == .rateLimited && error.detail.contains(setting), "\(error)")
                #expect(error.retryAfter == 900)
            }
            let approval = try await refused(.approval)
            #expect(approval.code == .approvalRequired && approval.detail.contains("approve_over_rate_threshold"))
            let again = try await refused(.repeat)
            #expect(again.code == .repeatedMessage && again.detail.contains("repeat_limit") && again.retryAfter == 900)
            let reply = try await refused(.autoReply)
            #expect(reply.code == .repeatedMessage && reply.detail.contains("auto_reply_limit"))

            let burst = try await limiter.refusal(5, of: vault(9, burst: 4), in: house.other)
            #expect(burst?.code == .burstExceeded && burst?.retryAfter == nil)
            #expect(burst?.detail.contains("burst_ceiling") == true && burst?.detail.contains("4") == true)
            let over = RateBucket(.approval, "y", limit: limit)
            #expect(try await limiter.refusal(5, of: over, in: house.vault)?.code == .approvalRequired)
            let mixed = [
                RateCharge(vault(4), tokens: 1),
                RateCharge(RateBucket(.approval, "x.example", limit: limit), tokens: 1),
                RateCharge(RateBucket(.repeat, "x.example", limit: limit), tokens: 1),
            ]
            #expect(try await limiter.refusal(mixed, in: house.vault)?.code == .approvalRequired)
            #expect(try await limiter.refusal(Array(mixed.dropLast()), in: house.vault)?.code == .approvalRequired)
            let worse = mixed + [RateCharge(RateBucket(.key, "k", limit: limit), tokens: 5)]
            #expect(try await limiter.refusal(worse, in: house.vault)?.code == .burstExceeded)
        }
    }

    @Test("the buckets of one vault are nothing to another")
    func apart() async throws {
        try await withRateHouse { house async throws in
            let limiter = house.limiter()
            #expect(try await limiter.refusal(3, of: vault(3), in: house.vault) == nil)
            #expect(try await limiter.refusal(3, of: vault(3), in: house.other) == nil)
            #expect(try await limiter.statuses([vault(3)], in: house.vault).map(\.remaining) == [0])
            #expect(try await limiter.refusal(1, of: vault(3), in: house.other) != nil)
        }
    }

    @Test("the grant names the tightest limit, and no other kind of bucket")
    func tightest() async throws {
        try await withRateHouse { house async throws in
            let charges = [
                RateCharge(vault(100), tokens: 2),
                RateCharge(RateBucket(.domain, "example.org", limit: RateLimit(10)), tokens: 1),
                RateCharge(RateBucket(.repeat, "digest", limit: RateLimit(2)), tokens: 1),
                RateCharge(RateBucket(.approval, "key_1", limit: RateLimit(3)), tokens: 1),
            ]
            let status = try await house.limiter().take(charges, in: house.vault).status
            #expect(
                status
                    == RateStatus(name: "domain:example.org", limit: RateLimit(10), remaining: 9, resetSeconds: 360))
            #expect(try await house.limiter().take([charges[2]], in: house.vault).status == nil)
        }
    }

    @Test("the tightest bucket's remainder counts down by one a message, block or not")
    func countdown() async throws {
        try await withRateHouse { house async throws in
            let limiter = house.limiter()
            for left in stride(from: 99_999, to: 99_000, by: -1) {
                let grant = try await limiter.take([RateCharge(vault(100_000), tokens: 1)], in: house.vault)
                guard grant.status?.remaining == left else {
                    Issue.record("\(String(describing: grant.status)) instead of \(left)")
                    return
                }
            }
        }
    }

    @Test("what is given back can be taken again, here at once", arguments: TestEngine.all)
    func givenBack(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let (limiter, neighbour) = (house.limiter(), house.limiter())
            let grant = try await limiter.take([RateCharge(vault(2), tokens: 2)], in: house.vault)
            #expect(try await limiter.refusal(of: vault(2), in: house.vault) != nil)
            limiter.giveBack(grant)
            #expect(try await limiter.refusal(of: vault(2), in: house.vault) == nil)
            #expect(try await neighbour.refusal(of: vault(2), in: house.vault) != nil)
            // And elsewhere after the next upkeep.
            await limiter.tidy()
            house.clock.advance(seconds: 1)
            #expect(try await neighbour.refusal(of: vault(2), in: house.vault) == nil)
            #expect(try await limiter.refusal(of: vault(2), in: house.vault) != nil)
        }
    }

    @Test("a limit that is raised helps at once, one that is lowered holds at once", arguments: TestEngine.all)
    func changed(_ engine: TestEngine) async throws {
        try await withRateHouse(engine) { house async throws in
            let limiter = house.limiter()
            #expect(try await limiter.refusal(of: vault(1), in: house.vault) == nil)
            #expect(try await limiter.refusal(of: vault(1), in: house.vault) != nil)
            #expect(try await limiter.refusal(4, of: vault(5), in: house.vault) == nil)
            #expect(try await limiter.refusal(1, of: vault(5), in: house.vault) != nil)
            #expect(try await limiter.refusal(1, of: vault(1), in: house.vault) != nil)
        }
    }

    @Test("what is held of a block goes back when the limit changes")
    func changedBlock() async throws {
        try await withRateHouse { house async throws in
            let limiter = house.limiter()
            let large = vault(1_000_000)
            for _ in 0..<3 { #expect(try await limiter.refusal(of: large, in: house.vault) == nil) }
            let raised = vault(1_000_003)
            #expect(try await limiter.refusal(1_000_000, of: raised, in: house.vault) == nil)
            #expect(try await limiter.refusal(1, of: raised, in: house.vault) != nil)
        }
    }
}
