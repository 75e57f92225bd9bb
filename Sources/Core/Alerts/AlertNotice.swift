// What is told of an alert: that it opened, that it is over, or how often it came and went. As JSON for programs, and as a
// letter for people.

import JSON
package import Model
package import Store

package struct AlertNotice: Hashable, Sendable {
    package enum State: String, Hashable, Sendable {
        case opened, closed
        /// It came back within its cool-down, once or many times.
        case summary
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
    package var key: String {
        let key = "\(alert.id)-\(state.rawValue)"
        return alert.times == 1 ? key : "\(key)-\(alert.times)"
    }

    package var at: Timestamp {
        switch state {
        case .opened: alert.openedAt
        case .closed, .summary: alert.closedAt ?? alert.openedAt
        }
    }

    package var json: [UInt8] {
        var writer = JSONWriter(capacity: 1024)
        write(to: &writer)
        return writer.bytes
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("id", alert.id.text)
            writer.member("kind", alert.condition.rawValue)
            writer.member("subject", alert.subject)
            writer.member("state", state.rawValue)
            writer.member("severity", alert.severity.rawValue)
            writer.member("detail", alert.detail)
            writer.member("at", at.description)
            writer.member("instance", instance)
            writer.member("vault", alert.vault?.text)
            writer.member("rule", alert.rule?.text)
            writer.member("since", alert.beganAt.description)
            writer.member("is_open", alert.isOpen)
            writer.member("times", alert.times)
            writer.member("resolved_by", alert.isOpen ? nil : alert.resolvedBy?.label)
            writer.member("fix", alert.condition.fix)
            writer.member("docs", alert.condition.documentation)
        }
    }

    /// In one line: what a digest lists, and what a letter's subject says after the instance.
    var line: String {
        let what = "\(alert.condition.title.lowercasingFirst) (\(alert.subject))"
        switch state {
        case .opened: return what
        case .closed: return "over: \(what)"
        case .summary: return "\(alert.isOpen ? "again" : "on and off, over now"): \(what)"
        }
    }

    /// The subject of a letter.
    package var heading: String { "Postern \(instance): \(line)" }

    /// The text of a letter.
    package var text: String {
        var lines = [
            "\(alert.condition.title): \(alert.subject)", "", alert.detail, "", "since      \(alert.beganAt)",
        ]
        if let closedAt = alert.closedAt { lines.append("until      \(closedAt)") }
        if alert.times > 1 { lines.append("came       \(alert.times) times") }
        lines += [
            "severity   \(alert.severity.rawValue)", "kind       \(alert.condition.rawValue)",
            "instance   \(instance)", "alert      \(alert.id)",
        ]
        if let vault = alert.vault { lines.append("vault      \(vault)") }
        lines += [""] + ending
        return lines.joined(separator: "\n") + "\n"
    }

    private var ending: [String] {
        let advice = ["What to do:", alert.condition.fix, "", "More: \(alert.condition.documentation)"]
        switch state {
        case .opened: return advice
        case .closed:
            guard let hand = alert.resolvedBy else { return ["It is over, and nothing has to be done any more."] }
            return ["\(AlertFinding.line(hand.label, 200)) says that it is over."]
        case .summary:
            let story = "It came back within its cool-down, \(alert.times) times in all, and was not told each time."
            return [story, alert.isOpen ? "It is open now." : "It is over now.", ""] + advice
        }
    }
}

extension String {
    fileprivate var lowercasingFirst: String { prefix(1).lowercased() + dropFirst() }
}
