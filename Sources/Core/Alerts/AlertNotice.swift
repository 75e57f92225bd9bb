// What is told of an alert: that it opened, or that it closed. As JSON for programs, and as a letter for people.

import JSON
package import Model
package import Store

package struct AlertNotice: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        case opened, closed
    }

    package let alert: Alert
    package let state: State
    /// Which instance says so.
    package let instance: String

    package init(_ alert: Alert, _ state: State, instance: String) {
        self.alert = alert
        self.state = state
        self.instance = instance
    }

    /// The same for every repetition: whoever receives a notice twice knows it by this.
    package var key: String { "\(alert.id)-\(state.rawValue)" }

    package var at: Timestamp {
        switch state {
        case .opened: alert.openedAt
        case .closed: alert.closedAt ?? alert.openedAt
        }
    }

    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        writer.object { writer in
            writer.member("id", alert.id.text)
            writer.member("kind", alert.condition.rawValue)
            writer.member("subject", alert.subject)
            writer.member("state", state.rawValue)
            writer.member("detail", alert.detail)
            writer.member("at", at.description)
            writer.member("instance", instance)
            writer.member("vault", alert.vault?.text)
            writer.member("since", alert.beganAt.description)
            writer.member("fix", alert.condition.fix)
            writer.member("docs", alert.condition.documentation)
        }
        return writer.bytes
    }

    /// The subject of a letter.
    package var heading: String {
        switch state {
        case .opened: "Postern \(instance): \(alert.condition.title.lowercasingFirst) (\(alert.subject))"
        case .closed: "Postern \(instance): over: \(alert.condition.title.lowercasingFirst) (\(alert.subject))"
        }
    }

    /// The text of a letter.
    package var text: String {
        var lines = [
            "\(alert.condition.title): \(alert.subject)", "", alert.detail, "", "since      \(alert.beganAt)",
        ]
        if state == .closed { lines.append("until      \(at)") }
        lines += ["kind       \(alert.condition.rawValue)", "instance   \(instance)", "alert      \(alert.id)"]
        if let vault = alert.vault { lines.append("vault      \(vault)") }
        lines.append("")
        switch state {
        case .opened: lines += ["What to do:", alert.condition.fix, "", "More: \(alert.condition.documentation)"]
        case .closed: lines.append("It is over, and nothing has to be done any more.")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension String {
    fileprivate var lowercasingFirst: String { prefix(1).lowercased() + dropFirst() }
}
