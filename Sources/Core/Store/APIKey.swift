// An API key: who may do what with it, and until when. Of the key's text only the digest is kept.

package import JSON
package import Model

package struct APIKey: Sendable {
    package enum Kind: String, Sendable, CaseIterable { case tool, agent }

    package let id: KeyID
    package let vault: VaultID
    /// The public part, `8` characters after `ak_`: finds the row, proves nothing.
    package var prefix: String
    /// SHA-256 of the whole key.
    package var digest: [UInt8]
    package var label: String
    package let kind: Kind
    package let scopes: Scopes
    package let isReadOnly: Bool
    package let senderDomains: [DomainPattern]?
    package let createdAt: Timestamp
    package let expiresAt: Timestamp?
    package var revokedAt: Timestamp?
    package var lastUsedAt: Timestamp?
    /// The key that issued this one, and ends it with itself.
    package var parent: KeyID?
    /// The first agent's key that this one comes from, itself included; `nil` for tools.
    package var agent: KeyID?
    package var labelPrefix: String?
    /// From where it may be used; `nil` is from everywhere.
    package var allowedIPs: [IPNetwork]?
    /// Its own limit and those of the keys that it comes from.
    package var limits: [KeyRateLimit] = []
    package var ipPool: String?
    /// Made for a short while: it can be neither rotated nor issue keys.
    package var isTemporary = false
    /// Until when the text before the present one goes on.
    package var retiringUntil: Timestamp?

    package init(
        id: KeyID, vault: VaultID, prefix: String, digest: [UInt8], label: String, kind: Kind, scopes: Scopes,
        isReadOnly: Bool, senderDomains: [DomainPattern]?, createdAt: Timestamp, expiresAt: Timestamp?,
        revokedAt: Timestamp? = nil, lastUsedAt: Timestamp? = nil
    ) {
        self.id = id
        self.vault = vault
        self.prefix = prefix
        self.digest = digest
        self.label = label
        self.kind = kind
        self.scopes = scopes
        self.isReadOnly = isReadOnly
        self.senderDomains = senderDomains
        self.createdAt = createdAt
        self.expiresAt = expiresAt
        self.revokedAt = revokedAt
        self.lastUsedAt = lastUsedAt
    }

    package var caller: Caller {
        var caller = Caller(
            vault: vault, identity: .key(id), label: label, scopes: scopes, isReadOnly: isReadOnly,
            senderDomains: senderDomains)
        caller.labelPrefix = labelPrefix
        caller.agent = agent
        caller.limits = limits
        caller.ipPool = ipPool
        return caller
    }

    /// Whether it can be used, from somewhere, by someone who has its text.
    package func isAlive(at now: Timestamp) -> Bool { revokedAt == nil && expiresAt.map { $0 > now } ?? true }

    /// The limit that it was given itself.
    package var ownLimit: RateLimit? { limits.first { $0.key == id }?.limit }

    /// All that may be shown of it, as the API answers and as the audit log keeps it.
    package func document(at now: Timestamp) -> JSONObject {
        func text(_ time: Timestamp?) -> JSONValue { time.map { .string($0.description) } ?? .null }
        func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
        func number(_ number: Int?) -> JSONValue { number.map { .integer(Int64($0)) } ?? .null }
        return JSONObject([
            "id": .string(id.text),
            "prefix": .string("ak_\(prefix)"),
            "label": .string(label),
            "kind": .string(kind.rawValue),
            "parent": text(parent?.text),
            "agent": text(agent?.text),
            "scopes": .array(scopes.namesInOrder.map { .string($0) }),
            "label_prefix": text(labelPrefix),
            "read_only": .bool(isReadOnly),
            "sender_domains": senderDomains?.json ?? .null,
            "allowed_ips": allowedIPs?.json ?? .null,
            "send_rate_limit": number(ownLimit?.perHour),
            "burst_ceiling": number(ownLimit?.burst),
            "ip_pool": text(ipPool),
            "temporary": .bool(isTemporary),
            "created_at": .string(createdAt.description),
            "expires_at": text(expiresAt),
            "revoked_at": text(revokedAt),
            "retiring_until": text(retiringUntil.flatMap { $0 > now ? $0 : nil }),
            "last_used_at": text(lastUsedAt),
        ])
    }
}
