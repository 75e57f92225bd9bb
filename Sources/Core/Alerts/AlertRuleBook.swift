// The rules that are in force: the shipped ones, what the instance wrote in their place, and what vaults wrote for
// themselves.

package import Model
package import Store

package struct AlertRuleBook: Hashable, Sendable {
    /// A rule in force.
    package struct Rule: Hashable, Sendable {
        /// `nil` for a shipped one.
        package let id: AlertRuleID?
        /// `nil`: the instance's.
        package let vault: VaultID?
        package let condition: AlertCondition
        package let terms: AlertTerms

        package var audience: AlertAudience { vault == nil ? .instance : .vault }
    }

    /// A time that is counted over.
    struct Window: Hashable, Sendable {
        let seconds: Int
        /// `nil`: all.
        let vaults: [VaultID]?

        func isOf(_ vault: VaultID) -> Bool { vaults.map { $0.contains(vault) } ?? true }
    }

    private struct Concern: Hashable {
        let vault: VaultID
        let condition: AlertCondition
    }

    private var shared: [AlertCondition: [Rule]] = [:]
    /// Also where all of them are switched off: there a vault decided to see nothing.
    private var own: [Concern: [Rule]] = [:]
    private var ownWindows: [AlertCondition: [Int: Set<VaultID>]] = [:]

    /// - Parameter rows: also those that are switched off: they silence.
    package init(_ rows: [AlertRule] = [], defaults: AlertDefaults = AlertDefaults()) {
        let written = Set(rows.filter { $0.vault == nil }.map(\.condition))
        for condition in AlertCondition.allCases where !written.contains(condition) {
            let terms = defaults.terms(condition)
            shared[condition] = [Rule(id: nil, vault: nil, condition: condition, terms: terms)]
        }
        for row in rows {
            let rule = Rule(
                id: row.id, vault: row.vault, condition: row.condition, terms: defaults.terms(row))
            guard let vault = row.vault else {
                if row.isEnabled { shared[row.condition, default: []].append(rule) }
                continue
            }
            guard row.condition.traits.isOfVaults else { continue }
            own[Concern(vault: vault, condition: row.condition), default: []] += row.isEnabled ? [rule] : []
            if row.isEnabled { ownWindows[row.condition, default: [:]][rule.terms.window, default: []].insert(vault) }
        }
    }

    /// The instance's rules of a condition.
    package func rules(of condition: AlertCondition) -> [Rule] { shared[condition] ?? [] }

    /// The rules of a condition that are about a vault: the instance's, and the vault's own.
    package func rules(of condition: AlertCondition, about vault: VaultID?) -> [Rule] {
        guard let vault else { return rules(of: condition) }
        return rules(of: condition) + (own[Concern(vault: vault, condition: condition)] ?? [])
    }

    /// A rule, where it is in force still.
    package func rule(_ id: AlertRuleID?, of condition: AlertCondition, vault: VaultID?) -> Rule? {
        rules(of: condition, about: vault).first { $0.id == id }
    }

    /// The smallest threshold for a vault, or for what is no vault's: whoever looks need not report what is below it. `nil`:
    /// nobody asks.
    func smallestThreshold(of condition: AlertCondition, about vault: VaultID?) -> Int? {
        rules(of: condition, about: vault).compactMap(\.terms.threshold).min()
    }

    /// The largest threshold of all.
    func largestThreshold(of condition: AlertCondition) -> Int? {
        let own = own.filter { $0.key.condition == condition }.values.joined()
        return (rules(of: condition) + own).compactMap(\.terms.threshold).max()
    }

    /// The windows that are counted over, and for whom: what one vault asks for costs the others nothing.
    func windows(of condition: AlertCondition) -> [Window] {
        let shared = Set(rules(of: condition).map(\.terms.window))
        let own = (ownWindows[condition] ?? [:]).filter { !shared.contains($0.key) }
        return
            (shared.map { Window(seconds: $0, vaults: nil) }
            + own.map { Window(seconds: $0.key, vaults: $0.value.sorted()) }).sorted { $0.seconds < $1.seconds }
    }

    /// What a sign comes to: a finding for each rule that it meets.
    ///
    /// Where a vault has rules of its own it sees what those find; what the instance's rules find is then for the instance
    /// alone, and no vault can silence it.
    func findings(of sign: AlertSign) -> [AlertFinding] {
        rules(of: sign.condition, about: sign.vault).compactMap { rule in
            guard sign.isMet(by: rule.terms) else { return nil }
            var vault = sign.vault
            if rule.vault == nil, let about = vault, own[Concern(vault: about, condition: sign.condition)] != nil {
                vault = nil
            }
            return AlertFinding(
                sign.condition, subject: sign.subject, vault: vault, rule: rule.id, detail: sign.detail(for: rule.terms)
            )
        }
    }
}
