// Who is asking, as the gate found out.

package struct Caller: Hashable, Sendable {
    package enum Identity: Hashable, Sendable {
        case key(KeyID)
        case smtpUser(SMTPUserID)

        package var id: String {
            switch self {
            case .key(let id): id.text
            case .smtpUser(let id): id.text
            }
        }
    }

    package let vault: VaultID
    package let identity: Identity
    /// The key's label or the SMTP user's name: what the log shows.
    package let label: String
    package let scopes: Scopes
    /// Narrows every scope to reading.
    package let isReadOnly: Bool
    /// Narrows the vault's allowed sender domains further; `nil` leaves them as they are.
    package let senderDomains: [DomainPattern]?

    package init(
        vault: VaultID,
        identity: Identity,
        label: String,
        scopes: Scopes,
        isReadOnly: Bool = false,
        senderDomains: [DomainPattern]? = nil
    ) {
        self.vault = vault
        self.identity = identity
        self.label = label
        self.scopes = scopes
        self.isReadOnly = isReadOnly
        self.senderDomains = senderDomains
    }
}

/// The way in that a submission took.
package enum Door: String, Hashable, Sendable {
    case http
    case smtp
}
