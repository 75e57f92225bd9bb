// What the ready-made probes find in a real database, and what they leave alone.

import CoreTestSupport
import Model
import SQL
import Store
import TestSupport
import Testing

@testable import Alerts

@Suite("Probes")
struct AlertProbeTests {
    private func fail(_ count: Int, in vault: VaultID, _ house: TestHouse, by caller: Caller? = nil) async throws {
        let ids = try await house.accept(by: caller) { $0.recipients = (0..<count).map { "r\($0)@example.net" } }
        let now = house.clock.now().milliseconds
        try await house.database.write { connection in
            for id in ids {
                try connection.execute(
                    """
                    INSERT INTO failures (message_id, vault_id, code, enhanced_code, domain, route, reason, failed_at)
                    VALUES (\(id.text), \(vault.text), \(550), '5.1.1', 'example.net', 'smarthost', NULL, \(now))
                    """)
            }
        }
    }

    @Test("a vault with more failures than the threshold is found, its neighbours are not", arguments: TestEngine.all)
    func failureBacklog(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let probe = AlertProbe.failureBacklog(AlertRepository(database: house.database))
            let rules = [AlertRule.test(1, .failureBacklog) { $0.threshold = 3 }]
            let (other, caller) = try await house.neighbour()
            let (third, thirdCaller) = try await house.neighbour("third")
            try await fail(3, in: house.vault.id, house)
            try await fail(4, in: other.id, house, by: caller)
            try await fail(30, in: third.id, house, by: thirdCaller)
            let findings = try #require(await probe.look(rules))
            #expect(Set(findings.map(\.vault)) == [other.id, third.id])
            #expect(
                findings.allSatisfy { $0.condition == .failureBacklog && $0.subject.contains($0.vault?.text ?? "-") })
            let detail = findings.first { $0.vault == other.id }?.detail
            #expect(detail?.hasPrefix("4 failures wait") == true)
            #expect(detail?.contains("\(house.clock.now())") == true)
        }
    }

    @Test(
        "mail that nobody takes up is found after the time, one finding a vault, the oldest of any priority",
        arguments: TestEngine.all)
    func notTakenUp(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let probe = AlertProbe.publishStalled(
                AlertRepository(database: house.database), handingOver: [], delivering: [.smarthost],
                clock: house.clock)
            let (other, caller) = try await house.neighbour()
            let oldest = try await house.accept { $0.priority = 1 }[0]
            let since = house.clock.now()
            house.clock.advance(seconds: 10)
            try await house.accept { $0.priority = 9 }
            try await house.accept(by: caller) { $0.sendAfter = 3_600 }
            house.clock.advance(seconds: 109)
            #expect(await probe.look() == [])
            house.clock.advance(seconds: 1)
            let findings = try #require(await probe.look())
            #expect(findings.map(\.vault) == [house.vault.id])
            let detail = try #require(findings.first?.detail)
            #expect(detail.contains("\(since)") && detail.contains(oldest.text))
            house.clock.advance(seconds: 60)
            #expect(try #require(await probe.look()).map(\.subject) == findings.map(\.subject))
            // Another vault's mail is another finding, and what waits for its time is none.
            try await house.accept(by: caller)
            house.clock.advance(seconds: 120)
            #expect(try #require(await probe.look()).map(\.vault) == [house.vault.id, other.id].sorted())
            // What is in hand, or deferred, is taken up.
            _ = try await OutboxRepository(database: house.database, owner: "t").claim(
                at: house.clock.now(), lease: house.clock.now().adding(seconds: 600), limit: 100, share: 100,
                inHand: [:]
            ) { [ids = house.ids, clock = house.clock] ready in
                .attempt(
                    MessageEvent(id: ids.next(), type: .attempted, at: clock.now(), attempt: 1, route: ready.route))
            }
            #expect(await probe.look() == [])
        }
    }

    @Test("a route that is not set up stalls nothing", arguments: TestEngine.all)
    func otherRoutes(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            try await house.accept { $0.route = .shadow }
            house.clock.advance(seconds: 600)
            let now = house.clock.now()
            #expect(try await alerts.notTakenUp(since: { _ in now }, routes: [.smarthost]).isEmpty)
            #expect(try await alerts.notTakenUp(since: { _ in now }, routes: []).isEmpty)
            #expect(try await alerts.notTakenUp(since: { _ in now }, routes: [.shadow]).count == 1)
            #expect(try await alerts.notHandedOver(since: now, routes: []).isEmpty)
        }
    }

    @Test(
        "mail that the instance's next hop does not take is found, though it is tried and deferred, as one finding a route",
        arguments: TestEngine.all)
    func notHandedOver(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let probe = AlertProbe.publishStalled(
                AlertRepository(database: house.database), handingOver: [.smarthost], delivering: [],
                clock: house.clock)
            let (_, caller) = try await house.neighbour()
            let since = house.clock.now()
            let first = try await house.accept()[0]
            let second = try await house.accept(by: caller)[0]
            try await house.accept { $0.sendAfter = 3_600 }
            try await house.accept { $0.route = .shadow }
            let late = try await house.accept { $0.sendAfter = 60 }[0]
            // As after an attempt: due again much later.
            let due = since.adding(seconds: 9_000).milliseconds
            try await house.database.write { connection in
                try connection.execute("UPDATE outbox SET ready = 0, due_at = \(due)")
                try connection.execute("UPDATE smtp_relay_logs SET status = 'queued' WHERE id = \(late.text)")
            }
            house.clock.advance(seconds: 119)
            #expect(await probe.look() == [])
            house.clock.advance(seconds: 1)
            let findings = try #require(await probe.look())
            let finding = try #require(findings.first)
            #expect(findings.count == 1 && finding.vault == nil)
            #expect(finding.detail.contains("\(since)") && finding.detail.contains("2 vaults"))
            try await house.database.write { connection in
                try connection.execute(
                    "UPDATE smtp_relay_logs SET status = 'in_flight' WHERE id IN \(list: [first.text, second.text])")
            }
            #expect(await probe.look() == [])
            house.clock.advance(seconds: 60)
            #expect(try #require(await probe.look()).count == 1)
        }
    }

    @Test("a database that does not answer is a finding of its own, and makes the others say nothing")
    func databaseAway() async throws {
        try await withHouse { house in
            let flaky = FlakyDatabase(house.database)
            let alerts = AlertRepository(database: flaky)
            let database = AlertProbe.database(flaky)
            #expect(await database.look() == [])
            flaky.isThere(false)
            let findings = try #require(await database.look())
            let finding = try #require(findings.first)
            #expect(findings.count == 1 && finding.condition == .databaseUnreachable)
            #expect(finding.detail == "the database cannot be read: the connection was lost")
            #expect(database.silence?.map(\.subject) == [finding.subject])
            #expect(await AlertProbe.failureBacklog(alerts).look() == nil)
            let stalled = AlertProbe.publishStalled(
                alerts, handingOver: [.smarthost], delivering: [.smarthost], clock: house.clock)
            #expect(await stalled.look() == nil)
        }
    }

    @Test("the broker's states, and its queues")
    func broker() async throws {
        func look(_ state: AlertBrokerState) async -> [AlertFinding]? {
            await AlertProbe.broker("rabbit:5672") { state }.look()
        }
        #expect(await look(.connected) == [])
        #expect(await look(.unknown) == nil)
        #expect(await look(.unreachable("refused"))?.map(\.condition) == [.brokerUnreachable])
        #expect(await look(.unreachable(nil))?.map(\.detail) == ["there is no connection to the message broker"])
        #expect(await look(.blocked(reason: "low on memory"))?.map(\.condition) == [.brokerBlocked])
        #expect(await AlertProbe.queueBacklog("failure") { 100 }.look() == [])
        #expect(await AlertProbe.queueBacklog("failure") { nil }.look() == nil)
        let findings = await AlertProbe.queueBacklog("failure") { 101 }.look()
        #expect(findings?.map(\.subject) == ["queue failure"])
    }

    @Test("asking costs the same however much waits: every question runs along an index")
    func plans() async throws {
        try await withHouse(.sqlite) { house in
            let recorder = StatementRecorder(house.database)
            let alerts = AlertRepository(database: recorder)
            try await fail(5, in: house.vault.id, house)
            house.clock.advance(seconds: 600)
            let now = house.clock.now()
            _ = recorder.take()
            #expect(try await alerts.failureBacklogs(over: { _ in 1 }, countingTo: 1_000).count == 1)
            #expect(try await alerts.notTakenUp(since: { _ in now }, routes: [.smarthost]).count == 1)
            #expect(try await alerts.notHandedOver(since: now, routes: [.smarthost]).count == 1)
            _ = try await alerts.bounces(since: now.adding(seconds: -600))
            _ = try await alerts.unfinished(at: now, closedSince: now, decidedSince: now, limit: 10)
            _ = try await alerts.dropClosed(before: now, limit: 10)
            let statements = recorder.take()
            #expect(statements.count > 8)
            for statement in statements {
                let plan = try await house.database.read { connection in
                    try connection.rows("EXPLAIN QUERY PLAN \(statement)").map { try $0.text(3) }
                }
                // All vaults may be read, and the few rows of a subquery that an index found; no other table as a
                // whole.
                let scans = plan.filter {
                    $0.hasPrefix("SCAN") && !$0.contains("INDEX") && !$0.contains("CONSTANT ROW")
                }
                #expect(
                    Set(scans).isSubset(of: ["SCAN vaults", "SCAN counted", "SCAN ended"]), "\(statement.text): \(plan)"
                )
            }
        }
    }
}

@Suite("The table of alerts")
struct AlertRepositoryTests {
    private func alert(
        _ number: UInt64, _ subject: String, vault: VaultID? = nil, audience: AlertAudience = .instance,
        closed: Timestamp? = nil
    ) -> Alert {
        Alert(
            id: AlertID(high: 0, low: number), vault: vault, audience: audience, condition: .failureBacklog,
            subject: subject, detail: "d", beganAt: .at(0), openedAt: .at(Double(number)), closedAt: closed)
    }

    @Test("what is written twice is there once, and what is known stays known", arguments: TestEngine.all)
    func idempotent(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            var alert = alert(1, "s")
            try await alerts.record(alert)
            alert.openNotifiedAt = .at(2)
            try await alerts.record(alert)
            var closed = alert
            closed.openNotifiedAt = nil
            closed.closedAt = .at(100)
            try await alerts.record(closed)
            // Late news of the past takes nothing back.
            try await alerts.record(alert)
            closed.openNotifiedAt = .at(2)
            #expect(try await house.alerts() == [closed])
        }
    }

    @Test("of one kind and subject one alert is open: a newer one ends the older", arguments: TestEngine.all)
    func oneIsOpen(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            try await alerts.record(alert(1, "s"))
            try await alerts.record(alert(2, "other"))
            try await alerts.record(alert(3, "s"))
            #expect(try await house.alerts(.unresolved).map(\.id) == [3, 2].map { AlertID(high: 0, low: $0) })
            #expect(try await house.alerts(.resolved).map(\.closedAt) == [.at(3)])
            // A closed twin is no rival.
            try await alerts.record(alert(4, "s", closed: .at(5)))
            #expect(try await house.alerts(.unresolved).count == 2)
        }
    }

    @Test(
        "a vault sees what is about it, the instance's people what their rules opened, and no vault its neighbour's",
        arguments: TestEngine.all)
    func tenancy(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            try await alerts.record(alert(1, "instance"))
            try await alerts.record(alert(2, "ours", vault: house.vault.id))
            try await alerts.record(alert(3, "theirs", vault: other))
            try await alerts.record(alert(4, "by our own rule", vault: house.vault.id, audience: .vault))
            func list(_ scope: AlertScope) async throws -> [String] {
                try await alerts.list(AlertQuery(), in: scope).map(\.subject)
            }
            #expect(try await list(.vault(house.vault.id)) == ["by our own rule", "ours"])
            #expect(try await list(.vault(other)) == ["theirs"])
            #expect(try await list(.instance) == ["theirs", "ours", "instance"])
            let hidden = AlertID(high: 0, low: 3)
            #expect(try await alerts.find(hidden, in: .vault(house.vault.id)) == nil)
            #expect(try await alerts.find(AlertID(high: 0, low: 4), in: .instance) == nil)
            #expect(try await alerts.find(hidden, in: .vault(other))?.subject == "theirs")
        }
    }

    @Test("pages follow each other, newest first", arguments: TestEngine.all)
    func pages(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            for number in 1...5 {
                try await alerts.record(alert(UInt64(number), "s\(number)", closed: number % 2 == 0 ? .at(99) : nil))
            }
            var seen: [String] = []
            var query = AlertQuery(state: .all, limit: 2)
            while true {
                let page = try await alerts.list(query, in: .instance)
                seen += page.map(\.subject)
                guard let last = page.last else { break }
                query.before = last.id
            }
            #expect(seen == ["s5", "s4", "s3", "s2", "s1"])
            #expect(try await house.alerts(.resolved).map(\.subject) == ["s4", "s2"])
        }
    }

    @Test("forgetting takes the oldest first, so many at most, and nothing that is open", arguments: TestEngine.all)
    func forgets(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            for number in 1...4 {
                try await alerts.record(alert(UInt64(number), "s\(number)", closed: .at(100 + Double(number))))
            }
            try await alerts.record(alert(5, "open"))
            #expect(try await alerts.dropClosed(before: .at(104), limit: 2) == 2)
            #expect(try await house.alerts().map(\.subject) == ["open", "s4", "s3"])
            #expect(try await alerts.dropClosed(before: .at(104), limit: 2) == 1)
            #expect(try await alerts.dropClosed(before: .at(104), limit: 2) == 0)
            #expect(try await house.alerts().map(\.subject) == ["open", "s4"])
        }
    }
}
