// What is still to be written down, and who is still to be told: kept here while the database or a channel is away.

import Model
import Store

struct AlertLedger: Sendable {
    private var unwritten: [AlertID: Alert] = [:]
    /// Whom a notice has not reached yet.
    private var untold: [String: Set<AlertTarget>] = [:]

    /// What to write, oldest first.
    var pending: [Alert] { unwritten.values.sorted { $0.id < $1.id } }

    mutating func note(_ alert: Alert) { unwritten[alert.id] = unwritten[alert.id]?.merged(with: alert) ?? alert }

    /// Takes an alert off the list, unless more has become known of it while it was written.
    mutating func wrote(_ alert: Alert) {
        if unwritten[alert.id] == alert { unwritten[alert.id] = nil }
    }

    mutating func expect(_ notice: AlertNotice, from targets: [AlertTarget]) {
        if !targets.isEmpty { untold[notice.key] = Set(targets) }
    }

    /// Somebody took a notice. When it was the last one, that is noted.
    mutating func told(_ notice: AlertNotice, by target: AlertTarget, at now: Timestamp) {
        guard var waiting = untold[notice.key] else { return }
        waiting.remove(target)
        untold[notice.key] = waiting.isEmpty ? nil : waiting
        guard waiting.isEmpty else { return }
        var alert = notice.alert
        switch notice.state {
        case .summary where !alert.isOpen, .closed: alert.closeNotifiedAt = now
        case .opened, .summary: alert.openNotifiedAt = now
        }
        note(alert)
    }

    mutating func gaveUp(_ notice: AlertNotice) { untold[notice.key] = nil }
}
