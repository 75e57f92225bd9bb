// What is counted over a window, in a real database: bounces, refusals, failed sign-ins.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import TestSupport
import Testing

@testable import Alerts

@Suite("Counts over a window")
struct AlertCountTests {
    private func end(_ count: Int, as status: String, by caller: Caller? = nil, _ house: TestHouse) async throws {
        let ids = try await house.accept(by: caller) { $0.recipients = (0..<count).map { "r\($0)@example.net" } }
        let now = house.clock.now().milliseconds
        try await house.database.write { connection in
            try connection.execute(
                """
                UPDATE smtp_relay_logs SET status = \(status), updated_at = \(now) WHERE id IN \(list: ids.map(\.text))
                """)
        }
    }

    @Test(
        "a vault of which a tenth bounced is found, from fifty messages on; what waits or was captured counts nothing",
        arguments: TestEngine.all)
    func bounceRate(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let probe = AlertProbe.bounceRate(AlertRepository(database: house.database), clock: house.clock)
            let (other, neighbour) = try await house.neighbour()
            try await end(44, as: "delivered", house)
            try await end(3, as: "bounced", house)
            try await end(2, as: "failed", house)
            try await end(400, as: "captured", house)
            try await end(400, as: "queued", house)
            try await end(30, as: "bounced", by: neighbour, house)
            #expect(await probe.look() == [])
            try await end(1, as: "expired", house)
            let finding = try #require(await probe.look()?.first)
            #expect(await probe.look()?.count == 1)
            #expect(finding.vault == house.vault.id && finding.subject == "mail of \(house.vault.id)")
            #expect(
                finding.detail
                    == "5 of 50 messages that ended in the last 60 min bounced or failed: 10 %; the threshold is 10 %")
            // A rule of the neighbour's own, with a smaller minimum, is about the neighbour alone.
            let own = AlertRule.test(1, .bounceRate, vault: other.id) {
                $0.minimum = 5
                $0.window = 600
            }
            #expect(Set(try #require(await probe.look([own])).map(\.vault)) == [house.vault.id, other.id])
            house.clock.advance(seconds: 3_601)
            #expect(await probe.look([own]) == [])
        }
    }

    @Test("no more messages of a vault are looked at than the bound, the latest first", arguments: TestEngine.all)
    func bounded(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let since = house.clock.now()
            try await end(30, as: "bounced", house)
            house.clock.advance(seconds: 10)
            try await end(30, as: "delivered", house)
            #expect(
                try await alerts.bounces(since: since, limit: 40)
                    == [BounceCount(vault: house.vault.id, ended: 40, bounced: 10)])
        }
    }

    private func refuse(
        _ house: TestHouse,
        _ actor: Actor,
        count: Int = 1,
        outcome: AuditEntry.Outcome = .refused,
        in vault: VaultID? = nil
    ) async throws {
        let after = count > 1 ? JSONValue.object(JSONObject(["count": .integer(Int64(count))])) : nil
        let entry = AuditEntry(
            id: house.ids.next(), at: house.clock.now(), actor: actor, action: "key.write", resource: "keys",
            after: after,
            outcome: outcome, reason: "forbidden: \(actor.label) may not")
        let vault = vault ?? house.vault.id
        try await house.database.write { connection in try connection.record(entry, in: vault) }
    }

    @Test(
        "a caller that was refused a hundred times is found, whatever one record stands for", arguments: TestEngine.all)
    func refusals(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let probe = AlertProbe.refusals(AlertRepository(database: house.database), clock: house.clock)
            let other = try await house.neighbour().vault.id
            let bot = Actor(id: "key_0000000000000001", label: "bot\u{202E}\nadmin", door: "http")
            let calm = Actor(id: "key_0000000000000002", label: "calm", door: "http")
            try await refuse(house, bot)
            try await refuse(house, bot, count: 98)
            try await refuse(house, calm, count: 99)
            try await refuse(house, calm, count: 500, outcome: .failed)
            // The same caller in another vault is another matter.
            try await refuse(house, bot, count: 99, in: other)
            #expect(await probe.look() == [])
            try await refuse(house, bot)
            let finding = try #require(await probe.look()?.first)
            #expect(await probe.look()?.count == 1)
            #expect(finding.vault == house.vault.id)
            #expect(finding.subject == "caller key_0000000000000001 of \(house.vault.id)")
            #expect(
                finding.detail
                    == "bot  admin was refused 100 times in the last 15 min; the last time key.write: forbidden: "
                    + "bot  admin may not; the threshold is 100")
            house.clock.advance(seconds: 901)
            #expect(await probe.look() == [])
        }
    }

    @Test(
        "sign-ins that fail are counted over all accounts, whether or not anybody has them", arguments: TestEngine.all)
    func signIns(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let probe = AlertProbe.signInFailures(AlertRepository(database: house.database), clock: house.clock)
            func fail(_ subject: String, _ count: Int) async throws {
                let now = house.clock.now().milliseconds
                try await house.database.write { connection in
                    try connection.execute(
                        """
                        INSERT INTO sign_in_attempts (subject, failures, window_at) VALUES (\(subject), \(count), \(now))
                        """)
                }
            }
            #expect(await probe.look() == [])
            try await fail("account:ada@example.com", 10)
            try await fail("account:nobody@example.com", 9)
            try await fail("address:192.0.2.7", 500)
            try await fail("reset:ada@example.com", 500)
            #expect(await probe.look() == [])
            try await fail("account:bob@example.com", 1)
            let finding = try #require(await probe.look()?.first)
            #expect(finding.vault == nil)
            #expect(finding.detail == "20 sign-ins failed in the last 15 min, for 3 accounts; the threshold is 20")
            #expect(await probe.look([.test(1, .signInFailures) { $0.window = 60 }])?.count == 1)
            house.clock.advance(seconds: 61)
            #expect(await probe.look([.test(1, .signInFailures) { $0.window = 60 }]) == [])
            house.clock.advance(seconds: 900)
            #expect(await probe.look() == [])
        }
    }

    @Test("the audit log and the disk are found or not, and what cannot be told is not told")
    func yesOrNo() async {
        #expect(await AlertProbe.auditChain { true }.look() == [])
        #expect(await AlertProbe.auditChain { nil }.look() == nil)
        #expect(await AlertProbe.auditChain { false }.look()?.map(\.condition) == [.auditChainBroken])
        #expect(await AlertProbe.disk("/data") { true }.look() == [])
        #expect(await AlertProbe.disk("/data") { false }.look()?.map(\.subject) == ["disk under /data"])
    }

    @Test("where the database does not answer, none of it can be told")
    func databaseAway() async throws {
        try await withHouse { house in
            let flaky = FlakyDatabase(house.database)
            flaky.isThere(false)
            let alerts = AlertRepository(database: flaky)
            #expect(await AlertProbe.bounceRate(alerts, clock: house.clock).look() == nil)
            #expect(await AlertProbe.refusals(alerts, clock: house.clock).look() == nil)
            #expect(await AlertProbe.signInFailures(alerts, clock: house.clock).look() == nil)
        }
    }

    @Test("every question runs along an index")
    func plans() async throws {
        try await withHouse(.sqlite) { house in
            let recorder = StatementRecorder(house.database)
            let alerts = AlertRepository(database: recorder)
            let since = house.clock.now()
            _ = try await alerts.bounces(since: since)
            _ = try await alerts.refusals(since: since)
            _ = try await alerts.signInFailures(since: since)
            let statements = recorder.take()
            #expect(statements.count >= 5)
            for statement in statements {
                let plan = try await house.database.read { connection in
                    try connection.rows("EXPLAIN QUERY PLAN \(statement)").map { try $0.text(3) }
                }
                let scans = plan.filter { $0.hasPrefix("SCAN") && !$0.contains("INDEX") }
                #expect(Set(scans).isSubset(of: ["SCAN vaults", "SCAN ended"]), "\(statement.text): \(plan)")
                #expect(!plan.contains { $0.contains("TEMP B-TREE") }, "\(statement.text): \(plan)")
            }
        }
    }
}
