// What a rule comes to, with what is shipped in place of what it does not say.

package import Store

package struct AlertTerms: Hashable, Sendable {
    package var threshold: Int?
    package var minimum: Int?
    /// Seconds.
    package var window: Int
    /// Seconds.
    package var cooldown: Int
    package var severity: AlertSeverity
    package var channels: [AlertWay]
    /// Of a vault's rule: from which address its letters are sent, and to which.
    package var sender: String?
    package var recipients: [String] = []
}

/// What stands for every condition that nobody wrote a rule about.
package struct AlertDefaults: Hashable, Sendable {
    /// Failures of a vault, or messages in the failure queue. `POSTERN_ALERT_FAILURE_BACKLOG`, default 100.
    package var failureBacklog = 100
    /// Seconds. `POSTERN_ALERT_PUBLISH_STALLED`, default 120.
    package var publishStalled = 120

    package init() {}

    package func terms(_ condition: AlertCondition) -> AlertTerms {
        var terms = AlertTerms(window: 30, cooldown: 900, severity: .critical, channels: AlertWay.allCases)
        switch condition {
        case .failureBacklog:
            terms.threshold = failureBacklog
            terms.severity = .warning
        case .brokerUnreachable, .brokerBlocked: terms.cooldown = 300
        case .databaseUnreachable:
            terms.window = 15
            terms.cooldown = 300
        case .publishStalled: terms.threshold = publishStalled
        case .runaway:
            terms.threshold = 1
            terms.window = Int(RunawayRepository.episode)
            terms.severity = .warning
        case .bounceRate:
            terms.threshold = 10
            terms.minimum = 50
            terms.window = 3_600
            terms.cooldown = 3_600
            terms.severity = .warning
        case .refusals:
            terms.threshold = 100
            terms.window = 900
            terms.cooldown = 3_600
            terms.severity = .warning
        case .signInFailures:
            terms.threshold = 20
            terms.window = 900
            terms.cooldown = 3_600
            terms.severity = .warning
        case .auditChainBroken:
            terms.window = 0
            terms.cooldown = 86_400
        case .diskLow: break
        }
        return terms
    }

    /// What a rule comes to. A vault's rule tells nobody unless it says whom: the instance's ways are not the vault's.
    package func terms(_ rule: AlertRule) -> AlertTerms {
        let definition = rule.definition
        var terms = terms(rule.condition)
        if terms.threshold != nil { terms.threshold = definition.threshold ?? terms.threshold }
        if terms.minimum != nil { terms.minimum = definition.minimum ?? terms.minimum }
        terms.window = definition.window ?? terms.window
        terms.cooldown = definition.cooldown ?? terms.cooldown
        terms.severity = definition.severity ?? terms.severity
        guard rule.vault != nil else {
            terms.channels = definition.channels ?? terms.channels
            return terms
        }
        terms.sender = definition.sender
        terms.recipients = definition.recipients ?? []
        let hasAddresses = terms.sender != nil && !terms.recipients.isEmpty
        terms.channels = definition.channels ?? (hasAddresses ? [.email] : [])
        terms.channels.removeAll { $0 != .email || !hasAddresses }
        return terms
    }
}
