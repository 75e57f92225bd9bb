// The monitor with rules and people: what changes while it runs, who is told of what, and what outlives a restart.

import CoreTestSupport
import Model
import SQL
import Store
import Synchronization
import TestSupport
import Testing

@testable import Alerts

/// Channels of vaults, made as they are asked for.
private final class VaultChannels: Sendable {
    private let made = Mutex<[AlertTarget.Mail: RecordingChannel]>([:])

    var all: [AlertTarget.Mail: RecordingChannel] { made.withLock { $0 } }

    func make(_ mail: AlertTarget.Mail) -> any AlertChannel {
        made.withLock { made in
            let channel = made[mail] ?? RecordingChannel("vault_email")
            made[mail] = channel
            return channel
        }
    }
}

@Suite("The alert monitor, its rules and people")
struct AlertMonitorRulesTests {
    private func write(
        _ house: TestHouse,
        _ condition: AlertCondition,
        vault: VaultID? = nil,
        isEnabled: Bool = true,
        _ change: (inout AlertRule.Definition) -> Void = { _ in }
    ) async throws -> AlertRule {
        let now = house.clock.now()
        var rule = AlertRule(
            id: house.ids.next(), vault: vault, condition: condition, isEnabled: isEnabled, createdAt: now,
            updatedAt: now)
        change(&rule.definition)
        let scope: AlertScope = vault.map(AlertScope.vault) ?? .instance
        try await AlertRuleRepository(database: house.database)
            .insert(rule, in: scope, audit: house.audit(as: "alert_rule.write"))
        return rule
    }

    private func acknowledge(_ id: AlertID, _ house: TestHouse) async throws {
        _ = try await AlertRepository(database: house.database).acknowledge(
            id, in: .instance, by: AlertHand(id: "usr_1", label: "ada@example.com"), note: nil, at: house.clock.now(),
            audit: house.audit(as: "alert.acknowledge"))
    }

    private func resolve(_ id: AlertID, _ house: TestHouse) async throws {
        _ = try await AlertRepository(database: house.database).resolve(
            id, in: .instance, by: AlertHand(id: "usr_1", label: "ada@example.com"), note: "done",
            at: house.clock.now(),
            rule: { _ in }, audit: house.audit(as: "alert.acknowledge"))
    }

    private func backlog(_ vault: VaultID, _ count: Int) -> AlertSign {
        AlertSign(
            .failureBacklog, subject: "failures of \(vault)", vault: vault, value: count, detail: "\(count) failures")
    }

    @Test(
        "a rule that is written, changed and deleted while it runs holds from the next round on",
        arguments: TestEngine.all)
    func follows(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            let rules = AlertRuleRepository(database: house.database)
            let watch = Watch(house, [sign.probe([.failureBacklog])], [channel])
            sign.show(backlog(house.vault.id, 50))
            await watch.rounds(for: 60)
            #expect(channel.taken.isEmpty)
            let rule = try await write(house, .failureBacklog) {
                $0.threshold = 20
                $0.window = 0
                $0.severity = .info
            }
            await watch.rounds(for: 10)
            let alert = try #require(try await house.alerts(.open).first)
            #expect(channel.news == ["failure_backlog opened"])
            #expect(alert.rule == rule.id && alert.severity == .info && alert.vault == house.vault.id)
            #expect(alert.detail == "50 failures; the threshold is 20")
            _ = try await rules.update(
                rule.id, in: .instance, at: house.clock.now(), audit: house.audit(as: "alert_rule.write")
            ) { $0.definition.threshold = 60 }
            await watch.rounds(for: 45)
            #expect(channel.news == ["failure_backlog opened", "failure_backlog closed"])
            _ = try await rules.delete(rule.id, in: .instance, audit: house.audit(as: "alert_rule.write"))
            sign.show(backlog(house.vault.id, 101))
            await watch.rounds(for: 45)
            #expect(channel.news.count == 3 && channel.taken.last?.alert.rule == nil)
        }
    }

    @Test("a rule that is switched off ends its alert, and nobody is told: neither now nor after a restart")
    func off() async throws {
        try await withHouse { house in
            let (sign, channel, second) = (Sign(), RecordingChannel(), RecordingChannel())
            let watch = Watch(house, [sign.probe()], [channel])
            sign.show(.broker)
            await watch.rounds(for: 40)
            #expect(channel.news == ["broker_unreachable opened"])
            _ = try await write(house, .brokerUnreachable, isEnabled: false)
            await watch.rounds(for: 10)
            #expect(try await house.alerts(.unresolved).isEmpty)
            await watch.rounds(for: 600)
            await Watch(house, [sign.probe()], [second]).rounds(for: 600)
            #expect(channel.news.count == 1 && second.attempts == 0)
        }
    }

    @Test("an instance's rule tells by its own ways only, and one with none tells nobody")
    func ways() async throws {
        try await withHouse { house in
            let (sign, webhook, mail) = (Sign(), RecordingChannel("webhook"), RecordingChannel("email"))
            _ = try await write(house, .brokerUnreachable) { $0.channels = [.email] }
            _ = try await write(house, .brokerBlocked) { $0.channels = [] }
            let watch = Watch(house, [sign.probe()], [webhook, mail])
            sign.show(.broker, .blocked)
            await watch.rounds(for: 60)
            #expect(webhook.attempts == 0 && mail.news == ["broker_unreachable opened"])
            #expect(try await house.alerts(.open).count == 2)
            let told = try await house.alerts(.open).filter { $0.openNotifiedAt != nil }
            #expect(told.map(\.condition) == [.brokerUnreachable])
        }
    }

    @Test(
        "a vault's rule writes from and to the vault's addresses; who runs the instance hears by the instance's rules")
    func vaults() async throws {
        try await withHouse { house in
            let (sign, channel, vaults) = (Sign(), RecordingChannel(), VaultChannels())
            let other = try await house.neighbour().vault.id
            let rule = try await write(house, .failureBacklog, vault: house.vault.id) {
                $0.threshold = 5
                $0.sender = "alerts@example.com"
                $0.recipients = ["ops@example.net"]
            }
            let watch = Watch(house, [sign.probe([.failureBacklog])], [channel], forVaults: { vaults.make($0) })
            sign.show(backlog(house.vault.id, 6), backlog(other, 6))
            await watch.rounds(for: 60)
            let mail = AlertTarget.Mail(
                vault: house.vault.id, sender: "alerts@example.com", recipients: ["ops@example.net"])
            #expect(vaults.all.keys.map(\.self) == [mail])
            #expect(vaults.all[mail]?.news == ["failure_backlog opened"] && channel.attempts == 0)
            let alerts = AlertRepository(database: house.database)
            let seen = try await alerts.list(AlertQuery(), in: .vault(house.vault.id))
            #expect(seen.map(\.rule) == [rule.id] && seen.map(\.audience) == [.vault])
            #expect(seen.first?.openNotifiedAt != nil)
            #expect(try await house.alerts().isEmpty)
            // Over the instance's threshold: another alert, which the vault does not see.
            sign.show(backlog(house.vault.id, 101), backlog(other, 6))
            await watch.rounds(for: 60)
            #expect(channel.news == ["failure_backlog opened"])
            #expect(try await house.alerts().map(\.vault) == [nil])
            #expect(try await alerts.list(AlertQuery(), in: .vault(house.vault.id)) == seen)
            // The vault silences what it sees, and no more.
            _ = try await AlertRuleRepository(database: house.database).update(
                rule.id, in: .vault(house.vault.id), at: house.clock.now(), audit: house.audit(as: "alert_rule.write")
            ) { $0.isEnabled = false }
            await watch.rounds(for: 60)
            #expect(try await alerts.list(AlertQuery(), in: .vault(house.vault.id)).isEmpty)
            #expect(try await house.alerts(.open).count == 1)
            #expect(vaults.all[mail]?.news == ["failure_backlog opened"])
        }
    }

    @Test(
        "an acknowledged alert is not told again, in no restart and no flapping; its end is told",
        arguments: TestEngine.all)
    func acknowledged(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (sign, channel, second) = (Sign(), RecordingChannel(), RecordingChannel())
            _ = try await write(house, .brokerUnreachable) {
                $0.window = 0
                $0.cooldown = 60
            }
            let watch = Watch(house, [sign.probe()], [channel])
            sign.show(.broker)
            await watch.rounds(for: 10)
            let alert = try #require(try await house.alerts(.open).first)
            try await acknowledge(alert.id, house)
            for _ in 0..<10 {
                sign.show(.broker)
                await watch.rounds(for: 10)
                sign.showNothing()
                await watch.rounds(for: 10)
            }
            #expect(channel.news == ["broker_unreachable opened"])
            sign.show(.broker)
            let after = Watch(house, [sign.probe()], [second])
            await after.rounds(for: 120)
            #expect(second.attempts == 0)
            #expect(try await house.alerts(.acknowledged).map(\.id) == [alert.id])
            sign.showNothing()
            await after.rounds(for: 40)
            #expect(second.news == ["broker_unreachable closed"])
        }
    }

    @Test("what nobody could be told, and somebody acknowledged meanwhile, is not told after a restart")
    func acknowledgedBeforeTold() async throws {
        try await withHouse { house in
            let (sign, broken, second) = (Sign(), RecordingChannel(), RecordingChannel())
            broken.breaks()
            sign.show(.broker)
            await Watch(house, [sign.probe()], [broken]).rounds(for: 40)
            try await acknowledge(try #require(try await house.alerts(.open).first).id, house)
            await Watch(house, [sign.probe()], [second]).rounds(for: 60)
            #expect(second.attempts == 0)
        }
    }

    @Test(
        "what somebody resolves closes at the next round, is told with who, and opens again only after its cool-down",
        arguments: TestEngine.all)
    func resolved(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (sign, channel, second) = (Sign(), RecordingChannel(), RecordingChannel())
            let watch = Watch(house, [sign.probe([.runaway])], [channel])
            sign.show(AlertSign(.runaway, subject: "caller 1", value: 9, window: 900, detail: "cut off"))
            await watch.round()
            let alert = try #require(try await house.alerts(.open).first)
            await watch.rounds(for: 60)
            try await resolve(alert.id, house)
            await watch.rounds(for: 5)
            #expect(channel.news == ["runaway_cut_off opened", "runaway_cut_off closed"])
            let notice = try #require(channel.taken.last)
            #expect(notice.alert.resolvedBy?.label == "ada@example.com")
            #expect(notice.text.contains("ada@example.com says that it is over"))
            await watch.rounds(for: 300)
            // Neither does a restart forget who said so.
            let after = Watch(house, [sign.probe([.runaway])], [second])
            await after.rounds(for: 580)
            #expect(try await house.alerts(.unresolved).isEmpty && second.attempts == 0)
            await after.rounds(for: 60)
            #expect(second.news == ["runaway_cut_off opened"])
            #expect(try await house.alerts().map(\.state) == [.open, .resolved])
        }
    }

    @Test(
        "what flaps is told once and then summarised, also when the process is replaced again and again",
        arguments: TestEngine.all)
    func flapping(engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            _ = try await write(house, .brokerUnreachable) {
                $0.window = 0
                $0.cooldown = 600
            }
            for minute in 0..<30 {
                // A new process every minute, in the middle of whatever there is.
                let watch = Watch(house, [sign.probe()], [channel], configure: { $0.closing = 10 })
                await watch.round()
                sign.show(.broker)
                await watch.rounds(for: minute % 3 == 0 ? 20 : 25)
                sign.showNothing()
                await watch.rounds(for: minute % 3 == 0 ? 40 : 35)
            }
            let alerts = try await house.alerts()
            #expect(alerts.count == 1 && (alerts.first?.times ?? 0) >= 29)
            #expect(channel.news.first == "broker_unreachable opened")
            #expect((4...8).contains(channel.messages.count), "\(channel.news)")
            #expect(channel.news.count { $0.hasSuffix("opened") } == 1)
            #expect((2...3).contains(channel.news.count { $0.hasSuffix("summary") }))
            #expect(Set(channel.taken.map(\.key)).count == channel.taken.count)
        }
    }

    @Test("when much opens at once, each channel gets one digest, and the table everything")
    func digest() async throws {
        try await withHouse { house in
            let (sign, webhook, mail) = (Sign(), RecordingChannel("webhook"), RecordingChannel("email"))
            let watch = Watch(house, [sign.probe([.runaway])], [webhook, mail])
            sign.show(
                (0..<40).map { AlertSign(.runaway, subject: "caller \($0)", value: 9, window: 900, detail: "cut off") })
            await watch.round()
            #expect(webhook.messages.map(\.notices.count) == [40] && mail.messages.map(\.notices.count) == [40])
            await watch.round()
            #expect(try await house.alerts(.open).allSatisfy { $0.openNotifiedAt != nil })
            let digest = try #require(mail.messages.first)
            #expect(digest.heading == "Postern mail.example.org: 40 notices of alerts (40 open)")
            #expect(digest.text.contains("caller 39"))
            sign.showNothing()
            await watch.rounds(for: 60)
            #expect(webhook.messages.map(\.notices.count) == [40, 40])
        }
    }

    @Test("whatever happens in an hour, a channel gets no more than a handful and one a minute")
    func noFlood() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            let watch = Watch(house, [sign.probe([.runaway])], [channel])
            for minute in 0..<60 {
                // Each minute five callers that were never seen before.
                sign.show(
                    (0..<5).map { number in
                        AlertSign(
                            .runaway, subject: "caller \(minute) \(number)", value: 9, window: 900, detail: "cut off")
                    })
                await watch.rounds(for: 60)
            }
            #expect(channel.messages.count <= 6 + 61)
            #expect(Set(channel.taken.filter { $0.state == .opened }.map(\.alert.id)).count == 300)
        }
    }

    @Test("rules that cannot be read leave those that are known in force")
    func databaseAway() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            let flaky = FlakyDatabase(house.database)
            _ = try await write(house, .brokerUnreachable, isEnabled: false)
            _ = try await write(house, .brokerBlocked) { $0.window = 0 }
            let watch = Watch(house, [.database(flaky), sign.probe()], [channel], on: flaky)
            await watch.rounds(for: 10)
            flaky.isThere(false)
            sign.show(.broker, .blocked)
            await watch.rounds(for: 60)
            #expect(Set(channel.news) == ["broker_blocked opened", "database_unreachable opened"])
        }
    }

    @Test("a probe with a pause is asked so often, and at once when the rules change")
    func pauses() async throws {
        try await withHouse { house in
            let sign = Sign()
            let watch = Watch(house, [sign.probe([.auditChainBroken], pause: 300)], [])
            await watch.rounds(for: 900)
            #expect((3...5).contains(sign.count))
            let asked = sign.count
            _ = try await write(house, .auditChainBroken)
            await watch.rounds(for: 10)
            #expect(sign.count == asked + 1)
            // What cannot be told is asked for again in the next round.
            sign.cannotTell()
            await watch.rounds(for: 300)
            let blind = sign.count
            await watch.rounds(for: 50)
            #expect(sign.count >= blind + 9)
        }
    }
}
