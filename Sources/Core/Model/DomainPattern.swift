// A rule for sender domains: one domain, or `*.` and everything below it.

import MIME

/// `acme.com` matches itself only; `*.acme.com` matches every subdomain at any depth, not `acme.com` itself.
package struct DomainPattern: Hashable, Sendable, CustomStringConvertible {
    /// Lower-case A-label form.
    private let domain: String
    private let isWildcard: Bool

    /// - Returns: `nil` unless the text is a domain, or `*.` and a domain.
    package init?(_ text: String) {
        isWildcard = text.hasPrefix("*.")
        guard let domain = EmailAddress.normalizedDomain(isWildcard ? String(text.dropFirst(2)) : text) else {
            return nil
        }
        self.domain = domain
    }

    package var description: String { isWildcard ? "*.\(domain)" : domain }

    /// - Parameter asciiDomain: a domain in lower-case A-label form.
    package func matches(asciiDomain: String) -> Bool {
        guard isWildcard else { return asciiDomain == domain }
        return asciiDomain.utf8.count > domain.utf8.count + 1 && asciiDomain.hasSuffix("." + domain)
    }
}
