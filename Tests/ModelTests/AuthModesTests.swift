// Which credentials a path takes, and pools of addresses: small values with rules of their own.

import JSON
import Model
import Testing

@Suite("Authentication modes by path")
struct AuthModesTests {
    private static func modes(_ text: String) throws -> AuthModes { try AuthModes(environment: text) }

    @Test(
        "the entry with the most segments wins, and a path is no longer than its segments",
        arguments: [
            ("/v1/send", AuthMode.both), ("/v1/send/", .both), ("//v1//send", .both), ("/v1/send/mime", .both),
            ("/v1/send/odoo", .smtp), ("/v1/send/odoo/x/y", .smtp), ("/v1/send/odoo2", .both),
            ("/v1/sendodoo", .apiKey),
            ("/v1", .apiKey), ("/", .apiKey), ("", .apiKey), ("/v1/map/odoo", .apiKey), ("/ses", .smtp),
            ("/ses/v2/email/outbound-emails", .smtp), ("/sesame", .apiKey), ("/V1/SEND", .apiKey),
            ("/v1/send/{dialect}", .both),
        ])
    func longest(_ path: String, _ expected: AuthMode) throws {
        #expect(try Self.modes("api_key,/v1/send=both,/v1/send/odoo=smtp,/ses=smtp").mode(for: path) == expected)
    }

    @Test("one mode is for every path")
    func one() throws {
        for path in AuthModes.paths + ["/", "/v1/keys"] { #expect(try Self.modes("smtp").mode(for: path) == .smtp) }
        #expect(AuthModes(.both).json == .string("both"))
    }

    @Test("the order of the entries means nothing")
    func order() throws {
        let one = try Self.modes("/v1/send/odoo=smtp,both,/v1/send=api_key")
        #expect(one == (try Self.modes("both,/v1/send=api_key,/v1/send/odoo=smtp")))
        #expect(one.mode(for: "/v1/send/odoo") == .smtp && one.mode(for: "/v1/send") == .apiKey)
    }
}

@Suite("IP pools")
struct IPPoolsTests {
    @Test("rows of one name are one pool: each address once, in the order of creation")
    func named() {
        let pools = IPPools([
            (domain: "a.example", name: "warm", addresses: ["192.0.2.1", "192.0.2.2"]),
            (domain: "b.example", name: "cold", addresses: ["192.0.2.9"]),
            (domain: "c.example", name: "warm", addresses: ["192.0.2.3", "192.0.2.1"]),
        ])
        #expect(pools.addresses(named: "warm") == ["192.0.2.1", "192.0.2.2", "192.0.2.3"])
        #expect(pools.addresses(named: "cold") == ["192.0.2.9"])
        #expect(pools.addresses(forDomain: "c.example") == ["192.0.2.3", "192.0.2.1"])
        #expect(pools.addresses(forDomain: "d.example") == nil && pools.addresses(named: "Warm") == nil)
        #expect(IPPools.none.addresses(named: "warm") == nil && IPPools.none.addresses(forDomain: "a.example") == nil)
    }

    @Test(
        "an address has one way of being written",
        arguments: [
            ("192.0.2.1", "192.0.2.1"), ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"), ("2001:db8::0001", "2001:db8::1"),
            ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("::", "::"), ("0:0:0:0:0:0:0:1", "::1"),
            ("::FFFF:192.0.2.1", "::ffff:192.0.2.1"), ("FE80::A", "fe80::a"),
        ])
    func normalized(_ text: String, _ expected: String) {
        #expect(SendingAddress.normalized(text) == expected)
        #expect(SendingAddress.normalized(expected) == expected)
    }

    @Test(
        "what is no address is none",
        arguments: [
            "", " ", "192.0.2", "192.0.2.256", "192.0.2.1 ", "192.0.2.01", "192.0.2.1/32", "fe80::1%eth0", "[::1]",
            "1::2::3",
            "12345::", "192.0.2.1\u{0}", "::1\u{0}x", "example.com", "0x7f.1", "127.1", "２.0.0.1", "::g",
            String(repeating: "1", count: 10_000), String(repeating: ":", count: 10_000),
        ])
    func noAddress(_ text: String) { #expect(SendingAddress.normalized(text) == nil) }

    @Test("a pool's name has bounds")
    func names() {
        for name in ["a", "warm up", "ünïcode 😀", String(repeating: "x", count: 100), "a,b:c/d"] {
            #expect(IPPools.isName(name))
        }
        for name in ["", " ", " a", "a ", "a\n", "a\u{0}b", "a\u{85}b", "a\u{7F}", String(repeating: "x", count: 101)] {
            #expect(!IPPools.isName(name))
        }
    }
}
