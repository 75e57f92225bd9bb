// A login for tools that speak SMTP: who may send with it, and from where. Of the password only a scrypt hash is kept.

package import JSON
package import Model

package struct SMTPUser: Sendable {
    package let id: SMTPUserID
    package let vault: VaultID
    package let username: String
    package var label: String
    package var passwordHash: String
    package let createdAt: Timestamp
    package var lastUsedAt: Timestamp?
    /// From where it may sign in; `nil` is from everywhere.
    package var allowedIPs: [IPNetwork]?
    package var senderDomains: [DomainPattern]?
    package var ipPool: String?

    package init(
        id: SMTPUserID, vault: VaultID, username: String, label: String, passwordHash: String, createdAt: Timestamp,
        lastUsedAt: Timestamp? = nil, allowedIPs: [IPNetwork]? = nil, senderDomains: [DomainPattern]? = nil,
        ipPool: String? = nil
    ) {
        self.id = id
        self.vault = vault
        self.username = username
        self.label = label
        self.passwordHash = passwordHash
        self.createdAt = createdAt
        self.lastUsedAt = lastUsedAt
        self.allowedIPs = allowedIPs
        self.senderDomains = senderDomains
        self.ipPool = ipPool
    }

    package var caller: Caller {
        var caller = Caller(
            vault: vault, identity: .smtpUser(id), label: label, scopes: .send, senderDomains: senderDomains)
        caller.ipPool = ipPool
        return caller
    }

    /// Whether a session that signed in as this user may go on as the other: with the same password, from the same
    /// networks, for the same domains.
    package func continues(_ other: SMTPUser) -> Bool {
        id == other.id && passwordHash == other.passwordHash && allowedIPs == other.allowedIPs
            && senderDomains == other.senderDomains && ipPool == other.ipPool
    }

    /// All that may be shown of it, as the API answers and as the audit log keeps it.
    package var document: JSONObject {
        JSONObject([
            "id": .string(id.text),
            "username": .string(username),
            "label": .string(label),
            "sender_domains": senderDomains?.json ?? .null,
            "allowed_ips": allowedIPs?.json ?? .null,
            "ip_pool": ipPool.map { .string($0) } ?? .null,
            "created_at": .string(createdAt.description),
            "last_used_at": lastUsedAt.map { .string($0.description) } ?? .null,
        ])
    }
}
