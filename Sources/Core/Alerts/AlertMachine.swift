// When a sign becomes an alert, and when an alert is over. A value: readings and the time go in, changes come out.

package import Model
package import Store

package struct AlertMachine: Sendable {
    package struct Delays: Sendable {
        /// Seconds that a condition must hold before its alert opens. Default 30; the database's 15. What was cut off was cut
        /// off, and is told at once.
        package var opening: [AlertCondition: Double] = [.databaseUnreachable: 15, .runaway: 0]
        package var otherwise: Double = 30
        /// Seconds that it must not hold before its alert closes. Default 30.
        package var closing: Double = 30

        package init() {}

        func opening(_ condition: AlertCondition) -> Double { opening[condition] ?? otherwise }
    }

    package enum Change: Hashable, Sendable {
        case opened(Alert)
        case closed(Alert)
    }

    /// Of one condition and one subject there is one alert.
    private struct Key: Hashable, Comparable {
        let condition: AlertCondition
        let subject: String

        static func < (left: Key, right: Key) -> Bool {
            (left.condition.rawValue, left.subject) < (right.condition.rawValue, right.subject)
        }
    }

    private enum State {
        /// It holds, and not for long enough yet.
        case holding(since: Timestamp)
        case open(Alert)
        /// It does not hold any more, and not for long enough yet.
        case clearing(Alert, since: Timestamp)
    }

    private enum Truth {
        case holds(AlertFinding)
        case doesNot
        case unknown
    }

    /// Subjects that are followed at once; more are not taken up until there is room.
    private static let limit = 1_000

    private let delays: Delays
    private var states: [Key: State] = [:]

    package init(delays: Delays = Delays()) { self.delays = delays }

    /// What is open, oldest first.
    package var open: [Alert] {
        states.values.compactMap { state in
            switch state {
            case .holding: nil
            case .open(let alert), .clearing(let alert, _): alert
            }
        }.sorted { $0.id < $1.id }
    }

    /// Goes on with alerts that another process, or this one before its restart, had open.
    /// - Returns: closings of those that have a newer twin here.
    package mutating func adopt(_ alerts: [Alert], at now: Timestamp) -> [Change] {
        var changes: [Change] = []
        for alert in alerts where alert.isOpen {
            let key = Key(condition: alert.condition, subject: alert.subject)
            switch states[key] {
            case nil, .holding: states[key] = .open(alert)
            case .open(let twin), .clearing(let twin, _):
                if twin.id != alert.id { changes.append(.closed(alert.closing(at: now))) }
            }
        }
        return changes
    }

    /// Takes in one round of readings: of all probes, also of those that cannot tell.
    ///
    /// Where it cannot be told, nothing opens and nothing closes, and what was about to begins anew. What no probe
    /// looks for any more does not hold.
    package mutating func observe(
        _ readings: [AlertReading],
        at now: Timestamp,
        nextID: () -> AlertID
    ) -> [Change] {
        var found: [Key: AlertFinding] = [:]
        for finding in readings.flatMap({ $0.findings ?? [] }) {
            let key = Key(condition: finding.condition, subject: finding.subject)
            if found[key] == nil { found[key] = finding }
        }
        let unknown = readings.reduce(into: Set<AlertCondition>()) { unknown, reading in
            if reading.findings == nil { unknown.formUnion(reading.conditions) }
        }
        var changes: [Change] = []
        for key in Set(states.keys).union(found.keys).sorted() {
            let truth: Truth =
                found[key].map(Truth.holds) ?? (unknown.contains(key.condition) ? .unknown : .doesNot)
            guard states[key] != nil || states.count < Self.limit else { continue }
            if let change = step(key, truth, now, nextID) { changes.append(change) }
        }
        return changes
    }

    private mutating func step(
        _ key: Key,
        _ truth: Truth,
        _ now: Timestamp,
        _ nextID: () -> AlertID
    ) -> Change? {
        switch (states[key], truth) {
        case (nil, .holds(let finding)):
            return hold(key, since: now, finding, now, nextID)
        case (.holding(let since), .holds(let finding)):
            // A clock that is set back must not stop an alert for as long as it was ahead.
            return hold(key, since: min(since, now), finding, now, nextID)
        case (nil, .doesNot), (nil, .unknown), (.holding, .doesNot), (.holding, .unknown):
            states[key] = nil
        case (.open, .holds), (.open, .unknown): break
        case (.open(let alert), .doesNot):
            return clear(key, alert, since: now, now)
        case (.clearing(let alert, _), .holds), (.clearing(let alert, _), .unknown):
            states[key] = .open(alert)
        case (.clearing(let alert, let since), .doesNot):
            return clear(key, alert, since: min(since, now), now)
        }
        return nil
    }

    private mutating func hold(
        _ key: Key,
        since: Timestamp,
        _ finding: AlertFinding,
        _ now: Timestamp,
        _ nextID: () -> AlertID
    ) -> Change? {
        guard now >= since.adding(seconds: delays.opening(key.condition)) else {
            states[key] = .holding(since: since)
            return nil
        }
        let alert = Alert(
            id: nextID(), vault: finding.vault, condition: key.condition, subject: key.subject,
            detail: finding.detail, beganAt: since, openedAt: now)
        states[key] = .open(alert)
        return .opened(alert)
    }

    private mutating func clear(_ key: Key, _ alert: Alert, since: Timestamp, _ now: Timestamp) -> Change? {
        guard now >= since.adding(seconds: delays.closing) else {
            states[key] = .clearing(alert, since: since)
            return nil
        }
        states[key] = nil
        return .closed(alert.closing(at: now))
    }
}

extension Alert {
    fileprivate func closing(at now: Timestamp) -> Alert {
        var alert = self
        alert.closedAt = now
        return alert
    }
}
