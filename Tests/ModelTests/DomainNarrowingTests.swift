// One rule for sender domains within another: by what the rules mean, not by how they look.

import Model
import Testing

@Suite("Narrower sender domains")
struct DomainNarrowingTests {
    private func pattern(_ text: String) throws -> DomainPattern { try #require(DomainPattern(text)) }

    @Test(
        "a rule covers what it holds",
        arguments: [
            ("acme.com", "acme.com"), ("acme.com", "ACME.com"), ("*.acme.com", "a.acme.com"),
            ("*.acme.com", "b.a.acme.com"),
            ("*.acme.com", "*.acme.com"), ("*.acme.com", "*.a.acme.com"),
            ("*.bücher.example", "x.xn--bcher-kva.example"),
        ])
    func covered(_ own: String, _ other: String) throws {
        #expect(try pattern(own).covers(pattern(other)))
    }

    @Test(
        "and nothing beside it",
        arguments: [
            ("acme.com", "*.acme.com"), ("*.acme.com", "acme.com"), ("acme.com", "a.acme.com"),
            ("*.a.acme.com", "*.acme.com"),
            ("*.acme.com", "evilacme.com"), ("*.acme.com", "*.evilacme.com"), ("*.acme.com", "acme.com.evil.example"),
            ("a.acme.com", "*.a.acme.com"), ("acme.com", "аcme.com"), ("*.acme.com", "a.acme.org"),
        ])
    func beside(_ own: String, _ other: String) throws {
        #expect(try !pattern(own).covers(pattern(other)))
    }

    @Test("what a rule covers matches no domain that the rule does not")
    func meaning() throws {
        let domains = [
            "acme.com", "a.acme.com", "b.acme.com", "a.a.acme.com", "a.b.acme.com", "xacme.com", "com.example",
        ]
        let patterns = try domains.flatMap { [try pattern($0), try pattern("*.\($0)")] }
        for own in patterns {
            for other in patterns where own.covers(other) {
                for domain in domains where other.matches(asciiDomain: domain) {
                    #expect(own.matches(asciiDomain: domain), "\(own) covers \(other), which matches \(domain)")
                }
            }
        }
    }
}
