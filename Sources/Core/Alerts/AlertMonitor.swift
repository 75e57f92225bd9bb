// Looks after the instance: asks the probes, opens and closes alerts, tells the channels, writes all of it down. It
// goes on when the database is away: then it knows by heart what is open, and writes it down afterwards.

package import Logging
package import Metrics
package import Model
package import SQL
import ServiceLifecycle
import Store
import Synchronization

package final class AlertMonitor: Service {
    package struct Configuration: Sendable {
        /// Which instance a notice comes from: the host's name, or the public address.
        package var instance: String
        /// Seconds between rounds. Default 5.
        package var interval: Double = 5
        /// Seconds after which a probe that has not come back counts as silent. Default 10.
        package var patience: Double = 10
        package var delays = AlertMachine.Delays()
        package var retry = AlertQueue.Retry()
        /// Seconds that a closed alert is kept: 90 days.
        package var retention: Double = 90 * 86_400

        package init(instance: String) { self.instance = instance }
    }

    /// What a probe last said, and whether it is asked at this moment.
    private struct Sight {
        var findings: [AlertFinding]?
        var seenAt: Timestamp?
        var askedAt: Timestamp?
    }

    private struct State {
        var isOnDuty = false
        /// Whether what stands in the table is known.
        var hasTakenUp = false
        /// Counts the times on duty: what was asked for an earlier one is of no use in a later one.
        var turn = 0
        var machine: AlertMachine
        var ledger = AlertLedger()
        var sights: [Sight]
        var prunedAt: Timestamp?
    }

    private let configuration: Configuration
    private let probes: [AlertProbe]
    private let alerts: AlertRepository
    private let isOnDuty: @Sendable () async -> Bool
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let logger: Logger
    private let metrics: (any MetricsFactory)?
    private let state: Mutex<State>
    private let couriers: Mutex<[AlertCourier]>

    /// - Parameters:
    ///   - channels: who is told; none is allowed, alerts are recorded and counted all the same.
    ///   - metrics: `nil` is the process's own.
    ///   - isOnDuty: whether this process is the one that looks after the instance. Asked every round; it must answer at once,
    ///     and while the database is away it must go on saying yes to the process that was on duty last.
    package init(
        configuration: Configuration,
        probes: [AlertProbe],
        channels: [any AlertChannel],
        database: any SQLDatabase,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger,
        metrics: (any MetricsFactory)? = nil,
        isOnDuty: @escaping @Sendable () async -> Bool
    ) {
        self.configuration = configuration
        self.probes = probes
        alerts = AlertRepository(database: database)
        self.isOnDuty = isOnDuty
        self.clock = clock
        self.ids = ids
        self.logger = logger
        self.metrics = metrics
        state = Mutex(
            State(
                machine: AlertMachine(delays: configuration.delays),
                sights: probes.map { _ in Sight() }))
        couriers = Mutex([])
        let made = channels.map { channel in
            AlertCourier(
                channel: channel, retry: configuration.retry, clock: clock, logger: logger, metrics: metrics
            ) {
                [weak self] notice, channel, wasTaken in
                self?.ended(notice, channel, wasTaken)
            }
        }
        couriers.withLock { $0 = made }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            // Each part has a task of its own: a database or a webhook that hangs must not keep the others from going
            // on.
            await withDiscardingTaskGroup { group in
                group.addTask { await self.again(every: self.configuration.interval) { await self.tick() } }
                group.addTask { await self.again(every: self.configuration.interval) { await self.writeDown() } }
                for index in probes.indices {
                    group.addTask { await self.again(every: self.configuration.interval) { await self.look(index) } }
                }
                for courier in couriers.withLock({ $0 }) {
                    group.addTask {
                        await self.again(every: min(self.configuration.interval, 1)) { await courier.round() }
                    }
                }
            }
        }
        // What was told in the last seconds is not told again after a restart.
        await writeDown()
    }

    private func again(every seconds: Double, _ work: () async -> Void) async {
        while !Task.isCancelled {
            await work()
            try? await Task.sleep(for: .seconds(seconds))
        }
    }

    /// Asks one probe.
    func look(_ index: Int) async {
        let turn = state.withLock { state -> Int? in
            guard state.isOnDuty else { return nil }
            state.sights[index].askedAt = clock.now()
            return state.turn
        }
        guard let turn else { return }
        let findings = await probes[index].look()
        state.withLock { state in
            guard state.turn == turn else { return }
            state.sights[index] = Sight(findings: findings, seenAt: clock.now())
        }
    }

    /// One step of the machine with what the probes have seen.
    func tick() async {
        let duty = await isOnDuty()
        let now = clock.now()
        let changes = state.withLock { state -> [AlertMachine.Change] in
            if duty != state.isOnDuty { begin(duty, &state) }
            guard duty else { return [] }
            let readings = zip(probes, state.sights).map { reading($0, $1, at: now) }
            let changes = state.machine.observe(readings, at: now) { ids.next() }
            for change in changes { state.ledger.note(change.alert) }
            return changes
        }
        tell(changes)
        report(state.withLock { $0.machine.open })
    }

    /// Takes up what stands in the table, once, then writes down what is not there yet.
    func writeDown() async {
        do {
            try await takeUp()
            for alert in state.withLock({ $0.hasTakenUp ? $0.ledger.pending : [] }) {
                try await alerts.record(alert)
                state.withLock { $0.ledger.wrote(alert) }
            }
            try await prune()
        } catch {
            // The database's own alert says it aloud where it lasts.
            logger.debug("alerts could not be written down", metadata: ["error": "\(error)"])
        }
    }

    /// Tries every channel once, one after the other.
    func deliver() async {
        for courier in couriers.withLock({ $0 }) { await courier.round() }
    }

    private func begin(_ duty: Bool, _ state: inout State) {
        state.isOnDuty = duty
        state.turn += 1
        // Whoever is on duty goes on from what is written down; what only we knew is found again.
        state.hasTakenUp = false
        state.machine = AlertMachine(delays: configuration.delays)
        state.ledger = AlertLedger()
        state.sights = probes.map { _ in Sight() }
        for courier in couriers.withLock({ $0 }) { courier.clear() }
    }

    private func reading(_ probe: AlertProbe, _ sight: Sight, at now: Timestamp) -> AlertReading {
        let horizon = now.adding(seconds: -configuration.patience)
        if let seenAt = sight.seenAt, seenAt >= horizon { return AlertReading(probe.conditions, sight.findings) }
        if let askedAt = sight.askedAt, askedAt < horizon { return AlertReading(probe.conditions, probe.silence) }
        return AlertReading(probe.conditions, nil)
    }

    private func takeUp() async throws {
        guard let turn = state.withLock({ $0.isOnDuty && !$0.hasTakenUp ? $0.turn : nil }) else { return }
        let now = clock.now()
        let found = try await alerts.unfinished(
            closedSince: now.adding(seconds: -configuration.retry.lifetime), limit: 1_000)
        let changes = state.withLock { state -> [AlertMachine.Change]? in
            guard state.turn == turn, !state.hasTakenUp else { return nil }
            state.hasTakenUp = true
            let changes = state.machine.adopt(found, at: now)
            for change in changes { state.ledger.note(change.alert) }
            return changes
        }
        guard let changes else { return }
        for alert in found {
            if alert.openNotifiedAt == nil { tell(alert, .opened) }
            if !alert.isOpen { tell(alert, .closed) }
        }
        tell(changes)
    }

    private func prune() async throws {
        let now = clock.now()
        let isDue = state.withLock { state in
            guard state.isOnDuty, state.prunedAt.map({ $0.adding(seconds: 3_600) <= now }) ?? true else { return false }
            state.prunedAt = now
            return true
        }
        guard isDue else { return }
        _ = try await alerts.dropClosed(before: now.adding(seconds: -configuration.retention), limit: 5_000)
    }

    private func tell(_ changes: [AlertMachine.Change]) {
        for change in changes {
            let alert = change.alert
            let metadata: Logger.Metadata = [
                "alert": "\(alert.id)", "kind": "\(alert.condition.rawValue)", "subject": "\(alert.subject)",
                "detail": "\(alert.detail)",
            ]
            switch change {
            case .opened:
                logger.error("an alert opened", metadata: metadata)
                tell(alert, .opened)
            case .closed:
                logger.notice("an alert closed", metadata: metadata)
                tell(alert, .closed)
            }
        }
    }

    private func tell(_ alert: Alert, _ news: AlertNotice.State) {
        let notice = AlertNotice(alert, news, instance: configuration.instance)
        let couriers = couriers.withLock { $0 }
        state.withLock { $0.ledger.expect(notice, from: couriers.map(\.name)) }
        for courier in couriers { courier.add(notice) }
    }

    private func ended(_ notice: AlertNotice, _ channel: String, _ wasTaken: Bool) {
        let now = clock.now()
        state.withLock { state in
            if wasTaken { state.ledger.told(notice, by: channel, at: now) } else { state.ledger.gaveUp(notice) }
        }
    }

    private func report(_ open: [Alert]) {
        for condition in AlertCondition.allCases {
            Gauge(
                label: "postern_alerts_open", dimensions: [("kind", condition.rawValue)],
                factory: metrics ?? MetricsSystem.factory
            ).record(open.count { $0.condition == condition })
        }
    }
}

extension AlertMachine.Change {
    var alert: Alert {
        switch self {
        case .opened(let alert), .closed(let alert): alert
        }
    }
}
