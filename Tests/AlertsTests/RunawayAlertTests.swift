// The alert about a caller that runs away: at once, told once, and over when it is quiet.

import CoreTestSupport
import Model
import SQL
import Store
import TestSupport
import Testing

@testable import Alerts

@Suite("A caller that runs away")
struct RunawayAlertTests {
    private func cut(
        _ house: TestHouse,
        _ count: Int = 1,
        reason: String = "mail_loop",
        by caller: Caller? = nil
    ) async throws {
        let caller = caller ?? house.caller
        let now = house.clock.now()
        try await RunawayRepository(database: house.database).record([
            RunawayCut(
                vault: caller.vault, caller: caller.identity.id, label: caller.label, reason: reason, cuts: count,
                detail: "a@example.com would answer itself", firstAt: now, lastAt: now)
        ])
    }

    private func probe(_ house: TestHouse, on database: (any SQLDatabase)? = nil) -> AlertProbe {
        AlertProbe.runaway(RunawayRepository(database: database ?? house.database), clock: house.clock)
    }

    @Test(
        "it is told at once with who, what and how often, and once; it is over a quarter of an hour after the last cut-off",
        arguments: TestEngine.all)
    func opensAndCloses(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let channel = RecordingChannel()
            let watch = Watch(house, [probe(house)], [channel])
            await watch.rounds(for: 60)
            #expect(channel.taken.isEmpty)
            let since = house.clock.now()
            try await cut(house, 41)
            try await cut(house, reason: "repeated_message")
            await watch.round()
            let alert = try #require(channel.taken.first?.alert)
            #expect(channel.news == ["runaway_cut_off opened"])
            #expect(alert.vault == house.vault.id && alert.openedAt == since)
            #expect(alert.subject == "caller \(house.caller.identity.id) of \(house.vault.id)")
            #expect(
                alert.detail
                    == "tests was cut off 41 times for mail_loop and once for repeated_message since \(since); "
                    + "the last time: a@example.com would answer itself")
            // It goes on: the same alert still.
            await watch.rounds(for: 600)
            try await cut(house, 1_000)
            await watch.rounds(for: 895)
            #expect(channel.news.count == 1)
            #expect(try await house.alerts(.unresolved).map(\.id) == [alert.id])
            await watch.rounds(for: 40)
            #expect(channel.news == ["runaway_cut_off opened", "runaway_cut_off closed"])
            #expect(try await house.alerts(.unresolved).isEmpty)
            // It comes back: another alert, counted anew.
            try await cut(house)
            await watch.round()
            let next = try #require(channel.taken.last?.alert)
            #expect(channel.news.count == 3 && next.id != alert.id)
            #expect(next.detail.contains("cut off once for mail_loop"))
        }
    }

    @Test("each vault's caller is a finding of its own, and no vault sees another's", arguments: TestEngine.all)
    func apart(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (other, stranger) = try await house.neighbour()
            let colleague = Caller(
                vault: house.vault.id, identity: .smtpUser(house.ids.next()), label: "printer", scopes: .all)
            try await cut(house)
            try await cut(house, reason: "repeated_message")
            try await cut(house, by: colleague)
            try await cut(house, by: stranger)
            let watch = Watch(house, [probe(house)], [])
            await watch.round()
            let alerts = AlertRepository(database: house.database)
            let ours = try await alerts.list(AlertQuery(), in: .vault(house.vault.id))
            #expect(ours.count == 2 && Set(ours.map(\.subject)).count == 2)
            #expect(ours.contains { $0.detail.hasPrefix("printer was cut off once") })
            #expect(try await alerts.list(AlertQuery(), in: .vault(other.id)).map(\.subject).count == 1)
            #expect(await probe(house).look()?.count == 3)
        }
    }

    @Test("what somebody wrote into a label or an address does not break the line")
    func foreignWords() async throws {
        try await withHouse { house in
            let caller = Caller(
                vault: house.vault.id, identity: house.caller.identity, label: "bot\u{202E}\nall is well", scopes: .all)
            try await cut(house, by: caller)
            let finding = try #require(await probe(house).look()?.first)
            #expect(finding.detail.hasPrefix("bot  all is well was cut off"))
        }
    }

    @Test("where the database does not answer, it cannot be told")
    func databaseAway() async throws {
        try await withHouse { house in
            let flaky = FlakyDatabase(house.database)
            flaky.isThere(false)
            #expect(await probe(house, on: flaky).look() == nil)
        }
    }

    @Test("asking runs along an index")
    func plan() async throws {
        try await withHouse(.sqlite) { house in
            let recorder = StatementRecorder(house.database)
            let runaways = RunawayRepository(database: recorder)
            _ = try await runaways.cuts(since: house.clock.now(), limit: 10)
            _ = try await runaways.dropOld(at: house.clock.now(), limit: 10)
            for statement in recorder.take() {
                let plan = try await house.database.read { connection in
                    try connection.rows("EXPLAIN QUERY PLAN \(statement)").map { try $0.text(3) }
                }
                #expect(!plan.contains { $0.hasPrefix("SCAN") && !$0.contains("INDEX") }, "\(plan)")
            }
        }
    }
}
