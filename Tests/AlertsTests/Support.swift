// Doubles: signs that a test sets, channels that take or refuse as a test says, and a monitor that goes step by step.

import CoreTestSupport
import Logging
import Model
import Prometheus
import SQL
import Store
import Synchronization
import TestSupport

@testable import Alerts

let silent = Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() }

extension Timestamp {
    /// Seconds after the tests' beginning of time.
    static func at(_ seconds: Double) -> Timestamp {
        Timestamp(milliseconds: 1_800_000_000_000).adding(seconds: seconds)
    }
}

extension AlertFinding {
    static let broker = AlertFinding(.brokerUnreachable, subject: "rabbit:5672", detail: "connection refused")
    static let blocked = AlertFinding(.brokerBlocked, subject: "rabbit:5672", detail: "memory")
    static let database = AlertFinding(.databaseUnreachable, subject: "SQLite", detail: "gone")
}

extension AlertSign {
    static let broker = AlertSign(.brokerUnreachable, subject: "rabbit:5672", detail: "connection refused")
    static let blocked = AlertSign(.brokerBlocked, subject: "rabbit:5672", detail: "memory")
    static let database = AlertSign(.databaseUnreachable, subject: "SQLite", detail: "gone")
}

extension AlertProbe {
    /// What it sees by the shipped rules.
    func look(_ rows: [AlertRule] = [], defaults: AlertDefaults = AlertDefaults()) async -> [AlertFinding]? {
        let book = AlertRuleBook(rows, defaults: defaults)
        return await look(book)?.flatMap(book.findings)
    }
}

extension AlertRule {
    static func test(
        _ number: UInt64, _ condition: AlertCondition, vault: VaultID? = nil, isEnabled: Bool = true,
        _ change: (inout Definition) -> Void = { _ in }
    ) -> AlertRule {
        var definition = Definition()
        change(&definition)
        return AlertRule(
            id: AlertRuleID(high: 0, low: number), vault: vault, condition: condition, definition: definition,
            isEnabled: isEnabled, createdAt: .at(0), updatedAt: .at(0))
    }
}

/// A probe whose answer a test sets.
final class Sign: Sendable {
    private let findings = Mutex<[AlertSign]?>([])
    private let asked = Mutex(0)

    func show(_ findings: AlertSign...) { self.findings.withLock { $0 = findings } }
    func show(_ findings: [AlertSign]) { self.findings.withLock { $0 = findings } }
    func showNothing() { findings.withLock { $0 = [] } }
    func cannotTell() { findings.withLock { $0 = nil } }

    var count: Int { asked.withLock { $0 } }

    func probe(
        _ conditions: Set<AlertCondition> = [.brokerUnreachable, .brokerBlocked],
        pause: Double = 0
    ) -> AlertProbe {
        AlertProbe(conditions, pause: pause) { [self] _ in
            asked.withLock { $0 += 1 }
            return findings.withLock { $0 }
        }
    }
}

/// A channel that remembers what it was told, and refuses while it is broken.
final class RecordingChannel: AlertChannel {
    private struct State {
        var taken: [AlertMessage] = []
        var attempts = 0
        var isBroken = false
    }

    let name: String
    private let state = Mutex(State())

    init(_ name: String = "webhook") { self.name = name }

    var messages: [AlertMessage] { state.withLock { $0.taken } }
    var taken: [AlertNotice] { messages.flatMap(\.notices) }
    var news: [String] { taken.map { "\($0.alert.condition.rawValue) \($0.state.rawValue)" } }
    var attempts: Int { state.withLock { $0.attempts } }
    func breaks(_ isBroken: Bool = true) { state.withLock { $0.isBroken = isBroken } }

    func deliver(_ message: AlertMessage) async throws {
        try state.withLock { state in
            state.attempts += 1
            guard !state.isBroken else { throw AlertChannelError("out of order") }
            state.taken.append(message)
        }
    }
}

extension [AlertWay: any AlertChannel] {
    /// Each under the way that it is named after.
    static func named(_ channels: [RecordingChannel]) -> Self {
        var ways: Self = [:]
        for channel in channels { ways[AlertWay(rawValue: channel.name) ?? .webhook] = channel }
        return ways
    }
}

/// Whether the database answers, and who is on duty, as a test says.
final class Switch: Sendable {
    private let value: Mutex<Bool>
    init(_ value: Bool) { self.value = Mutex(value) }
    var isOn: Bool { value.withLock { $0 } }
    func set(_ isOn: Bool) { value.withLock { $0 = isOn } }
}

/// A database that can be away, for reading and for writing.
final class FlakyDatabase: SQLDatabase {
    private let real: any SQLDatabase
    private let isThere = Switch(true)

    init(_ real: any SQLDatabase) { self.real = real }

    func isThere(_ isThere: Bool) { self.isThere.set(isThere) }

    private func check() throws {
        guard isThere.isOn else { throw SQLError(.unavailable, "the connection was lost") }
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try check()
        return try await real.read(body)
    }

    @discardableResult
    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        try check()
        return try await real.write(cost: cost, body)
    }

    func announce(_ topic: String) { real.announce(topic) }
    func announcements() -> AsyncStream<String> { real.announcements() }
    var isShared: Bool { real.isShared }
    var name: String { real.name }
    func close() async { await real.close() }
}

/// A monitor that goes step by step, in the tests' own time.
struct Watch: Sendable {
    let monitor: AlertMonitor
    let clock: ManualClock
    let probes: Int

    init(
        _ house: TestHouse,
        _ probes: [AlertProbe],
        _ channels: [RecordingChannel],
        forVaults: (@Sendable (AlertTarget.Mail) -> any AlertChannel)? = nil,
        on database: (any SQLDatabase)? = nil,
        metrics: PrometheusRegistry? = nil,
        isOnDuty: @escaping @Sendable () async -> Bool = { true },
        configure: (inout AlertMonitor.Configuration) -> Void = { _ in }
    ) {
        var configuration = AlertMonitor.Configuration(instance: "mail.example.org")
        configure(&configuration)
        clock = house.clock
        self.probes = probes.count
        monitor = AlertMonitor(
            configuration: configuration, probes: probes, channels: .named(channels), vaultChannel: forVaults,
            database: database ?? house.database, clock: house.clock, ids: house.ids, logger: silent, metrics: metrics,
            isOnDuty: isOnDuty)
    }

    /// Everything once, in the order that the loops would come to it.
    func round() async {
        await monitor.tick()
        await monitor.writeDown()
        for index in 0..<probes { await monitor.look(index) }
        await monitor.tick()
        await monitor.deliver()
        await monitor.writeDown()
    }

    /// Rounds of five seconds each.
    func rounds(for seconds: Double) async {
        for _ in 0..<Int(seconds / 5) {
            clock.advance(seconds: 5)
            await round()
        }
    }
}

extension TestHouse {
    /// Those that the instance's people see.
    func alerts(_ state: AlertQuery.State = .all) async throws -> [Alert] {
        try await AlertRepository(database: database).list(
            AlertQuery(state: state, limit: 200), in: .instance)
    }
}
