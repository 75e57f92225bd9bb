// Something that a person has to know: what is wrong, since when, until when, and what people did about it.

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
    /// Too much of what a vault sent lately was refused for good.
    case bounceRate = "bounce_rate"
    /// A caller or a person asked again and again for what they may not do.
    case refusals
    /// Sign-ins fail in number: somebody guesses.
    case signInFailures = "sign_in_failures"
    /// The audit log is not as it was written.
    case auditChainBroken = "audit_chain_broken"
    /// The disk is so full that mail is refused.
    case diskLow = "disk_low"
}

/// How much it hurries.
package enum AlertSeverity: String, Hashable, Sendable, CaseIterable {
    case info, warning, critical
}

/// Whose alert it is to deal with: those who run the instance, or the people of one vault, by whose rule it opened.
package enum AlertAudience: String, Hashable, Sendable {
    case instance, vault
}

/// Who acknowledged or resolved an alert.
package struct AlertHand: Hashable, Sendable {
    package let id: String
    /// A person's address, or a key's label.
    package let label: String

    package init(id: String, label: String) {
        self.id = id
        self.label = label
    }

    /// As the table has it; ids hold no space.
    package init(stored text: String) {
        let parts = text.split(separator: " ", maxSplits: 1)
        id = parts.first.map(String.init) ?? text
        label = parts.count > 1 ? String(parts[1]) : text
    }

    package var stored: String { "\(id) \(label)" }
}

package struct Alert: Hashable, Sendable {
    package enum State: String, Hashable, Sendable, CaseIterable {
        case open
        /// Somebody knows of it, and nobody is told again.
        case acknowledged
        /// Over, by itself or by somebody's word.
        case resolved
    }

    package let id: AlertID
    /// The vault that it is about and that sees it; `nil`: none does.
    package let vault: VaultID?
    package let audience: AlertAudience
    package let condition: AlertCondition
    /// The rule that opened it; `nil` for a shipped one.
    package let rule: AlertRuleID?
    package let severity: AlertSeverity
    /// What it is about. Of one condition, one subject and one rule one alert is open at most, so it names the vault where
    /// there is one.
    package let subject: String
    /// A sentence, as it was when the alert opened.
    package let detail: String
    /// Since when the condition holds.
    package let beganAt: Timestamp
    package let openedAt: Timestamp
    package var closedAt: Timestamp?
    /// When every channel had taken the latest news that it is open, and that it is over. While the latter is `nil`, people
    /// take the alert for open.
    package var openNotifiedAt: Timestamp?
    package var closeNotifiedAt: Timestamp?
    package var acknowledgedAt: Timestamp?
    package var acknowledgedBy: AlertHand?
    /// Who said that it is over; `nil` where it was over by itself.
    package var resolvedBy: AlertHand?
    /// What they said when they acknowledged or resolved it.
    package var note: String?
    /// How often it came: what comes back within the cool-down is the same alert.
    package var times = 1
    /// How many of these were told.
    package var toldTimes = 1
    /// The end of the cool-down.
    package var quietUntil: Timestamp?

    package init(
        id: AlertID, vault: VaultID?, audience: AlertAudience = .instance, condition: AlertCondition,
        rule: AlertRuleID? = nil, severity: AlertSeverity = .critical, subject: String, detail: String,
        beganAt: Timestamp, openedAt: Timestamp, closedAt: Timestamp? = nil, openNotifiedAt: Timestamp? = nil,
        closeNotifiedAt: Timestamp? = nil
    ) {
        self.id = id
        self.vault = vault
        self.audience = audience
        self.condition = condition
        self.rule = rule
        self.severity = severity
        self.subject = subject
        self.detail = detail
        self.beganAt = beganAt
        self.openedAt = openedAt
        self.closedAt = closedAt
        self.openNotifiedAt = openNotifiedAt
        self.closeNotifiedAt = closeNotifiedAt
    }

    package var isOpen: Bool { closedAt == nil }

    package var state: State {
        if !isOpen { return .resolved }
        return acknowledgedAt == nil ? .open : .acknowledged
    }

    /// Came back since it was last told.
    package var hasUntoldReturns: Bool { times > toldTimes }

    /// What is known of the same alert from two sides. Of two that know of different returns, the one that knows of more is
    /// right about whether it is over; else what one of them knows is known.
    package func merged(with other: Alert) -> Alert {
        precondition(id == other.id, "only one and the same alert can be merged")
        var alert = self
        if other.times != times {
            alert.closedAt = other.times > times ? other.closedAt : closedAt
        } else {
            alert.closedAt = closedAt ?? other.closedAt
        }
        if other.toldTimes != toldTimes {
            alert.openNotifiedAt = other.toldTimes > toldTimes ? other.openNotifiedAt : openNotifiedAt
        } else {
            alert.openNotifiedAt = openNotifiedAt ?? other.openNotifiedAt
        }
        let (own, others) = ((times, toldTimes), (other.times, other.toldTimes))
        if own != others {
            alert.closeNotifiedAt = others > own ? other.closeNotifiedAt : closeNotifiedAt
        } else {
            alert.closeNotifiedAt = closeNotifiedAt ?? other.closeNotifiedAt
        }
        alert.times = max(times, other.times)
        alert.toldTimes = max(toldTimes, other.toldTimes)
        alert.quietUntil = [quietUntil, other.quietUntil].compactMap(\.self).max()
        if acknowledgedAt == nil {
            alert.acknowledgedAt = other.acknowledgedAt
            alert.acknowledgedBy = other.acknowledgedBy
        }
        alert.resolvedBy = resolvedBy ?? other.resolvedBy
        alert.note = note ?? other.note
        return alert
    }
}

/// Whose alerts and rules are meant.
package enum AlertScope: Hashable, Sendable {
    /// Those of people who run the instance.
    case instance
    /// Those that this vault sees.
    case vault(VaultID)

    package var vault: VaultID? {
        switch self {
        case .instance: nil
        case .vault(let vault): vault
        }
    }
}

/// A page of alerts, newest first.
package struct AlertQuery: Sendable {
    package enum State: String, Sendable, CaseIterable {
        /// Open or acknowledged.
        case unresolved
        case open, acknowledged, resolved, all
    }

    package var state: State
    package var condition: AlertCondition?
    package var severity: AlertSeverity?
    /// The last id of the page before.
    package var before: AlertID?
    /// 1–200.
    package var limit: Int

    package init(state: State = .unresolved, before: AlertID? = nil, limit: Int = 50) {
        self.state = state
        self.before = before
        self.limit = limit
    }
}
