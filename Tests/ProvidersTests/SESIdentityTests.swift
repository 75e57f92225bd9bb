// Verified identities: exactly the senders that the policy lets through for a caller.

import Model
import Testing

@testable import Providers

@Suite("SES identities")
struct SESIdentityTests {
    private func identities(_ allowed: [String], _ narrowed: [String]? = nil) -> SESIdentities {
        SESIdentities(
            allowed: allowed.compactMap(DomainPattern.init), narrowedTo: narrowed?.compactMap(DomainPattern.init))
    }

    @Test("domains and addresses of allowed domains are verified, others are not")
    func allowed() {
        let all = identities(["example.com", "*.acme.test", "bücher.example"])
        for identity in [
            "example.com", "EXAMPLE.com", "ada@example.com", "\"a b\"@example.com", "x.acme.test", "a@b.c.acme.test",
            "bücher.example", "xn--bcher-kva.example", "ada@BÜCHER.example",
        ] {
            #expect(all.allows(identity), "\(identity)")
        }
        for identity in [
            "", "@", "ada@", "acme.test", "ada@acme.test", "evil-example.com", "example.com.evil.test",
            "a@b@example.com",
            "ada@example.com ", "*.acme.test", "exаmple.com",
        ] {
            #expect(!all.allows(identity), "\(identity)")
        }
    }

    @Test("a key that is narrowed to domains sees and has only those")
    func narrowed() {
        let all = identities(["a.test", "*.b.test", "*.c.test"], ["a.test", "x.b.test", "c.test", "*.y.c.test"])
        #expect(all.names == ["a.test", "x.b.test", "*.y.c.test"])
        #expect(all.allows("a.test") && all.allows("x.b.test") && all.allows("z.y.c.test"))
        #expect(!all.allows("w.b.test") && !all.allows("c.test") && !all.allows("z.c.test"))
        #expect(identities(["a.test"], []).names == [])
        #expect(identities(["*.a.test"], ["*.a.test"]).names == ["*.a.test"])
        #expect(identities(["a.test"], ["*.a.test"]).names == [], "a domain does not cover those below it")
    }

    @Test("every name that is listed is one that is allowed, whatever the rules")
    func listedIsAllowed() {
        let rules = ["a.test", "*.a.test", "b.a.test", "*.b.a.test", "test"]
        for first in rules {
            for second in rules {
                let all = identities([first], [second])
                for name in all.names {
                    let probe = name.hasPrefix("*.") ? "x." + name.dropFirst(2) : name
                    #expect(all.allows(probe), "\(name) of \(first) and \(second)")
                }
                for probe in ["a.test", "b.a.test", "c.b.a.test", "x.a.test", "test"] where all.allows(probe) {
                    #expect(
                        all.names.contains { DomainPattern($0)?.matches(asciiDomain: probe) == true },
                        "\(probe) of \(first) and \(second)")
                }
            }
        }
    }
}
