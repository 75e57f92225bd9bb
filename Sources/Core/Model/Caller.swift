// Who is asking, as the gate found out.

package struct Caller: Hashable, Sendable {
    package enum Identity: Hashable, Sendable {
        case key(KeyID)
        case smtpUser(SMTPUserID)
        /// A person who signed in, and is a member of the vault.
        case member(UserID)
        /// Postern's own letters: alerts, invitations. Nobody can sign in as this.
        case system

        package var id: String {
            switch self {
            case .key(let id): id.text
            case .smtpUser(let id): id.text
            case .member(let id): id.text
            case .system: "postern"
            }
        }
    }

    /// The label of letters to people.
    package static let peopleLabel = "postern-people"

    package let vault: VaultID
    package let identity: Identity
    /// The key's label, the SMTP user's name or the person's address: what the log shows.
    package let label: String
    package let scopes: Scopes
    /// Narrows every scope to reading.
    package var isReadOnly: Bool
    /// Narrows the vault's allowed sender domains further; `nil` leaves them as they are.
    package var senderDomains: [DomainPattern]?
    /// Narrows keys, SMTP users and messages to those whose label, or whose caller's label, begins so.
    package var labelPrefix: String?
    /// The agent that asks, or that the asking key comes from; `nil` for tools.
    package var agent: KeyID?
    /// Limits of the key and of those that it comes from, beside the vault's.
    package var limits: [KeyRateLimit] = []
    /// Name of the IP pool that the caller's mail leaves from, where the vault's `ip_pool_strategy` is `caller`.
    package var ipPool: String?
    /// Signed in by a key's old text, which goes on beside the new one for a while: sends and reads, but makes and changes
    /// no keys and logins, so that whoever has the old text gets nothing that outlasts it.
    package var isRetiring = false
    /// Who signed in, where that is a person.
    package var person: Person?

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

    /// The person's role in the vault; `nil` for keys and logins.
    package var role: VaultRole? { person?.memberships[vault] }

    /// Whether rules of its own hold what it sends, beside those of the vault.
    package var isBoundInSending: Bool { agent != nil || senderDomains != nil || !limits.isEmpty }

    /// Whether a thing with this label is within the caller's sight.
    package func sees(label: String) -> Bool { labelPrefix.map { label.utf8.starts(with: $0.utf8) } ?? true }
}

/// The way in that a submission took.
package enum Door: String, Hashable, Sendable {
    case http
    case smtp
}
