// The rules that an envelope has to pass before it is accepted. A rule is one file and one line in the list.

package import Model

/// What a rule may look at beside the envelope.
package struct PolicyContext: Sendable {
    package let caller: Caller
    package let settings: SettingsSnapshot

    package init(caller: Caller, settings: SettingsSnapshot) {
        self.caller = caller
        self.settings = settings
    }
}

package protocol PolicyRule: Sendable {
    /// - Throws: the reason to refuse the envelope, or that it cannot be judged, which refuses it too.
    func judge(_ envelope: Envelope, _ context: PolicyContext) throws(PosternError)
}

package struct Policy: Sendable {
    private let rules: [any PolicyRule]

    package init(rules: [any PolicyRule]) { self.rules = rules }

    /// The rules in the order in which a sender should hear of them.
    package static let standard = Policy(rules: [SenderDomainRule(), AgentApprovalRule()])

    /// Judges the envelopes of one submission: all pass, or the submission is refused with the first reason.
    package func judge(_ envelopes: [Envelope], _ context: PolicyContext) throws(PosternError) {
        for envelope in envelopes {
            for rule in rules { try rule.judge(envelope, context) }
        }
    }
}
