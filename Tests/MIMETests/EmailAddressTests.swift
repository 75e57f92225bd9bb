// Addresses and domain names: what is one, what is not, and that no spelling smuggles anything.

import MIME
import Testing

@Suite struct EmailAddressTests {
    @Test(
        "valid addresses come back as they were written",
        arguments: [
            "ann@example.com", "a@b", "first.last+tag@mail.example.co.uk", "!#$%&'*+-/=?^_`{|}~@example.com",
            "\"a b\"@example.com", "\"a@b\"@example.com", "\"quote\\\"and\\\\slash\"@example.com", "\"..\"@example.com",
            "ann@[192.0.2.1]", "ann@[IPv6:2001:db8::1]", "jürgen@example.com", "用户@例え.jp", "ann@bücher.example",
            "ann@xn--bcher-kva.example", "ann@EXAMPLE.com", "1@2.example", "ann@123.com",
        ]
    )
    func valid(text: String) throws {
        #expect(try address(text).description == text)
    }

    @Test("quotes that are not needed go, quotes that are needed stay")
    func quoting() throws {
        #expect(try address("\"ann\"@example.com").description == "ann@example.com")
        #expect(try address("\"ann\"@example.com") == address("ann@example.com"))
        let spaced = try address("\"a\\b c\"@example.com")
        #expect(spaced.localPart == "ab c")
        #expect(spaced.description == "\"ab c\"@example.com")
    }

    @Test(
        "what is no address is refused",
        arguments: [
            "", "@", "ann", "ann@", "@example.com", "ann@@example.com", "a@b@c", ".ann@example.com", "ann.@example.com",
            "a..b@example.com", "a b@example.com", "a(b)@example.com", "<ann@example.com>", " ann@example.com",
            "ann@example.com ", "ann@-example.com", "ann@example-.com", "ann@exa_mple.com", "ann@example..com",
            "ann@example.com.", "ann@.example.com", "ann@exam ple.com", "ann@192.0.2.1", "ann@[192.0.2.256]",
            "ann@[192.0.2]", "ann@[IPv6:xyz]", "ann@[IPv6:::1", "ann@[]", "ann@[x:y]", "\"ann@example.com",
            "\"ann\"x@example.com", "\"\"@example.com", "\"a\"b\"@example.com", "\"a\\", "ann,bob@example.com",
        ]
    )
    func invalid(text: String) {
        #expect(throws: MIMEError.self) { try EmailAddress(parsing: text) }
    }

    @Test("no control character gets in, quoted or not, in either half", arguments: Array(UInt8(0)..<32) + [127])
    func controls(byte: UInt8) {
        let control = string([byte])
        for text in [
            "a\(control)b@example.com", "\"a\(control)b\"@example.com", "\"a\\\(control)b\"@example.com",
            "ann@exam\(control)ple.com", "ann@[192.0.2.1\(control)]", "ann@example.com\(control)",
            "\(control)ann@example.com",
        ] {
            #expect(throws: MIMEError.self) { try EmailAddress(parsing: text) }
        }
        #expect(throws: MIMEError.self) { try EmailAddress(localPart: "a\(control)", domain: "example.com") }
        #expect(throws: MIMEError.self) { try EmailAddress(localPart: "a", domain: "example.com\(control)") }
    }

    @Test("line separators, C1 controls and direction marks are no part of an address")
    func unicodeControls() {
        for scalar in [
            "\u{85}", "\u{9F}", "\u{2028}", "\u{2029}", "\u{202E}", "\u{2066}", "\u{200F}", "\u{FEFF}", "\u{A0}",
        ] {
            #expect(throws: MIMEError.self) { try EmailAddress(parsing: "a\(scalar)b@example.com") }
            #expect(throws: MIMEError.self) { try EmailAddress(parsing: "ann@a\(scalar)b.com") }
        }
    }

    @Test("the limits are 64, 255 and 254 octets, the limit itself included")
    func limits() throws {
        let label = String(repeating: "a", count: 60)
        let local = String(repeating: "l", count: 64)
        #expect(try address("\(local)@example.com").localPart == local)
        #expect(code(try EmailAddress(parsing: "l\(local)@example.com")) == .addressTooLong)

        // 64 + 1 + 189 = 254.
        let domain189 = "\(label).\(label).\(label).abcdef"
        #expect(try address("\(local)@\(domain189)").description.utf8.count == 254)
        #expect(code(try EmailAddress(parsing: "\(local)@\(domain189)g")) == .addressTooLong)

        let domain = "\(label).\(label).\(label).\(label).example"
        #expect(code(try EmailAddress(parsing: "\(local)@\(domain)")) == .addressTooLong)
        #expect(code(try EmailAddress(localPart: "a", domain: "\(domain).\(label)")) == .addressTooLong)
        #expect(throws: MIMEError.self) { try EmailAddress(parsing: "a@\(String(repeating: "a", count: 64)).com") }
        #expect(throws: Never.self) { try EmailAddress(parsing: "a@\(String(repeating: "a", count: 63)).com") }
        // Quotes count: 62 characters and two quotes.
        #expect(throws: Never.self) { try EmailAddress(localPart: String(repeating: " ", count: 62), domain: "b") }
        #expect(throws: MIMEError.self) { try EmailAddress(localPart: String(repeating: " ", count: 63), domain: "b") }
    }

    @Test("bytes that are not UTF-8 are no address")
    func badUTF8() {
        #expect(throws: MIMEError.self) { try EmailAddress(parsing: [0x61, 0xFF, 0x40, 0x62] as [UInt8]) }
        #expect(throws: MIMEError.self) { try EmailAddress(parsing: [0x61, 0xC0, 0x80, 0x40, 0x62] as [UInt8]) }
    }

    @Test("only the local part asks for SMTPUTF8; the domain can always go as A-labels")
    func smtputf8() throws {
        #expect(try address("ann@bücher.example").needsSMTPUTF8 == false)
        #expect(try address("ann@bücher.example").wireForm == "ann@xn--bcher-kva.example")
        #expect(try address("jürgen@example.com").needsSMTPUTF8)
        #expect(try !address("ann@example.com").needsSMTPUTF8)
    }

    @Test("spellings of one mailbox compare as one, different mailboxes never")
    func comparison() throws {
        let key = try address("ann@bücher.example").comparisonKey
        #expect(try address("ann@BÜCHER.example").comparisonKey == key)
        #expect(try address("ann@XN--BCHER-KVA.EXAMPLE").comparisonKey == key)
        #expect(try address("\"ann\"@bu\u{308}cher.example").comparisonKey == key)
        #expect(try address("Ann@bücher.example").comparisonKey != key)
    }
}

@Suite struct DomainNameTests {
    @Test(
        "domains become lower-case A-labels",
        arguments: [
            ("Example.COM", "example.com"), ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"), ("faß.de", "xn--fa-hia.de"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("пример.испытание", "xn--e1afmkfd.xn--80akhbyknj4f"), ("münchen.de", "xn--mnchen-3ya.de"),
            ("xn--MNCHEN-3YA.de", "xn--mnchen-3ya.de"), ("mu\u{308}nchen.de", "xn--mnchen-3ya.de"),
            ("δοκιμή.gr", "xn--jxalpdlp.gr"), ("l·l.cat", "xn--ll-0ea.cat"), ("a-b.example", "a-b.example"),
        ]
    )
    func ascii(domain: String, expected: String) {
        #expect(EmailAddress.normalizedDomain(domain) == expected)
    }

    @Test(
        "what is no domain name has no normal form",
        arguments: [
            "", ".", "a.", ".a", "a..b", "-a.com", "a-.com", "a_b.com", "a b.com", "1.2.3.4", "[192.0.2.1]", "a.1",
            "xn--.com", "xn--a.com", "xn--abc-.com", "xn--\u{FC}.com", "ab--\u{FC}.com", "\u{301}a.com",
            "a\u{200B}b.com",
            "a\0b.com", "a\r\n.com", "a/b.com", "a@b.com", "a%b.com", "☃.example", "·a.example", "a\u{200D}b.example",
        ]
    )
    func invalid(domain: String) {
        #expect(EmailAddress.normalizedDomain(domain) == nil)
    }

    @Test("look-alikes stay apart: nothing is mapped but case and composition")
    func lookAlikes() {
        // Cyrillic "а" is not Latin "a".
        #expect(EmailAddress.normalizedDomain("ex\u{430}mple.com") == "xn--exmple-4nf.com")
        // Full-width letters, ligatures, superscripts and the ideographic stop would be mapped by UTS #46. Not here.
        for domain in ["ｅｘａｍｐｌｅ.com", "ﬁsh.com", "x².com", "example。com", "①.com", "ℂ.com"] {
            #expect(EmailAddress.normalizedDomain(domain) == nil)
        }
    }

    @Test("a made-up A-label is refused: it must be what its U-label encodes to")
    func fakeALabels() {
        // Capital "Ü", which lower-cases to another label.
        #expect(EmailAddress.normalizedDomain("xn--bcher-2pa.com") == nil)
        // An emoji label is no IDNA 2008 name, but it exists and is ASCII already.
        #expect(EmailAddress.normalizedDomain("xn--i-7iq.ws") == "xn--i-7iq.ws")
        #expect(EmailAddress.normalizedDomain("xn--99999999999.com") == nil)
    }

    @Test("normalising twice changes nothing", arguments: ["Bücher.Example", "例え.jp", "faß.de"])
    func idempotent(domain: String) throws {
        let once = try #require(EmailAddress.normalizedDomain(domain))
        #expect(EmailAddress.normalizedDomain(once) == once)
    }
}
