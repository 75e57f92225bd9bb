// Rules and decisions in a real database: who may see and change which, what is recorded, what others notice.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import TestSupport
import Testing

@testable import Alerts

@Suite("The table of rules")
struct AlertRuleRepositoryTests {
    private func rule(_ house: TestHouse, _ condition: AlertCondition, vault: VaultID? = nil) -> AlertRule {
        let now = house.clock.now()
        var rule = AlertRule(
            id: house.ids.next(), vault: vault, condition: condition, createdAt: now, updatedAt: now)
        rule.definition.threshold = 7
        rule.definition.recipients = ["ops@example.net"]
        return rule
    }

    @Test(
        "what is written is read, changed and deleted, each with an entry in the audit log", arguments: TestEngine.all)
    func wholeLife(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let rules = AlertRuleRepository(database: house.database)
            let scope = AlertScope.vault(house.vault.id)
            let audit = house.audit(as: "alert_rule.write")
            let written = rule(house, .failureBacklog, vault: house.vault.id)
            try await rules.insert(written, in: scope, audit: audit)
            #expect(try await rules.list(in: scope) == [written])
            #expect(try await rules.find(written.id, in: scope) == written)
            house.clock.advance(seconds: 5)
            let now = house.clock.now()
            let changed = try await rules.update(written.id, in: scope, at: now, audit: audit) { rule in
                rule.definition.threshold = nil
                rule.definition.severity = .info
                rule.definition.channels = []
                rule.isEnabled = false
            }
            #expect(changed?.definition.threshold == nil && changed?.updatedAt == now)
            #expect(try await rules.list(in: scope) == [try #require(changed)])
            #expect(try await rules.delete(written.id, in: scope, audit: audit))
            #expect(try await !rules.delete(written.id, in: scope, audit: audit))
            #expect(try await rules.list(in: scope).isEmpty)
            let records = try await house.database.count(
                "audit_records", where: "action = 'alert_rule.write' AND vault_id = '\(house.vault.id)'")
            #expect(records == 3)
        }
    }

    @Test("nobody reaches another's rules, not the instance's people a vault's either", arguments: TestEngine.all)
    func tenancy(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let rules = AlertRuleRepository(database: house.database)
            let audit = house.audit(as: "alert_rule.write")
            let other = try await house.neighbour().vault.id
            let scopes: [AlertScope] = [.vault(house.vault.id), .vault(other), .instance]
            var written: [AlertRule] = []
            for scope in scopes {
                let rule = rule(house, .failureBacklog, vault: scope.vault)
                try await rules.insert(rule, in: scope, audit: audit)
                written.append(rule)
            }
            for (index, scope) in scopes.enumerated() {
                #expect(try await rules.list(in: scope) == [written[index]])
                for stranger in written where stranger.vault != scope.vault {
                    #expect(try await rules.find(stranger.id, in: scope) == nil)
                    #expect(try await !rules.delete(stranger.id, in: scope, audit: audit))
                    let changed = try await rules.update(stranger.id, in: scope, at: .at(0), audit: audit) {
                        $0.isEnabled = false
                    }
                    #expect(changed == nil)
                }
            }
            #expect(try await Set(rules.all().rules) == Set(written))
        }
    }

    @Test("there are fifty at most, for each", arguments: TestEngine.all)
    func limit(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let rules = AlertRuleRepository(database: house.database)
            let audit = house.audit(as: "alert_rule.write")
            for _ in 0..<AlertRuleRepository.limit {
                try await rules.insert(rule(house, .refusals), in: .instance, audit: audit)
            }
            let error = await #expect(throws: PosternError.self) {
                try await rules.insert(rule(house, .refusals), in: .instance, audit: audit)
            }
            #expect(error?.code == .conflict)
            let scope = AlertScope.vault(house.vault.id)
            try await rules.insert(rule(house, .refusals, vault: house.vault.id), in: scope, audit: audit)
        }
    }

    @Test("every change is noticed by others, and what changed nothing is not", arguments: TestEngine.all)
    func noticed(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let rules = AlertRuleRepository(database: house.database)
            let audit = house.audit(as: "alert_rule.write")
            let rule = rule(house, .refusals)
            var versions: [Int64] = [try await rules.version()]
            try await rules.insert(rule, in: .instance, audit: audit)
            versions.append(try await rules.version())
            _ = try await rules.update(rule.id, in: .instance, at: .at(0), audit: audit) { $0.isEnabled = false }
            versions.append(try await rules.version())
            _ = try await rules.delete(rule.id, in: .instance, audit: audit)
            versions.append(try await rules.version())
            #expect(Set(versions).count == 4 && versions == versions.sorted())
            _ = try await rules.delete(rule.id, in: .instance, audit: audit)
            #expect(try await rules.version() == versions.last)
            #expect(try await rules.all().version == versions.last)
        }
    }

    @Test(
        "what a newer Postern wrote, and rules of vaults that are put away, are passed over", arguments: TestEngine.all)
    func passedOver(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let rules = AlertRuleRepository(database: house.database)
            let audit = house.audit(as: "alert_rule.write")
            let other = try await house.neighbour().vault.id
            try await rules.insert(rule(house, .refusals, vault: other), in: .vault(other), audit: audit)
            let kept = rule(house, .refusals)
            try await rules.insert(kept, in: .instance, audit: audit)
            try await house.database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO alert_rules (id, vault_id, condition, definition, is_enabled, created_at, updated_at)
                    VALUES ('rul_zzzzzzzzzzzzzzzz', NULL, 'weather', '{"wind":1}', 1, 0, 0)
                    """)
                try connection.execute("UPDATE vaults SET state = 'archived' WHERE id = \(other.text)")
            }
            #expect(try await rules.all().rules == [kept])
            #expect(try await rules.list(in: .instance) == [kept])
        }
    }
}

@Suite("What people decide about alerts")
struct AlertDecisionTests {
    private let ada = AlertHand(id: "usr_0000000000000001", label: "ada@example.com")
    private let bob = AlertHand(id: "key_0000000000000001", label: "on call 2")

    private func open(
        _ house: TestHouse, _ condition: AlertCondition = .runaway, vault: VaultID?,
        audience: AlertAudience = .instance
    ) async throws -> Alert {
        let alert = Alert(
            id: house.ids.next(), vault: vault, audience: audience, condition: condition,
            subject: "s \(vault?.text ?? "-")", detail: "d",
            beganAt: .at(0), openedAt: .at(1))
        try await AlertRepository(database: house.database).record(alert)
        return alert
    }

    @Test(
        "who acknowledges first stands there, with when and what they said; it stays when more becomes known",
        arguments: TestEngine.all)
    func acknowledge(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let (scope, audit) = (AlertScope.vault(house.vault.id), house.audit(as: "alert.acknowledge"))
            let alert = try await open(house, vault: house.vault.id, audience: .vault)
            var acknowledged = alert
            acknowledged.acknowledgedAt = .at(50)
            acknowledged.acknowledgedBy = ada
            acknowledged.note = "on it"
            let first = try await alerts.acknowledge(
                alert.id, in: scope, by: ada, note: "on it", at: .at(50), audit: audit)
            #expect(first == .done(acknowledged) && acknowledged.state == .acknowledged)
            let second = try await alerts.acknowledge(
                alert.id, in: scope, by: bob, note: "me too", at: .at(60), audit: audit)
            #expect(second == .unchanged(acknowledged))
            // The process on duty goes on writing what it knows.
            var known = alert
            known.openNotifiedAt = .at(55)
            try await alerts.record(known)
            acknowledged.openNotifiedAt = .at(55)
            #expect(try await alerts.find(alert.id, in: scope) == acknowledged)
            for (state, count) in [(AlertQuery.State.open, 0), (.acknowledged, 1), (.unresolved, 1), (.resolved, 0)] {
                #expect(try await alerts.list(AlertQuery(state: state), in: scope).count == count)
            }
            #expect(try await house.database.count("audit_records", where: "action = 'alert.acknowledge'") == 1)
        }
    }

    @Test("an alert is resolved once; what is over stays over, whoever writes", arguments: TestEngine.all)
    func resolve(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let audit = house.audit(as: "alert.acknowledge")
            let alert = try await open(house, vault: nil)
            func resolve(_ hand: AlertHand) async throws -> AlertDecision {
                try await alerts.resolve(
                    alert.id, in: .instance, by: hand, note: nil, at: .at(70), rule: { _ in }, audit: audit)
            }
            var resolved = alert
            resolved.closedAt = .at(70)
            resolved.resolvedBy = ada
            #expect(try await resolve(ada) == .done(resolved))
            #expect(try await resolve(bob) == .unchanged(resolved))
            try await alerts.record(alert)
            #expect(try await alerts.find(alert.id, in: .instance) == resolved)
            let late = try await alerts.acknowledge(
                alert.id, in: .instance, by: bob, note: nil, at: .at(80), audit: audit)
            #expect(late == .over(resolved))
            #expect(
                try await house.database.count(
                    "audit_records", where: "action = 'alert.acknowledge' AND vault_id IS NULL") == 1)
        }
    }

    @Test("where a rule says no, nothing changes and nobody is told", arguments: TestEngine.all)
    func refused(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let rules = AlertRuleRepository(database: house.database)
            let alert = try await open(house, .brokerUnreachable, vault: nil)
            let version = try await rules.version()
            await #expect(throws: PosternError.self) {
                try await alerts.resolve(
                    alert.id, in: .instance, by: ada, note: nil, at: .at(70),
                    rule: { _ in throw PosternError(.conflict, "no") }, audit: house.audit(as: "alert.acknowledge"))
            }
            #expect(try await alerts.find(alert.id, in: .instance) == alert)
            #expect(try await rules.version() == version)
            #expect(try await house.database.count("audit_records", where: "action = 'alert.acknowledge'") == 0)
        }
    }

    @Test(
        "a vault reads the instance's alert about it, and cannot silence it; the instance's people decide",
        arguments: TestEngine.all)
    func instanceAlert(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let (scope, audit) = (AlertScope.vault(house.vault.id), house.audit(as: "alert.acknowledge"))
            let alert = try await open(house, vault: house.vault.id)
            #expect(try await alerts.find(alert.id, in: scope) == alert)
            let acknowledging = await #expect(throws: PosternError.self) {
                _ = try await alerts.acknowledge(alert.id, in: scope, by: ada, note: nil, at: .at(9), audit: audit)
            }
            let resolving = await #expect(throws: PosternError.self) {
                _ = try await alerts.resolve(
                    alert.id, in: scope, by: ada, note: nil, at: .at(9), rule: { _ in }, audit: audit)
            }
            #expect(acknowledging?.code == .forbidden && resolving?.code == .forbidden)
            #expect(try await alerts.find(alert.id, in: scope) == alert)
            #expect(try await house.database.count("audit_records", where: "action = 'alert.acknowledge'") == 0)
            let decision = try await alerts.acknowledge(
                alert.id, in: .instance, by: ada, note: nil, at: .at(9), audit: audit)
            guard case .done = decision else {
                Issue.record("\(decision)")
                return
            }
        }
    }

    @Test("an alert of others is not there, for whatever is asked", arguments: TestEngine.all)
    func tenancy(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let alerts = AlertRepository(database: house.database)
            let audit = house.audit(as: "alert.acknowledge")
            let other = try await house.neighbour().vault.id
            let theirs = try await open(house, vault: other)
            let instance = try await open(house, vault: nil)
            for id in [theirs.id, instance.id] {
                let scope = AlertScope.vault(house.vault.id)
                #expect(try await alerts.find(id, in: scope) == nil)
                #expect(
                    try await alerts.acknowledge(id, in: scope, by: ada, note: nil, at: .at(9), audit: audit)
                        == .missing)
                let resolved = try await alerts.resolve(
                    id, in: scope, by: ada, note: nil, at: .at(9), rule: { _ in }, audit: audit)
                #expect(resolved == .missing)
            }
            #expect(try await alerts.find([theirs.id, instance.id]).allSatisfy { $0.state == .open })
        }
    }

    @Test("two who acknowledge at the same moment: one of them is first, and both are told who")
    func atOnce() async throws {
        for engine in TestEngine.all {
            try await withHouse(engine) { house in
                let alerts = AlertRepository(database: house.database)
                let audit = house.audit(as: "alert.acknowledge")
                let alert = try await open(house, vault: nil)
                let decisions = try await withThrowingTaskGroup(of: AlertDecision.self) { group in
                    for hand in [ada, bob, ada, bob] {
                        group.addTask {
                            try await alerts.acknowledge(
                                alert.id, in: .instance, by: hand, note: hand.label, at: .at(9), audit: audit)
                        }
                    }
                    return try await group.reduce(into: []) { $0.append($1) }
                }
                var stands: Set<Alert> = []
                var done = 0
                for decision in decisions {
                    switch decision {
                    case .done(let alert):
                        done += 1
                        stands.insert(alert)
                    case .unchanged(let alert): stands.insert(alert)
                    case .over, .missing: Issue.record("\(decision)")
                    }
                }
                #expect(done == 1 && stands.count == 1)
                let stood = try #require(stands.first)
                #expect(stood.note == stood.acknowledgedBy?.label)
            }
        }
    }
}

@Suite("What two sides know of an alert")
struct AlertMergeTests {
    private func alert(_ change: (inout Alert) -> Void) -> Alert {
        var alert = Alert(
            id: AlertID(high: 0, low: 1), vault: nil, condition: .brokerBlocked, subject: "s", detail: "d",
            beganAt: .at(0), openedAt: .at(1))
        change(&alert)
        return alert
    }

    @Test("whatever the order, the same comes of it, and once more changes nothing")
    func order() {
        let hand = AlertHand(id: "usr_1", label: "ada")
        let sides = [
            alert { _ in },
            alert { $0.openNotifiedAt = .at(2) },
            alert { $0.closedAt = .at(9) },
            alert {
                $0.closedAt = .at(9)
                $0.closeNotifiedAt = .at(10)
            },
            alert {
                $0.times = 2
                $0.closeNotifiedAt = .at(9)
            },
            alert {
                $0.times = 3
                $0.toldTimes = 3
                $0.quietUntil = .at(700)
            },
            alert {
                $0.times = 3
                $0.toldTimes = 3
                $0.openNotifiedAt = .at(650)
            },
            alert {
                $0.acknowledgedAt = .at(20)
                $0.acknowledgedBy = hand
                $0.note = "on it"
            },
        ]
        let whole = sides.dropFirst().reduce(sides[0]) { $0.merged(with: $1) }
        for left in sides {
            for right in sides {
                let (one, two) = (left.merged(with: right), right.merged(with: left))
                #expect(one == two)
                #expect(one.merged(with: left) == one && one.merged(with: right) == one)
            }
            #expect(whole.merged(with: left) == whole && left.merged(with: whole) == whole)
        }
        #expect(whole.isOpen && whole.times == 3 && whole.openNotifiedAt == .at(650) && whole.closeNotifiedAt == nil)
        #expect(whole.acknowledgedBy == hand && whole.quietUntil == .at(700))
    }

    @Test("who acknowledged is kept as id and label, whatever the label is")
    func hands() {
        for label in ["ada@example.com", "on call 2", "", "  two spaces", "a\u{202E}b"] {
            let hand = AlertHand(id: "usr_0000000000000001", label: label)
            #expect(AlertHand(stored: hand.stored).id == hand.id)
            if !label.isEmpty { #expect(AlertHand(stored: hand.stored).label == label) }
        }
    }
}
