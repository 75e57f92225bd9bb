// Looks after the instance: asks the probes, holds what they see against the rules, opens and closes alerts, tells the
// channels, writes all of it down. It goes on when the database is away: then it knows by heart what is open, and writes it
// down afterwards.

package import Logging
package import Metrics
package import Model
package import SQL
import ServiceLifecycle
package import Store
import Synchronization

package final class AlertMonitor: Service {
    package struct Configuration: Sendable {
        /// Which instance a notice comes from: the host's name, or the public address.
        package var instance: String
        /// What stands where nobody wrote a rule.
        package var defaults = AlertDefaults()
        /// Seconds between rounds. Default 5.
        package var interval: Double = 5
        /// Seconds after which a probe that has not come back counts as silent. Default 10.
        package var patience: Double = 10
        /// Seconds that a condition must not hold before its alert closes. Default 30.
        package var closing: Double = 30
        package var retry = AlertQueue.Retry()
        package var pace = AlertQueue.Pace()
        /// Seconds that a closed alert is kept: 90 days.
        package var retention: Double = 90 * 86_400

        package init(instance: String) { self.instance = instance }
    }

    struct State {
        var isOnDuty = false
        /// Whether what stands in the table is known.
        var hasTakenUp = false
        /// Counts the times on duty: what was asked for an earlier one is of no use in a later one.
        var turn = 0
        var book: AlertRuleBook
        /// Of the rules and decisions that are known; `nil`: none.
        var version: Int64?
        var machine: AlertMachine
        var ledger = AlertLedger()
        var sights: [AlertSight]
        var prunedAt: Timestamp?
    }

    let configuration: Configuration
    let probes: [AlertProbe]
    let alerts: AlertRepository
    let rules: AlertRuleRepository
    let couriers: Mutex<AlertCouriers?>
    let state: Mutex<State>
    let clock: any WallClock
    let logger: Logger
    private let isOnDuty: @Sendable () async -> Bool
    private let ids: IdentifierGenerator
    private let metrics: (any MetricsFactory)?

    /// - Parameters:
    ///   - channels: who is told by the instance's rules; none is allowed, alerts are recorded and counted all the same.
    ///   - vaultChannel: makes the channel of a rule of a vault; `nil`: those tell nobody.
    ///   - metrics: `nil` is the process's own.
    ///   - isOnDuty: whether this process is the one that looks after the instance. Asked every round; it must answer at once,
    ///     and while the database is away it must go on saying yes to the process that was on duty last.
    package init(
        configuration: Configuration,
        probes: [AlertProbe],
        channels: [AlertWay: any AlertChannel],
        vaultChannel: (@Sendable (AlertTarget.Mail) -> any AlertChannel)? = nil,
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
        rules = AlertRuleRepository(database: database)
        self.isOnDuty = isOnDuty
        self.clock = clock
        self.ids = ids
        self.logger = logger
        self.metrics = metrics
        state = Mutex(
            State(
                book: AlertRuleBook(defaults: configuration.defaults),
                machine: AlertMachine(closing: configuration.closing), sights: probes.map { _ in AlertSight() }))
        couriers = Mutex(nil)
        let office = AlertCourier.Office(
            retry: configuration.retry, pace: configuration.pace, clock: clock, logger: logger, metrics: metrics
        ) { [weak self] notice, target, wasTaken in
            self?.ended(notice, target, wasTaken)
        }
        let made = AlertCouriers(channels, vaults: vaultChannel, office)
        couriers.withLock { $0 = made }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            // Each part has a task of its own: a database or a webhook that hangs must not keep the others from going
            // on.
            let (interval, quick) = (configuration.interval, min(configuration.interval, 1))
            await withDiscardingTaskGroup { group in
                group.addTask { await self.again(every: interval) { await self.tick() } }
                group.addTask { await self.again(every: interval) { await self.writeDown() } }
                for index in probes.indices {
                    group.addTask { await self.again(every: interval) { await self.look(index) } }
                }
                for courier in office.ofInstance {
                    group.addTask { await self.again(every: quick) { await courier.round() } }
                }
                group.addTask { await self.again(every: quick) { await self.deliverForVaults() } }
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

    var office: AlertCouriers {
        guard let couriers = couriers.withLock({ $0 }) else {
            preconditionFailure("couriers are made with the monitor")
        }
        return couriers
    }

    /// Asks one probe, where its pause is over.
    func look(_ index: Int) async {
        let (probe, now) = (probes[index], clock.now())
        let question = state.withLock { state -> (turn: Int, book: AlertRuleBook)? in
            guard state.isOnDuty, state.sights[index].isDue(probe, at: now) else { return nil }
            state.sights[index].askedAt = now
            return (state.turn, state.book)
        }
        guard let question else { return }
        let signs = await probe.look(question.book)
        state.withLock { state in
            // Other rules may ask for something else.
            guard state.turn == question.turn, state.book == question.book else { return }
            state.sights[index] = AlertSight(signs: signs, seenAt: clock.now())
        }
    }

    /// One step of the machine with what the probes have seen.
    func tick() async {
        let duty = await isOnDuty()
        let now = clock.now()
        let changes = state.withLock { state -> [AlertMachine.Change] in
            if duty != state.isOnDuty { begin(duty, &state) }
            guard duty else { return [] }
            let readings = zip(probes, state.sights).map { probe, sight in
                AlertReading(
                    probe.conditions,
                    sight.signs(of: probe, at: now, patience: configuration.patience)?
                        .flatMap(state.book.findings))
            }
            let changes = state.machine.observe(readings, rules: state.book, at: now) { ids.next() }
            for change in changes { state.ledger.note(change.alert) }
            return changes
        }
        tell(changes)
        report(state.withLock { $0.machine.open })
    }

    /// Tries every channel once, one after the other.
    func deliver() async {
        for courier in office.ofInstance { await courier.round() }
        await deliverForVaults()
    }

    private func deliverForVaults() async {
        for courier in office.ofVaults where !Task.isCancelled { await courier.round() }
        office.tidy()
    }

    private func begin(_ duty: Bool, _ state: inout State) {
        state.isOnDuty = duty
        state.turn += 1
        // Whoever is on duty goes on from what is written down; what only we knew is found again.
        state.hasTakenUp = false
        state.version = nil
        state.machine = AlertMachine(closing: configuration.closing)
        state.ledger = AlertLedger()
        state.sights = probes.map { _ in AlertSight() }
        office.clear()
    }

    func tell(_ changes: [AlertMachine.Change]) {
        for change in changes {
            log(change)
            guard change.isTold else { continue }
            switch change.event {
            case .opened: tell(change.alert, .opened)
            case .closed: tell(change.alert, .closed)
            case .summarised: tell(change.alert, .summary)
            case .returned, .withdrawn: break
            }
        }
    }

    func tell(_ alert: Alert, _ news: AlertNotice.State) {
        let notice = AlertNotice(alert, news, instance: configuration.instance)
        let office = office
        let targets = state.withLock { state in
            let targets = state.book.rule(alert).map(office.targets) ?? []
            state.ledger.expect(notice, from: targets)
            return targets
        }
        for target in targets { office.add(notice, to: target) }
    }

    private func ended(_ notice: AlertNotice, _ target: AlertTarget, _ wasTaken: Bool) {
        let now = clock.now()
        state.withLock { state in
            if wasTaken { state.ledger.told(notice, by: target, at: now) } else { state.ledger.gaveUp(notice) }
        }
    }

    private func log(_ change: AlertMachine.Change) {
        let alert = change.alert
        let metadata: Logger.Metadata = [
            "alert": "\(alert.id)", "kind": "\(alert.condition.rawValue)", "severity": "\(alert.severity.rawValue)",
            "subject": "\(alert.subject)", "detail": "\(alert.detail)", "times": "\(alert.times)",
        ]
        switch change.event {
        case .opened:
            let level: Logger.Level =
                switch alert.severity {
                case .critical: .error
                case .warning: .warning
                case .info: .notice
                }
            logger.log(level: level, "an alert opened", metadata: metadata)
        case .closed: logger.notice("an alert closed", metadata: metadata)
        case .summarised: logger.notice("an alert comes and goes", metadata: metadata)
        case .returned: logger.info("an alert came back", metadata: metadata)
        case .withdrawn: logger.notice("an alert closed with its rule", metadata: metadata)
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
