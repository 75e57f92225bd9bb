// What is still to be written down, and who is still to be told: kept here while the database or a channel is away.

import Model
import Store

struct AlertLedger: Sendable {
    private var unwritten: [AlertID: Alert] = [:]
    /// Channels that have not taken a notice yet.
    private var untold: [String: Set<String>] = [:]

    /// What to write, oldest first.
    var pending: [Alert] { unwritten.values.sorted { $0.id < $1.id } }

    mutating func note(_ alert: Alert) { unwritten[alert.id] = unwritten[alert.id]?.merged(with: alert) ?? alert }

    /// Takes an alert off the list, unless more has become known of it while it was written.
    mutating func wrote(_ alert: Alert) {
        if unwritten[alert.id] == alert { unwritten[alert.id] = nil }
    }

    mutating func expect(_ notice: AlertNotice, from channels: [String]) {
        if !channels.isEmpty { untold[notice.key] = Set(channels) }
    }

    /// A channel took a notice. When it was the last one, that is noted.
    mutating func told(_ notice: AlertNotice, by channel: String, at now: Timestamp) {
        guard var waiting = untold[notice.key] else { return }
        waiting.remove(channel)
        untold[notice.key] = waiting.isEmpty ? nil : waiting
        guard waiting.isEmpty else { return }
        var alert = notice.alert
        switch notice.state {
        case .opened: alert.openNotifiedAt = now
        case .closed: alert.closeNotifiedAt = now
        }
        note(alert)
    }

    mutating func gaveUp(_ notice: AlertNotice) { untold[notice.key] = nil }
}
