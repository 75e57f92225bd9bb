// Something that a person has to know: what is wrong, since when, and until when.

package import Model

/// What can be wrong. The words stand in the table, in the API and in metrics.
package enum AlertCondition: String, Hashable, Sendable, CaseIterable {
    /// More failures wait for somebody to look at them than the threshold allows.
    case failureBacklog = "failure_backlog"
    /// There is no connection to the message broker.
    case brokerUnreachable = "broker_unreachable"
    /// The broker takes nothing more: its memory or its disk is short.
    case brokerBlocked = "broker_blocked"
    /// The database does not answer.
    case databaseUnreachable = "database_unreachable"
    /// Mail that is due does not leave, though its route is set up.
    case publishStalled = "publish_stalled"
    /// A caller was cut off: it repeats itself, or its mail goes in circles.
    case runaway = "runaway_cut_off"
}

package struct Alert: Hashable, Sendable {
    package let id: AlertID
    /// `nil`: the instance's, and no vault's.
    package let vault: VaultID?
    package let condition: AlertCondition
    /// What it is about. Of one condition and one subject one alert is open at most, so it names the vault where there
    /// is one.
    package let subject: String
    /// A sentence, as it was when the alert opened.
    package let detail: String
    /// Since when the condition holds.
    package let beganAt: Timestamp
    package let openedAt: Timestamp
    package var closedAt: Timestamp?
    /// When every channel had taken the news that it opened, and that it closed.
    package var openNotifiedAt: Timestamp?
    package var closeNotifiedAt: Timestamp?

    package init(
        id: AlertID, vault: VaultID?, condition: AlertCondition, subject: String, detail: String, beganAt: Timestamp,
        openedAt: Timestamp, closedAt: Timestamp? = nil, openNotifiedAt: Timestamp? = nil,
        closeNotifiedAt: Timestamp? = nil
    ) {
        self.id = id
        self.vault = vault
        self.condition = condition
        self.subject = subject
        self.detail = detail
        self.beganAt = beganAt
        self.openedAt = openedAt
        self.closedAt = closedAt
        self.openNotifiedAt = openNotifiedAt
        self.closeNotifiedAt = closeNotifiedAt
    }

    package var isOpen: Bool { closedAt == nil }

    /// What is known of the same alert from two sides: what one of them knows is known.
    package func merged(with other: Alert) -> Alert {
        precondition(id == other.id, "only one and the same alert can be merged")
        var alert = self
        alert.closedAt = closedAt ?? other.closedAt
        alert.openNotifiedAt = openNotifiedAt ?? other.openNotifiedAt
        alert.closeNotifiedAt = closeNotifiedAt ?? other.closeNotifiedAt
        return alert
    }
}

/// A page of alerts, newest first.
package struct AlertQuery: Sendable {
    package enum State: String, Sendable, CaseIterable {
        case open, closed, all
    }

    package var state: State
    /// Whether the instance's own are listed too, beside the vault's.
    package var includesInstance: Bool
    /// The last id of the page before.
    package var before: AlertID?
    /// 1–200.
    package var limit: Int

    package init(state: State = .open, includesInstance: Bool = false, before: AlertID? = nil, limit: Int = 50) {
        self.state = state
        self.includesInstance = includesInstance
        self.before = before
        self.limit = limit
    }
}
