// Address lists: the examples of RFC 5322, what mail programs really write, and what is refused.

import MIME
import Testing

@Suite struct AddressListTests {
    private func render(_ text: String) throws -> [String] {
        try AddressList.parse(text).map { entry in
            switch entry {
            case .mailbox(let mailbox): return mailbox.description
            case .group(let name, let members): return "\(name): \(members.map(\.description).joined(separator: ", "));"
            }
        }
    }

    @Test(
        "the address examples of RFC 5322, appendix A",
        arguments: [
            ("John Doe <jdoe@machine.example>", ["John Doe <jdoe@machine.example>"]),
            (
                "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
                ["Mary Smith <mary@x.test>", "jdoe@example.org", "Who? <one@y.test>"]
            ),
            (
                "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
                ["boss@nil.test", "Giant; \"Big\" Box <sysservices@example.net>"]
            ),
            (
                "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
                ["A Group: Ed Jones <c@a.test>, joe@where.test, John <jdoe@one.test>;"]
            ),
            ("Undisclosed recipients:;", ["Undisclosed recipients: ;"]),
            ("\"Joe Q. Public\" <john.q.public@example.com>", ["Joe Q. Public <john.q.public@example.com>"]),
            ("Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", ["Pete <pete@silly.test>"]),
            (
                "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         joe@example.org,\r\n"
                    + "  John <jdoe@one.test> (my dear friend); (the end of the group)",
                ["A Group: Chris Jones <c@public.example>, joe@example.org, John <jdoe@one.test>;"]
            ),
            ("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;", ["Hidden recipients: ;"]),
            ("Joe Q. Public <john.q.public@example.com>", ["Joe Q. Public <john.q.public@example.com>"]),
            (
                "Mary Smith <@node.test,@machine.example:mary@example.net>, , jdoe@test   . example",
                ["Mary Smith <mary@example.net>", "jdoe@test.example"]
            ),
            ("John Doe <jdoe@machine(comment).  example>", ["John Doe <jdoe@machine.example>"]),
        ] as [(String, [String])]
    )
    func appendixA(text: String, expected: [String]) throws {
        #expect(try render(text) == expected)
    }

    @Test(
        "what mail programs write is understood",
        arguments: [
            ("ann@example.com (Ann Example)", ["Ann Example <ann@example.com>"]),
            ("<ann@example.com> (Ann)", ["Ann <ann@example.com>"]),
            ("=?utf-8?Q?J=C3=BCrgen?= =?utf-8?Q?_M=C3=BCller?= <j@example.com>", ["Jürgen Müller <j@example.com>"]),
            ("\"=?utf-8?B?SsO8cmdlbg==?=\" <j@example.com>", ["Jürgen <j@example.com>"]),
            ("=?utf-8?Q?M=C3=BCller,_J.?= <j@example.com>", ["Müller, J. <j@example.com>"]),
            ("=?utf-8?Q?Doe,_John?= <j@example.com>, b@example.com", ["Doe, John <j@example.com>", "b@example.com"]),
            ("Jürgen <j@example.com>", ["Jürgen <j@example.com>"]),
            ("undisclosed-recipients:", ["undisclosed-recipients: ;"]),
            ("a@b.example; c@d.example;", ["a@b.example", "c@d.example"]),
            (",,a@b.example,,", ["a@b.example"]),
            ("", []), (" \r\n ", []), ("(only a comment)", []),
            ("\"a b\"@example.com", ["\"a b\"@example.com"]), ("< ann@example.com >", ["ann@example.com"]),
            ("Ann<ann@example.com>", ["Ann <ann@example.com>"]), ("\"\" <ann@example.com>", ["ann@example.com"]),
            ("\"Ann\r\n Example\" <ann@example.com>", ["Ann Example <ann@example.com>"]),
            ("ann@[IPv6:2001:db8::1], b@[192.0.2.1]", ["ann@[IPv6:2001:db8::1]", "b@[192.0.2.1]"]),
            ("ann@bücher.example", ["ann@bücher.example"]), ("a . b @ c . example", ["a.b@c.example"]),
        ] as [(String, [String])]
    )
    func wild(text: String, expected: [String]) throws {
        #expect(try render(text) == expected)
    }

    @Test(
        "what is no address list is refused, with the place",
        arguments: [
            "Ann", "Ann Example", "<ann@example.com", "ann@example.com>", "<>", "<ann>", "Ann <>", "ann@",
            "@example.com",
            "\"unclosed <ann@example.com>", "(unclosed ann@example.com", "a: b: c@d.example;;", ": a@b.example;",
            "ann@example.com bob@example.com", "<ann@example.com> bob", "a..b@example.com", ".a@example.com",
            "ann@exa mple.com", "<@route>", "<@a,@b>", "ann@[192.0.2.1", "a[b@example.com", "ann@example.com\0",
            "ann\\@example.com", "<<ann@example.com>>", "x@y.example, Ann",
        ]
    )
    func invalid(text: String) {
        do {
            let parsed = try AddressList.parse(text)
            Issue.record("accepted as \(parsed)")
        } catch {
            #expect((error.offset ?? -1) >= 0)
        }
    }

    @Test("a name cannot carry a line break out of an encoded word")
    func noInjectionByName() throws {
        let mailbox = try AddressList.parseMailbox("=?utf-8?Q?a=0D=0ABcc:_x=40y=00?= <j@example.com>")
        #expect(mailbox.name == "a  Bcc: x@y\u{FFFD}")
        #expect(!mailbox.headerForm.utf8.contains { $0 < 0x20 })
    }

    @Test(
        "no encoded word can hide an address from us that another reader sees",
        arguments: [
            "=?utf-8?q?<evil@x.example>,?= <a@b.example>", "=?utf-8?q?evil@x.example,?= <a@b.example>",
            "=?utf-8?q?(?= <a@b.example>, =?utf-8?q?)?= evil@x.example",
            "=?utf-8?q?\"?= <a@b.example>, =?utf-8?q?\"?= <evil@x.example>",
        ]
    )
    func hiddenAddresses(text: String) {
        let seen = (try? AddressList.parse(text))?.mailboxes.map(\.address.description) ?? ["refused"]
        #expect(seen != ["a@b.example"])
    }

    @Test("too many addresses are refused, as many as allowed are not")
    func limit() throws {
        var limits = MIMELimits()
        limits.addressesPerList = 3
        #expect(try AddressList.parse("a@b.c,a@b.c,g:a@b.c;", limits: limits).mailboxes.count == 3)
        #expect(code(try AddressList.parse("a@b.c,a@b.c,g:a@b.c,a@b.c;", limits: limits)) == .tooManyAddresses)
    }

    @Test(
        "a mailbox in a header reads back as the same mailbox",
        arguments: [
            "Ann", "Ann Example", "Ann  Example", "Example, Ann", "Joe Q. Public", "\"quoted\"", "back\\slash",
            "Jürgen Müller",
            "日本語の名前です、とても長い名前なので複数の符号化語に分かれます", "=?utf-8?Q?not_encoded?=", "a@b <c>", "=?x", "(comment)",
            String(repeating: "long ", count: 60) + "name", String(repeating: "x", count: 300), "😀", "O'Brien-Smith",
        ]
    )
    func rendering(name: String) throws {
        let mailbox = try Mailbox(name: name, address: address("j@example.com"))
        let form = mailbox.headerForm
        #expect(form.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F })
        #expect(try AddressList.parseMailbox(form) == mailbox)
    }

    @Test("simple names stay bare, others are quoted, non-ASCII ones are encoded")
    func renderedForms() throws {
        let plain = try address("j@example.com")
        #expect(try Mailbox(name: "Ann Example", address: plain).headerForm == "Ann Example <j@example.com>")
        #expect(try Mailbox(name: "Example, Ann", address: plain).headerForm == "\"Example, Ann\" <j@example.com>")
        #expect(try Mailbox(name: "Jürgen", address: plain).headerForm == "=?utf-8?Q?J=C3=BCrgen?= <j@example.com>")
        #expect(Mailbox(plain).headerForm == "j@example.com")
        #expect(try Mailbox(name: " ", address: plain) == Mailbox(plain))
        #expect(try Mailbox(name: nil, address: address("j@bücher.example")).headerForm == "j@xn--bcher-kva.example")
    }

    @Test(
        "a display name with a control character cannot be made",
        arguments: ["a\rb", "a\nb", "a\0b", "a\u{85}b", "a\u{7F}"])
    func badNames(name: String) throws {
        let plain = try address("j@example.com")
        #expect(code(try Mailbox(name: name, address: plain)) == .invalidDisplayName)
    }
}
