// One look at the world: what is wrong at this moment by which rule, or that nobody can tell.

package import Model
package import Store

/// Something that is wrong now.
package struct AlertFinding: Hashable, Sendable {
    /// Characters of a subject and of a detail; what is longer is cut.
    package static let limits = (subject: 200, detail: 1_000)

    package let condition: AlertCondition
    /// What it is about: the same words each time, and no other vault's.
    package let subject: String
    /// The vault that sees it; `nil`: none does.
    package let vault: VaultID?
    /// The rule that it meets; `nil` for a shipped one.
    package let rule: AlertRuleID?
    /// One sentence. A peer's words may stand in it: they are made one line, and cut.
    package let detail: String

    package init(
        _ condition: AlertCondition, subject: String, vault: VaultID? = nil, rule: AlertRuleID? = nil, detail: String
    ) {
        self.condition = condition
        self.subject = Self.line(subject, Self.limits.subject)
        self.vault = vault
        self.rule = rule
        self.detail = Self.line(detail, Self.limits.detail)
    }

    /// Controls, and what turns the direction of writing, would let a peer's words pass for something else.
    static func line(_ text: String, _ limit: Int) -> String {
        var line = String.UnicodeScalarView()
        for scalar in text.unicodeScalars.prefix(limit) {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: line.append(" ")
            default: line.append(scalar)
            }
        }
        return String(line)
    }
}

/// What one probe saw, judged.
package struct AlertReading: Sendable {
    /// What the probe looks for: of these, what is not among the findings is not so.
    package let conditions: Set<AlertCondition>
    /// `nil`: it cannot be told.
    package let findings: [AlertFinding]?

    package init(_ conditions: Set<AlertCondition>, _ findings: [AlertFinding]?) {
        self.conditions = conditions
        self.findings = findings
    }
}
