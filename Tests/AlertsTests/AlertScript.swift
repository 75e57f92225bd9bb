// A machine and its transcript: what goes in at which second, and what comes out.

import Model
import Store

@testable import Alerts

struct Script {
    var machine = AlertMachine()
    var rules: AlertRuleBook
    private let ids = IdentifierGenerator(process: 1, clock: ManualClock())

    init(_ rows: [AlertRule] = []) { rules = AlertRuleBook(rows) }

    /// What probes of the broker see; `nil` when they cannot tell.
    mutating func sees(_ findings: [AlertFinding]?, at seconds: Double) -> [String] {
        observe([AlertReading([.brokerUnreachable, .brokerBlocked], findings)], at: seconds)
    }

    mutating func observe(_ readings: [AlertReading], at seconds: Double) -> [String] {
        changes(readings, at: seconds).map(Self.text)
    }

    mutating func changes(_ readings: [AlertReading], at seconds: Double) -> [AlertMachine.Change] {
        machine.observe(readings, rules: rules, at: .at(seconds), nextID: { ids.next() })
    }

    mutating func adopt(_ alerts: [Alert], at seconds: Double) -> [String] {
        machine.adopt(alerts, rules: rules, at: .at(seconds)).map(Self.text)
    }

    mutating func heed(_ alerts: [Alert]) -> [String] { machine.heed(alerts, rules: rules).map(Self.text) }

    /// The condition comes for 30 s and goes for 30 s, over and over: each line with its second.
    mutating func flaps(from start: Int, to end: Int, every period: Int = 60) -> [String] {
        var lines: [String] = []
        for second in stride(from: start, to: end, by: 5) {
            let holds = (second - start) % period < period / 2
            lines += sees(holds ? [.broker] : [], at: Double(second)).map { "\(second) \($0)" }
        }
        return lines
    }

    private static func text(_ change: AlertMachine.Change) -> String {
        let words = "\(change.event) \(change.alert.condition.rawValue) \(change.alert.subject)"
        return change.isTold ? words : "\(words) (quietly)"
    }

    func alert(_ id: UInt64, _ finding: AlertFinding) -> Alert {
        Alert(
            id: AlertID(high: 0, low: id), vault: finding.vault, condition: finding.condition, rule: finding.rule,
            subject: finding.subject, detail: finding.detail, beganAt: .at(-100), openedAt: .at(-70))
    }
}
