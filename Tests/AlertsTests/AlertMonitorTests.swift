// The monitor over a real table, step by step: what is recorded, who is told, and what outlives a restart or a lost
// database.

import CoreTestSupport
import Model
import Prometheus
import SQL
import ServiceLifecycleTestKit
import Store
import TestSupport
import Testing

@testable import Alerts

@Suite("The alert monitor")
struct AlertMonitorTests {
    @Test("an alert is recorded and told when it opens, and when it closes")
    func wholeLife() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            let watch = Watch(house, [sign.probe()], [channel])
            await watch.round()
            let began = house.clock.now()
            sign.show(.broker)
            await watch.round()
            await watch.rounds(for: 25)
            #expect(try await house.alerts().isEmpty && channel.attempts == 0)
            await watch.rounds(for: 5)
            var alert = try #require(try await house.alerts(.unresolved).first)
            #expect(alert.condition == .brokerUnreachable && alert.subject == "rabbit:5672" && alert.vault == nil)
            #expect(alert.beganAt == began && alert.openedAt == house.clock.now())
            #expect(alert.openNotifiedAt == house.clock.now() && alert.closeNotifiedAt == nil)
            #expect(channel.news == ["broker_unreachable opened"])
            await watch.rounds(for: 300)
            sign.showNothing()
            await watch.rounds(for: 30)
            #expect(try await house.alerts(.unresolved) == [alert])
            await watch.rounds(for: 5)
            #expect(try await house.alerts(.unresolved).isEmpty)
            alert.closedAt = house.clock.now()
            alert.closeNotifiedAt = house.clock.now()
            #expect(try await house.alerts(.resolved) == [alert])
            #expect(channel.news == ["broker_unreachable opened", "broker_unreachable closed"])
            #expect(channel.taken.map(\.alert.id) == [alert.id, alert.id])
        }
    }

    @Test("without channels alerts are recorded all the same")
    func noChannels() async throws {
        try await withHouse { house async throws in
            let sign = Sign()
            let watch = Watch(house, [sign.probe()], [])
            sign.show(.broker)
            await watch.rounds(for: 40)
            #expect(try await house.alerts(.unresolved).map(\.openNotifiedAt) == [nil])
        }
    }

    @Test("after a restart what is open is taken up, not told again, and its end is told")
    func restart() async throws {
        try await withHouse { house in
            let (sign, first, second) = (Sign(), RecordingChannel(), RecordingChannel())
            sign.show(.broker)
            await Watch(house, [sign.probe()], [first]).rounds(for: 40)
            let alerts = try await house.alerts(.unresolved)
            #expect(alerts.count == 1 && first.news == ["broker_unreachable opened"])
            let watch = Watch(house, [sign.probe()], [second])
            await watch.rounds(for: 100)
            #expect(try await house.alerts() == alerts)
            #expect(second.attempts == 0)
            sign.showNothing()
            await watch.rounds(for: 40)
            #expect(second.news == ["broker_unreachable closed"])
            #expect(try await house.alerts(.unresolved).isEmpty)
        }
    }

    @Test("what nobody could be told before a restart is told after it")
    func restartBeforeTold() async throws {
        try await withHouse { house async throws in
            let (sign, broken, channel) = (Sign(), RecordingChannel(), RecordingChannel())
            broken.breaks()
            sign.show(.broker)
            let first = Watch(house, [sign.probe()], [broken])
            await first.rounds(for: 40)
            sign.showNothing()
            await first.rounds(for: 40)
            #expect(try await house.alerts(.resolved).map(\.closeNotifiedAt) == [nil])
            let watch = Watch(house, [sign.probe()], [channel])
            await watch.round()
            await watch.rounds(for: 30)
            #expect(channel.news == ["broker_unreachable opened", "broker_unreachable closed"])
            let third = RecordingChannel()
            await Watch(house, [sign.probe()], [third]).rounds(for: 30)
            #expect(third.attempts == 0)
        }
    }

    @Test("an alert counts as told when every channel has taken it")
    func everyChannel() async throws {
        try await withHouse { house async throws in
            let (sign, webhook, mail) = (Sign(), RecordingChannel("webhook"), RecordingChannel("email"))
            mail.breaks()
            sign.show(.broker)
            let watch = Watch(house, [sign.probe()], [webhook, mail])
            await watch.rounds(for: 60)
            #expect(webhook.news == ["broker_unreachable opened"] && mail.attempts > 1)
            #expect(try await house.alerts(.unresolved).map(\.openNotifiedAt) == [nil])
            mail.breaks(false)
            await watch.rounds(for: 60)
            #expect(mail.news == ["broker_unreachable opened"] && webhook.attempts == 1)
            #expect(try await house.alerts(.unresolved).first?.openNotifiedAt != nil)
        }
    }

    @Test("a channel that refuses is left alone after 10 minutes; the next alert is told again")
    func givesUp() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            channel.breaks()
            sign.show(.broker)
            let watch = Watch(house, [sign.probe()], [channel])
            await watch.rounds(for: 640)
            let attempts = channel.attempts
            #expect((10...20).contains(attempts))
            channel.breaks(false)
            await watch.rounds(for: 300)
            #expect(channel.attempts == attempts)
            sign.show(.blocked)
            await watch.rounds(for: 40)
            #expect(
                Set(channel.news) == ["broker_blocked opened", "broker_unreachable closed"])
        }
    }

    @Test("without the database alerts open, close and are told; all of it is written down when it is back")
    func databaseAway() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            let flaky = FlakyDatabase(house.database)
            let watch = Watch(house, [.database(flaky), sign.probe()], [channel], on: flaky)
            await watch.round()
            flaky.isThere(false)
            await watch.rounds(for: 15)
            #expect(channel.attempts == 0)
            await watch.rounds(for: 5)
            #expect(channel.news == ["database_unreachable opened"])
            #expect(channel.taken.first?.alert.subject == flaky.name)
            sign.show(.broker)
            await watch.rounds(for: 40)
            sign.showNothing()
            await watch.rounds(for: 40)
            let news = ["database_unreachable opened", "broker_unreachable opened", "broker_unreachable closed"]
            #expect(channel.news == news)
            #expect(try await house.alerts().isEmpty)
            flaky.isThere(true)
            await watch.rounds(for: 5)
            let recorded = try await house.alerts()
            #expect(recorded.count == 2 && recorded.allSatisfy { $0.openNotifiedAt != nil })
            let broker = try #require(recorded.first { $0.condition == .brokerUnreachable })
            #expect(broker.closedAt != nil && broker.closeNotifiedAt != nil)
            await watch.rounds(for: 40)
            #expect(channel.news == news + ["database_unreachable closed"])
            #expect(try await house.alerts(.unresolved).isEmpty)
        }
    }

    @Test("a start while the database is away takes up what was open as soon as it is back")
    func startWithoutDatabase() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            sign.show(.broker)
            await Watch(house, [sign.probe()], [RecordingChannel()]).rounds(for: 40)
            let before = try await house.alerts(.unresolved)
            let flaky = FlakyDatabase(house.database)
            flaky.isThere(false)
            let watch = Watch(house, [sign.probe()], [channel], on: flaky)
            await watch.round()
            await watch.rounds(for: 10)
            flaky.isThere(true)
            await watch.rounds(for: 100)
            #expect(try await house.alerts() == before)
            #expect(channel.attempts == 0)
        }
    }

    @Test("whoever is not on duty looks at nothing, tells nobody and writes nothing")
    func offDuty() async throws {
        try await withHouse { house async throws in
            let (sign, channel, duty) = (Sign(), RecordingChannel(), Switch(false))
            sign.show(.broker)
            let watch = Watch(house, [sign.probe()], [channel], isOnDuty: { duty.isOn })
            await watch.rounds(for: 100)
            #expect(sign.count == 0 && channel.attempts == 0)
            #expect(try await house.alerts().isEmpty)
            duty.set(true)
            await watch.round()
            await watch.rounds(for: 40)
            #expect(channel.news == ["broker_unreachable opened"])
        }
    }

    @Test("when the duty moves, the other process goes on with the same alert, and only one tells")
    func dutyMoves() async throws {
        try await withHouse { house in
            let (sign, channel, first) = (Sign(), RecordingChannel(), Switch(true))
            sign.show(.broker)
            let one = Watch(house, [sign.probe()], [channel], isOnDuty: { first.isOn })
            let two = Watch(house, [sign.probe()], [channel], isOnDuty: { !first.isOn })
            func both(for seconds: Int) async {
                for _ in 0..<seconds / 5 {
                    await one.rounds(for: 5)
                    await two.round()
                }
            }
            await both(for: 40)
            let alert = try #require(try await house.alerts(.unresolved).first)
            first.set(false)
            await both(for: 100)
            #expect(try await house.alerts().map(\.id) == [alert.id])
            #expect(channel.news == ["broker_unreachable opened"])
            sign.showNothing()
            first.set(true)
            await both(for: 40)
            #expect(channel.news == ["broker_unreachable opened", "broker_unreachable closed"])
            #expect(try await house.alerts().map(\.id) == [alert.id])
        }
    }

    @Test("what two processes opened at once ends as one alert")
    func twins() async throws {
        try await withHouse { house async throws in
            let sign = Sign()
            sign.show(.broker)
            let channels = [RecordingChannel(), RecordingChannel()]
            let watches = channels.map { Watch(house, [sign.probe()], [$0]) }
            for _ in 0..<20 {
                await watches[0].rounds(for: 5)
                await watches[1].round()
            }
            #expect(try await house.alerts(.unresolved).count == 1)
            await Watch(house, [sign.probe()], [RecordingChannel()]).rounds(for: 60)
            #expect(try await house.alerts(.unresolved).count == 1)
        }
    }

    @Test("a probe that does not come back counts as what its silence means, and holds up no other")
    func silence() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            let hangs = AlertProbe([.databaseUnreachable], silence: [.database]) { _ in
                try? await Task.sleep(for: .seconds(3_600))
                return []
            }
            let watch = Watch(house, [sign.probe()], [channel])
            let monitor = AlertMonitor(
                configuration: .init(instance: "i"), probes: [hangs], channels: .named([channel]),
                database: house.database,
                clock: house.clock, ids: house.ids, logger: silent, isOnDuty: { true })
            await monitor.tick()
            let look = Task { await monitor.look(0) }
            defer { look.cancel() }
            try await eventually("the question") {
                // Nothing but the question changes what a tick sees, so ask until the silence is noticed.
                house.clock.advance(seconds: 5)
                await monitor.tick()
                await monitor.deliver()
                return !channel.taken.isEmpty
            }
            #expect(channel.news == ["database_unreachable opened"])
            sign.show(.broker)
            await watch.rounds(for: 40)
            #expect(channel.news == ["database_unreachable opened", "broker_unreachable opened"])
        }
    }

    @Test("closed alerts are kept for 90 days, open ones for ever")
    func retention() async throws {
        try await withHouse { house async throws in
            let (sign, channel) = (Sign(), RecordingChannel())
            let watch = Watch(house, [sign.probe()], [channel])
            sign.show(.broker, .blocked)
            await watch.rounds(for: 40)
            sign.show(.blocked)
            await watch.rounds(for: 40)
            house.clock.advance(seconds: 89.9 * 86_400)
            await watch.round()
            #expect(try await house.alerts().count == 2)
            house.clock.advance(seconds: 0.2 * 86_400)
            await watch.round()
            #expect(try await house.alerts().map(\.condition) == [.brokerBlocked])
        }
    }

    @Test("metrics show what is open, by kind, and what became of the notices")
    func metrics() async throws {
        try await withHouse { house async throws in
            let (sign, channel, registry, duty) = (
                Sign(), RecordingChannel("email"), PrometheusRegistry(), Switch(true)
            )
            channel.breaks()
            sign.show(.broker, AlertSign(.brokerUnreachable, subject: "second", detail: ""))
            let watch = Watch(house, [sign.probe()], [channel], metrics: registry, isOnDuty: { duty.isOn })
            func lines(_ name: String) -> [String] {
                String(decoding: registry.exposition(), as: UTF8.self).split(separator: "\n").map(String.init)
                    .filter { $0.hasPrefix(name) && !$0.hasSuffix(" 0") }
            }
            await watch.rounds(for: 30)
            #expect(lines("postern_alerts_open").isEmpty)
            await watch.rounds(for: 5)
            #expect(lines("postern_alerts_open") == [#"postern_alerts_open{kind="broker_unreachable"} 2"#])
            #expect(
                lines("postern_alert_notifications_total") == [
                    #"postern_alert_notifications_total{channel="email",outcome="failed"} 2"#
                ])
            channel.breaks(false)
            await watch.rounds(for: 5)
            #expect(
                lines("postern_alert_notifications_total").first
                    == #"postern_alert_notifications_total{channel="email",outcome="delivered"} 2"#)
            // Of several processes one counts: the sum over all is the truth.
            duty.set(false)
            await watch.rounds(for: 5)
            #expect(lines("postern_alerts_open").isEmpty)
        }
    }

    @Test("it runs by itself, and at the shutdown writes down what was told")
    func service() async throws {
        try await withHouse { house in
            let (sign, channel) = (Sign(), RecordingChannel())
            sign.show(.broker)
            var configuration = AlertMonitor.Configuration(instance: "i")
            configuration.interval = 0.01
            // The tests' time runs faster than the loops: nobody is silent.
            configuration.patience = 1_000_000
            let monitor = AlertMonitor(
                configuration: configuration, probes: [sign.probe()], channels: .named([channel]),
                database: house.database,
                clock: house.clock, ids: house.ids, logger: silent, isOnDuty: { true })
            try await testGracefulShutdown { trigger in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await monitor.run() }
                    try await eventually("the news") {
                        house.clock.advance(seconds: 1)
                        return channel.news == ["broker_unreachable opened"]
                    }
                    trigger.triggerGracefulShutdown()
                    try await group.waitForAll()
                }
            }
            #expect(try await house.alerts(.unresolved).first?.openNotifiedAt != nil)
        }
    }
}
