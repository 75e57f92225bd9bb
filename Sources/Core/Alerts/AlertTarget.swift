// Whom a notice goes to.

package import Model
package import Store

package enum AlertTarget: Hashable, Sendable {
    /// One of the instance's ways.
    case instance(AlertWay)
    /// The addresses that a rule of a vault names.
    case vault(Mail)

    package struct Mail: Hashable, Sendable {
        package let vault: VaultID
        /// Whom the letters are from: an address that the vault may send from.
        package let sender: String
        package let recipients: [String]

        package init(vault: VaultID, sender: String, recipients: [String]) {
            self.vault = vault
            self.sender = sender
            self.recipients = recipients
        }
    }
}

extension AlertRuleBook.Rule {
    /// Whom its alerts are told to. What a vault's rule says goes out by the vault's own mail, and no other way: an address of
    /// the web that a tenant chose could lead into the operator's network.
    var targets: [AlertTarget] {
        guard let vault else { return terms.channels.map(AlertTarget.instance) }
        guard terms.channels.contains(.email), let sender = terms.sender, !terms.recipients.isEmpty else { return [] }
        return [.vault(AlertTarget.Mail(vault: vault, sender: sender, recipients: terms.recipients))]
    }
}
