// Whether one rule for sender domains allows no more than another.

extension DomainPattern {
    /// Whether every domain that the other rule matches is matched by this one: `*.acme.com` covers `a.acme.com` and
    /// `*.a.acme.com`, and neither of `acme.com` and `*.acme.com` covers the other.
    package func covers(_ other: DomainPattern) -> Bool {
        let text = other.description
        guard text.hasPrefix("*.") else { return matches(asciiDomain: text) }
        return self == other || description.hasPrefix("*.") && matches(asciiDomain: String(text.dropFirst(2)))
    }
}
