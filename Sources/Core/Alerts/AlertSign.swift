// What a probe measured, before any rule has judged it.

package import Model
package import Store

package struct AlertSign: Hashable, Sendable {
    package let condition: AlertCondition
    /// What it is about: the same words each time, and no other vault's.
    package let subject: String
    /// `nil`: the instance's, and no vault's.
    package let vault: VaultID?
    /// How much; `nil` where it is so or not so.
    package let value: Int?
    /// Of how many it is a share.
    package let total: Int?
    /// Seconds that were counted over: rules with another window do not ask for it.
    package let window: Int?
    /// One sentence. A peer's words may stand in it.
    package let detail: String

    package init(
        _ condition: AlertCondition, subject: String, vault: VaultID? = nil, value: Int? = nil, total: Int? = nil,
        window: Int? = nil, detail: String
    ) {
        self.condition = condition
        self.subject = subject
        self.vault = vault
        self.value = value
        self.total = total
        self.window = window
        self.detail = detail
    }

    func isMet(by terms: AlertTerms) -> Bool {
        if let window, window != terms.window { return false }
        if let total, let minimum = terms.minimum, total < minimum { return false }
        guard let value, let threshold = terms.threshold else { return true }
        return condition.traits.threshold?.isExceeded == true ? value > threshold : value >= threshold
    }

    func detail(for terms: AlertTerms) -> String {
        // That something happened at all needs no number to compare it with.
        guard let threshold = terms.threshold, value != nil,
            threshold > 1 || condition.traits.threshold?.isExceeded == true
        else { return detail }
        return "\(detail); the threshold is \(threshold)" + (condition == .bounceRate ? " %" : "")
    }
}
