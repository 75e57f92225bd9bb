// What SES calls verified identities: the sender domains that are open to a caller.

import MIME
import Model

struct SESIdentities: Sendable {
    private let allowed: [DomainPattern]
    private let narrowed: [DomainPattern]?

    /// - Parameters:
    ///   - allowed: the vault's `allowed_sender_domains`.
    ///   - narrowed: what the caller is narrowed to, if it is.
    init(allowed: [DomainPattern], narrowedTo narrowed: [DomainPattern]?) {
        self.allowed = allowed
        self.narrowed = narrowed
    }

    /// Each rule once, in the order of the setting: `acme.com`, or `*.acme.com` for the domains below it.
    var names: [String] {
        guard let narrowed else { return allowed.map(\.description) }
        var names: [String] = []
        for (first, second) in [(allowed, narrowed), (narrowed, allowed)] {
            for pattern in first where second.contains(where: { $0.covers(pattern) }) {
                if !names.contains(pattern.description) { names.append(pattern.description) }
            }
        }
        return names
    }

    /// Whether mail may be from this address, or from this domain.
    func allows(_ identity: String) -> Bool {
        guard let domain = Self.domain(of: identity) else { return false }
        return allowed.contains { $0.matches(asciiDomain: domain) }
            && (narrowed?.contains { $0.matches(asciiDomain: domain) } ?? true)
    }

    private static func domain(of identity: String) -> String? {
        guard identity.utf8.contains(UInt8(ascii: "@")) else { return EmailAddress.normalizedDomain(identity) }
        return (try? EmailAddress(parsing: identity))?.asciiDomain
    }
}
