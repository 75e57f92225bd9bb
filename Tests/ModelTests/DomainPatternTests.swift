// Which domains a pattern lets through: one name, or everything below one; never a look-alike.

import MIME
import Model
import Testing

@Suite("Domain patterns")
struct DomainPatternTests {
    private func matches(_ pattern: String, _ address: String) throws -> Bool {
        let pattern = try #require(DomainPattern(pattern))
        return pattern.matches(asciiDomain: try EmailAddress(parsing: address).asciiDomain)
    }

    @Test(
        "a pattern lets through what it names",
        arguments: [
            ("acme.com", "a@acme.com"), ("acme.com", "a@ACME.Com"), ("ACME.com", "a@acme.com"),
            ("*.acme.com", "a@mail.acme.com"), ("*.acme.com", "a@x.y.z.acme.com"), ("*.ACME.com", "a@Mail.acme.COM"),
            ("bücher.example", "a@bücher.example"), ("bücher.example", "a@BÜCHER.example"),
            ("bücher.example", "a@xn--bcher-kva.example"), ("xn--bcher-kva.example", "a@bücher.example"),
            ("xn--bcher-kva.example", "a@XN--BCHER-KVA.example"), ("*.bücher.example", "a@post.bücher.example"),
            ("bu\u{308}cher.example", "a@bücher.example"), ("*.com", "a@acme.com"), ("localhost", "a@localhost"),
        ])
    func accepts(_ pattern: String, _ address: String) throws {
        #expect(try matches(pattern, address))
    }

    @Test(
        "a pattern lets nothing else through",
        arguments: [
            ("acme.com", "a@mail.acme.com"), ("acme.com", "a@acme.com.evil.com"), ("acme.com", "a@notacme.com"),
            ("acme.com", "a@acme.co"), ("*.acme.com", "a@acme.com"), ("*.acme.com", "a@notacme.com"),
            ("*.acme.com", "a@mail.acme.com.evil.com"), ("*.acme.com", "a@mailacme.com"),
            // Cyrillic а and Greek ο are other letters, and make other domains.
            ("acme.com", "a@\u{430}cme.com"), ("acme.com", "a@acme.c\u{3BF}m"), ("bücher.example", "a@bucher.example"),
            ("*.acme.com", "a@mail.\u{430}cme.com"), ("127.acme.com", "a@[127.0.0.1]"),
            ("strasse.example", "a@straße.example"),
        ])
    func refuses(_ pattern: String, _ address: String) throws {
        #expect(try !matches(pattern, address))
    }

    @Test(
        "what is neither a domain nor *. and a domain is no pattern",
        arguments: [
            "", "*", "*.", "*.*", "*.*.com", "*acme.com", "a.*.com", "acme.*", "acme.com.", ".acme.com", "acme..com",
            "*..com", "*.acme.com.", "acme com", " acme.com", "acme.com ", "@acme.com", "a@acme.com", "-acme.com",
            "acme-.com", "ac_me.com", "127.0.0.1", "[127.0.0.1]", "acme.com\n", "acme.com\u{0}", "http://acme.com",
            "acme.com/", "xn--", "xn--a.com", "ａcme\u{200B}.com", String(repeating: "a", count: 64) + ".com",
            "acme.com,example.com",
        ])
    func malformed(_ text: String) {
        #expect(DomainPattern(text) == nil)
    }

    @Test(
        "a pattern is written in lower-case A-labels, and reads back as itself",
        arguments: [
            ("ACME.com", "acme.com"), ("*.Bücher.Example", "*.xn--bcher-kva.example"),
        ])
    func description(_ text: String, _ expected: String) throws {
        let pattern = try #require(DomainPattern(text))
        #expect(pattern.description == expected)
        #expect(DomainPattern(pattern.description) == pattern)
    }
}
