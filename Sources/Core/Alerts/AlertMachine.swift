// When a sign becomes an alert, when an alert is over, and which of it is told. A value: readings, what people decided and
// the time go in, changes come out.
//
// A condition that comes and goes does not become a flood: from the moment that an alert opens, a cool-down runs in which
// what comes back is the same alert again, without a word. When the cool-down ends, one summary says how often it came and
// how it stands, and the next cool-down begins.

package import Model
package import Store

package struct AlertMachine: Sendable {
    package struct Change: Hashable, Sendable {
        package enum Event: Hashable, Sendable {
            case opened, closed
            /// Came back within its cool-down.
            case returned
            /// A cool-down ended in which it came back.
            case summarised
            /// The rule is no longer in force.
            case withdrawn
        }

        package let event: Event
        package let alert: Alert
        /// Whether people are to hear of it.
        package let isTold: Bool
    }

    /// Of one condition, one subject and one rule there is one alert.
    private struct Key: Hashable, Comparable {
        let condition: AlertCondition
        let subject: String
        let rule: AlertRuleID?

        init(_ finding: AlertFinding) {
            (condition, subject, rule) = (finding.condition, finding.subject, finding.rule)
        }

        init(_ alert: Alert) {
            (condition, subject, rule) = (alert.condition, alert.subject, alert.rule)
        }

        static func < (left: Key, right: Key) -> Bool {
            (left.condition.rawValue, left.subject, left.rule?.text ?? "")
                < (right.condition.rawValue, right.subject, right.rule?.text ?? "")
        }
    }

    fileprivate enum State {
        /// It holds, and not for long enough yet.
        case holding(AlertFinding, since: Timestamp)
        case open(Alert)
        /// It does not hold any more, and not for long enough yet.
        case clearing(Alert, since: Timestamp)
        /// It is over, and its cool-down is not.
        case resting(Alert)
        /// It is over and holds again, and not for long enough yet.
        case returning(Alert, since: Timestamp)

        var alert: Alert? {
            switch self {
            case .holding: nil
            case .open(let alert), .clearing(let alert, _), .resting(let alert), .returning(let alert, _): alert
            }
        }
    }

    private enum Truth {
        case holds(AlertFinding)
        case doesNot
        case unknown
    }

    /// Subjects that are followed at once; more are not taken up until there is room.
    private static let limit = 1_000

    /// Seconds that a condition must not hold before its alert closes.
    private let closing: Double
    private var states: [Key: State] = [:]

    /// - Parameter closing: seconds that a condition must not hold before its alert closes. Default 30.
    package init(closing: Double = 30) { self.closing = closing }

    /// What is open, oldest first.
    package var open: [Alert] {
        states.values.compactMap(\.alert).filter(\.isOpen).sorted { $0.id < $1.id }
    }

    // MARK: What is known already

    /// Goes on with alerts that another process, or this one before its restart, had open or had seen end within the
    /// cool-down.
    /// - Returns: closings of those that have a newer twin here.
    package mutating func adopt(_ alerts: [Alert], rules: AlertRuleBook, at now: Timestamp) -> [Change] {
        var changes: [Change] = []
        for alert in alerts {
            let key = Key(alert)
            let known = states[key]
            switch (known, known?.alert) {
            case (_, .some(let twin)):
                guard alert.isOpen, twin.id != alert.id else { continue }
                var alert = alert
                alert.closedAt = now
                changes.append(Change(event: .closed, alert: alert, isTold: alert.closeNotifiedAt == nil))
            case (.holding(_, let since), _) where !alert.isOpen:
                guard let rested = rested(alert, rules, now) else { continue }
                states[key] = .returning(rested, since: since)
            case (_, nil):
                states[key] = alert.isOpen ? .open(alert) : rested(alert, rules, now).map(State.resting)
            }
        }
        return changes
    }

    private func rested(_ alert: Alert, _ rules: AlertRuleBook, _ now: Timestamp) -> Alert? {
        guard let rule = rules.rule(alert), let closedAt = alert.closedAt else { return nil }
        var alert = alert
        if alert.resolvedBy != nil { alert.rest(until: closedAt.adding(seconds: Double(rule.terms.cooldown))) }
        return (alert.quietUntil ?? closedAt) > now || alert.hasUntoldReturns ? alert : nil
    }

    /// Takes in what people decided about alerts that are open here.
    /// - Parameter alerts: as they stand in the table.
    package mutating func heed(_ alerts: [Alert], rules: AlertRuleBook) -> [Change] {
        var changes: [Change] = []
        for alert in alerts {
            let key = Key(alert)
            guard let known = states[key]?.alert, known.id == alert.id else { continue }
            var merged = known.merged(with: alert)
            guard known.isOpen, let closedAt = merged.closedAt, merged.resolvedBy != nil else {
                states[key] = states[key]?.replacing(merged)
                continue
            }
            let cooldown = rules.rule(alert)?.terms.cooldown ?? 0
            merged.rest(until: closedAt.adding(seconds: Double(cooldown)))
            merged.toldTimes = merged.times
            states[key] = .resting(merged)
            changes.append(Change(event: .closed, alert: merged, isTold: merged.closeNotifiedAt == nil))
        }
        return changes
    }

    // MARK: What is seen

    /// Takes in one round of readings: of all probes, also of those that cannot tell.
    ///
    /// Where it cannot be told, nothing opens and nothing closes, and what was about to begins anew. What no probe
    /// looks for any more does not hold.
    package mutating func observe(
        _ readings: [AlertReading],
        rules: AlertRuleBook,
        at now: Timestamp,
        nextID: () -> AlertID
    ) -> [Change] {
        var found: [Key: AlertFinding] = [:]
        for finding in readings.flatMap({ $0.findings ?? [] }) where found[Key(finding)] == nil {
            found[Key(finding)] = finding
        }
        let unknown = readings.reduce(into: Set<AlertCondition>()) { unknown, reading in
            if reading.findings == nil { unknown.formUnion(reading.conditions) }
        }
        var changes: [Change] = []
        var spare = spare(for: found.keys.count { states[$0] == nil })
        for key in Set(states.keys).union(found.keys).sorted() {
            let truth: Truth =
                found[key].map(Truth.holds) ?? (unknown.contains(key.condition) ? .unknown : .doesNot)
            if states[key] == nil, states.count >= Self.limit {
                guard let old = spare.popLast() else { continue }
                states[old] = nil
            }
            guard let rule = rule(key, found[key], rules) else {
                if let change = withdraw(key, at: now) { changes.append(change) }
                continue
            }
            if let change = step(key, truth, rule, now, nextID) { changes.append(change) }
            if let change = summarise(key, rule, now) { changes.append(change) }
        }
        return changes
    }

    /// What may be forgotten to make room: cool-downs in which nothing happened. The last one is the oldest.
    private func spare(for count: Int) -> [Key] {
        guard states.count + count > Self.limit else { return [] }
        let resting = states.compactMap { key, state -> (key: Key, end: Timestamp)? in
            guard case .resting(let alert) = state, !alert.hasUntoldReturns else { return nil }
            return (key, alert.quietUntil ?? alert.openedAt)
        }
        return resting.sorted { ($1.end, $1.key) < ($0.end, $0.key) }.map(\.key)
    }

    private func rule(_ key: Key, _ finding: AlertFinding?, _ rules: AlertRuleBook) -> AlertRuleBook.Rule? {
        if let alert = states[key]?.alert { return rules.rule(alert) }
        guard let finding = finding ?? states[key]?.finding else { return nil }
        return rules.rule(finding.rule, of: finding.condition, vault: finding.vault)
    }

    private mutating func step(
        _ key: Key,
        _ truth: Truth,
        _ rule: AlertRuleBook.Rule,
        _ now: Timestamp,
        _ nextID: () -> AlertID
    ) -> Change? {
        switch (states[key], truth) {
        case (nil, .holds(let finding)):
            return hold(key, since: now, finding, rule, now, nextID)
        case (.holding(_, let since), .holds(let finding)):
            // A clock that is set back must not stop an alert for as long as it was ahead.
            return hold(key, since: min(since, now), finding, rule, now, nextID)
        case (nil, .doesNot), (nil, .unknown), (.holding, .doesNot), (.holding, .unknown):
            states[key] = nil
        case (.open, .holds), (.open, .unknown), (.resting, .doesNot), (.resting, .unknown): break
        case (.open(let alert), .doesNot):
            return key.condition.traits.isOverByItself ? clear(key, alert, since: now, rule, now) : nil
        case (.clearing(let alert, _), .holds), (.clearing(let alert, _), .unknown):
            states[key] = .open(alert)
        case (.clearing(let alert, let since), .doesNot):
            return clear(key, alert, since: min(since, now), rule, now)
        case (.resting(let alert), .holds):
            // Who said that it is over is not contradicted at once.
            return alert.resolvedBy == nil ? comeBack(key, alert, since: now, rule, now) : nil
        case (.returning(let alert, let since), .holds):
            return comeBack(key, alert, since: min(since, now), rule, now)
        case (.returning(let alert, _), .doesNot), (.returning(let alert, _), .unknown):
            states[key] = .resting(alert)
        }
        return nil
    }

    private mutating func hold(
        _ key: Key,
        since: Timestamp,
        _ finding: AlertFinding,
        _ rule: AlertRuleBook.Rule,
        _ now: Timestamp,
        _ nextID: () -> AlertID
    ) -> Change? {
        guard now >= since.adding(seconds: rule.opening) else {
            states[key] = .holding(finding, since: since)
            return nil
        }
        var alert = Alert(
            id: nextID(), vault: finding.vault, audience: rule.audience, condition: key.condition, rule: key.rule,
            severity: rule.terms.severity, subject: key.subject, detail: finding.detail, beganAt: since, openedAt: now)
        alert.quietUntil = now.adding(seconds: Double(rule.terms.cooldown))
        states[key] = .open(alert)
        return Change(event: .opened, alert: alert, isTold: true)
    }

    private mutating func comeBack(
        _ key: Key,
        _ alert: Alert,
        since: Timestamp,
        _ rule: AlertRuleBook.Rule,
        _ now: Timestamp
    ) -> Change? {
        guard now >= since.adding(seconds: rule.opening) else {
            states[key] = .returning(alert, since: since)
            return nil
        }
        var alert = alert
        // People were told that it is over, or are being told: so they take it, until the summary.
        alert.closeNotifiedAt = alert.closeNotifiedAt ?? alert.closedAt
        alert.closedAt = nil
        alert.times += 1
        states[key] = .open(alert)
        return Change(event: .returned, alert: alert, isTold: false)
    }

    private mutating func clear(
        _ key: Key,
        _ alert: Alert,
        since: Timestamp,
        _ rule: AlertRuleBook.Rule,
        _ now: Timestamp
    ) -> Change? {
        guard now >= since.adding(seconds: closing) else {
            states[key] = .clearing(alert, since: since)
            return nil
        }
        var alert = alert
        alert.closedAt = now
        states[key] = .resting(alert)
        return Change(event: .closed, alert: alert, isTold: alert.closeNotifiedAt == nil)
    }

    // MARK: The cool-down

    /// Ends a cool-down that is over.
    private mutating func summarise(_ key: Key, _ rule: AlertRuleBook.Rule, _ now: Timestamp) -> Change? {
        guard let state = states[key], var alert = state.alert else { return nil }
        let cooldown = Double(rule.terms.cooldown)
        // A clock that is set back must not make a cool-down longer; one that was made shorter counts from now.
        let end = min(alert.quietUntil ?? now, now.adding(seconds: cooldown))
        guard now >= end else {
            alert.quietUntil = end
            states[key] = state.replacing(alert)
            return nil
        }
        guard alert.hasUntoldReturns else {
            switch state {
            case .resting: states[key] = nil
            case .returning(let alert, let since):
                let finding = AlertFinding(
                    key.condition, subject: key.subject, vault: alert.vault, rule: key.rule, detail: alert.detail)
                states[key] = .holding(finding, since: since)
            case .holding, .open, .clearing: break
            }
            return nil
        }
        alert.toldTimes = alert.times
        alert.quietUntil = now.adding(seconds: cooldown)
        let isTold = alert.acknowledgedAt == nil
        if isTold {
            // Not told until it is told: who takes over in between tells it.
            alert.closeNotifiedAt = nil
            if alert.isOpen { alert.openNotifiedAt = nil }
        }
        states[key] = state.replacing(alert)
        return Change(event: .summarised, alert: alert, isTold: isTold)
    }

    /// Nobody is to be told of what nobody wants to hear of.
    private mutating func withdraw(_ key: Key, at now: Timestamp) -> Change? {
        defer { states[key] = nil }
        guard var alert = states[key]?.alert, alert.isOpen else { return nil }
        alert.closedAt = now
        alert.closeNotifiedAt = now
        return Change(event: .withdrawn, alert: alert, isTold: false)
    }
}

extension AlertMachine.State {
    fileprivate var finding: AlertFinding? {
        if case .holding(let finding, _) = self { finding } else { nil }
    }

    /// The same state of another version of the alert.
    fileprivate func replacing(_ alert: Alert) -> Self {
        switch self {
        case .holding: self
        case .open: .open(alert)
        case .clearing(_, let since): .clearing(alert, since: since)
        case .resting: .resting(alert)
        case .returning(_, let since): .returning(alert, since: since)
        }
    }
}

extension AlertRuleBook {
    /// The rule that an alert is of, where it is in force still.
    func rule(_ alert: Alert) -> Rule? { rule(alert.rule, of: alert.condition, vault: alert.vault) }
}

extension AlertRuleBook.Rule {
    /// Seconds that the condition has to hold before an alert opens.
    fileprivate var opening: Double {
        switch condition.traits.window {
        case .holds: Double(terms.window)
        case .counts: 0
        }
    }
}

extension Alert {
    fileprivate mutating func rest(until time: Timestamp) { quietUntil = max(quietUntil ?? time, time) }
}
