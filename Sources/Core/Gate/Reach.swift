// How far a credential reaches, and whether another one stays within it: nobody gives away more than they have.

import JSON
import Model
import Store

/// What a key or a login may do. `nil` is no bound.
struct Reach {
    var scopes: Scopes
    var isReadOnly: Bool
    var senderDomains: [DomainPattern]?
    var allowedIPs: [IPNetwork]?
    var labelPrefix: String?
    var expiresAt: Timestamp?
    var agent: KeyID?
    var limits: [KeyRateLimit]
    var ipPool: String?
    /// A login outlives and outruns whatever a key is bound to in time and number.
    private var isLogin = false

    init(_ key: APIKey) {
        scopes = key.scopes
        isReadOnly = key.isReadOnly
        senderDomains = key.senderDomains
        allowedIPs = key.allowedIPs
        labelPrefix = key.labelPrefix
        expiresAt = key.expiresAt
        agent = key.agent
        limits = key.limits
        ipPool = key.ipPool
    }

    /// A login sends, for as long as it is there, and sees no keys that a prefix could keep from it.
    init(_ user: SMTPUser, under asker: APIKey) {
        scopes = .send
        isReadOnly = false
        senderDomains = user.senderDomains
        allowedIPs = user.allowedIPs
        labelPrefix = asker.labelPrefix
        expiresAt = nil
        agent = nil
        limits = []
        ipPool = user.ipPool
        isLogin = true
    }

    /// What the keys that a person issues may do at most: they open nothing that takes a higher role than the person's. Sending,
    /// which is for no person, an operator's keys may do (seed 000 §08).
    init(_ role: VaultRole) {
        scopes =
            role < .operator
            ? []
            : Scopes.each.reduce(into: []) { scopes, scope in
                let opens = Action.allCases.filter { $0.rule.scopes?.contains(scope) ?? false }
                if opens.allSatisfy({ $0.rule.member.map { $0 <= role } ?? true }) { scopes.insert(scope) }
            }
        isReadOnly = role == .viewer
        limits = []
    }

    /// Where the other one would reach further than this, each with the field that says so.
    func breaches(by other: Reach) -> [JSONProblem] {
        var breaches: [JSONProblem] = []
        func breach(_ field: String, _ message: String) {
            breaches.append(JSONProblem(pointer: "/\(field)", message: message))
        }
        let more = other.scopes.subtracting(scopes)
        if !more.isEmpty {
            breach("scopes", "holds \(more.namesInOrder.joined(separator: ", ")), which the asking key does not have")
        }
        if isReadOnly, !other.isReadOnly { breach("read_only", "must be true, as it is for the asking key") }
        if let agent, other.agent != agent {
            if other.isLogin {
                breaches.append(JSONProblem(pointer: "", message: "an agent's key makes no SMTP users"))
            } else {
                breach("kind", "must be agent: an agent's key issues keys of that agent only")
            }
        }
        if let message = Self.excess(senderDomains, other.senderDomains, { $0.covers($1) }) {
            breach("sender_domains", message)
        }
        if let message = Self.excess(allowedIPs, other.allowedIPs, { $0.contains($1) }) {
            breach("allowed_ips", message)
        }
        if let labelPrefix, other.labelPrefix.map({ !$0.utf8.starts(with: labelPrefix.utf8) }) ?? true {
            breach("label_prefix", "must begin with \"\(labelPrefix)\", the asking key's own")
        }
        if let expiresAt, other.expiresAt.map({ $0 > expiresAt }) ?? true {
            breach("expires_at", "must not be later than the asking key's, \(expiresAt)")
        }
        if !limits.allSatisfy(other.limits.contains) {
            breach("send_rate_limit", "would get around the rate limit that the asking key has of its own")
        }
        if let ipPool, other.ipPool != ipPool { breach("ip_pool", "must be \"\(ipPool)\", the asking key's own") }
        return breaches
    }

    private static func excess<Rule: CustomStringConvertible>(
        _ own: [Rule]?,
        _ others: [Rule]?,
        _ covers: (Rule, Rule) -> Bool
    ) -> String? {
        guard let own else { return nil }
        guard let others else { return "must be given, because the asking key is bound to its own" }
        guard let more = others.first(where: { other in !own.contains { covers($0, other) } }) else { return nil }
        return "holds \(more), which is not within the asking key's own"
    }
}
