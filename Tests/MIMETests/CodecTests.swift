// Transfer encodings, encoded words, parameters, dates and charsets.

import MIME
import Testing

@Suite struct Base64Tests {
    @Test(
        "the test vectors of RFC 4648 §10",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(plain: String, encoded: String) {
        #expect(string(Base64.encode(bytes(plain))) == encoded)
        #expect(Base64.decode(bytes(encoded)) == bytes(plain))
        #expect(Base64.decodeLeniently(bytes(encoded)) == bytes(plain))
    }

    @Test("lines have 76 characters and CRLF")
    func lines() {
        for count in [0, 1, 56, 57, 58, 114, 115] {
            let encoded = Base64.encodeLines([UInt8](repeating: 0xAB, count: count))
            let lines = string(encoded).split(separator: "\r\n", omittingEmptySubsequences: false)
            #expect(lines.last == "")
            #expect(lines.dropLast().dropLast().allSatisfy { $0.utf8.count == 76 })
            #expect(lines.allSatisfy { $0.utf8.count <= 76 })
            #expect(Base64.decode(encoded)?.count == count)
        }
    }

    @Test(
        "strict decoding refuses what is not base64",
        arguments: [
            "Z", "Zg", "Zg=", "Zg===", "=", "====", "Zm9v=", "Zh==", "Zm9=", "Zg==Zg==", "Z!==", "Zm9v-_", "Zm 9v\0",
            "Zg=a",
        ])
    func strict(text: String) {
        #expect(Base64.decode(bytes(text)) == nil)
    }

    @Test("strict decoding skips white space")
    func whitespace() {
        #expect(Base64.decode(bytes(" Zm\r\n9v\tYg = =\r\n")) == bytes("foob"))
    }

    @Test(
        "lenient decoding reads what is there",
        arguments: [
            ("Zg", "f"), ("Zm8", "fo"), ("Zm9v!!YmFy", "foobar"), ("Zg==Zm9v", "ffoo"), ("Z", ""), ("=Zm9v", "foo"),
            ("Zm9v\r\n--junk", "foo\u{FFFD}"), ("Z\0m9v", "foo"), ("====", ""),
        ])
    func lenient(text: String, expected: String) {
        let decoded = Base64.decodeLeniently(bytes(text))
        if expected.unicodeScalars.last == "\u{FFFD}" {
            #expect(decoded.starts(with: bytes(String(expected.dropLast()))))
        } else {
            #expect(string(decoded) == expected)
        }
    }
}

@Suite struct QuotedPrintableTests {
    @Test(
        "decoding, well-formed and not",
        arguments: [
            ("a=3Db", "a=b"), ("a=\r\nb", "ab"), ("a=  \r\nb", "ab"), ("a=\nb", "ab"), ("a  \r\nb", "a\r\nb"),
            ("a \t", "a"),
            ("=e4=E4", "\u{E4}\u{E4}"), ("=", ""), ("a=", "a"), ("=4", "=4"), ("=zz=4", "=zz=4"), ("=\r\n", ""),
            ("a b", "a b"),
            ("==41", "=A"), ("a= b", "a= b"),
        ])
    func decoding(text: String, expected: String) {
        let wanted = expected.unicodeScalars.map { UInt8($0.value) }
        #expect(QuotedPrintable.decode(bytes(text)) == wanted)
    }

    @Test(
        "encoding keeps lines within 76 and protects what hops break",
        arguments: [
            ("a=b", "a=3Db"), ("a \r\n", "a=20\r\n"), ("a\t", "a=09"), ("Grüße", "Gr=C3=BC=C3=9Fe"),
            (".\r\n.x", "=2E\r\n=2Ex"),
            ("From me", "=46rom me"), ("a\rb\nc", "a=0Db=0Ac"), ("\0", "=00"), ("a b", "a b"), ("", ""),
        ])
    func encoding(text: String, expected: String) {
        #expect(string(QuotedPrintable.encode(bytes(text))) == expected)
        #expect(QuotedPrintable.decode(bytes(expected)) == bytes(text))
    }

    @Test("lines of every length around the limit come back whole")
    func lineLengths() {
        for count in 70...160 {
            for tail in ["", "\r\n", " ", "\r\nmore", "=\r\n"] {
                let plain = bytes(String(repeating: "x", count: count) + tail)
                let encoded = QuotedPrintable.encode(plain)
                #expect(QuotedPrintable.decode(encoded) == plain)
                #expect(LineDiscipline.firstViolation(in: encoded, maximumLineLength: 76) == nil)
            }
        }
        #expect(
            string(QuotedPrintable.encode(bytes(String(repeating: "x", count: 76))))
                == String(repeating: "x", count: 76))
    }
}

@Suite struct EncodedWordTests {
    @Test(
        "the examples of RFC 2047 §8",
        arguments: [
            ("=?US-ASCII?Q?Keith_Moore?=", "Keith Moore"),
            ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?=", "Keld Jørn Simonsen"),
            ("=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
            (
                "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
                "If you can read this you understand the example."
            ),
            ("=?ISO-8859-1?Q?Olle_J=E4rnefors?=", "Olle Järnefors"),
            ("=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?=", "Patrik Fältström"),
            ("=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=", "םולש ןב ילטפנ"),
            ("=?ISO-8859-1?Q?a?=", "a"), ("=?ISO-8859-1?Q?a?= b", "a b"),
            ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"), ("=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
            ("=?ISO-8859-1?Q?a_b?=", "a b"), ("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        ])
    func rfc2047(text: String, expected: String) {
        #expect(EncodedWord.decode(text) == expected)
    }

    @Test(
        "what the field shows is understood",
        arguments: [
            // A character split between words, in one encoding and in two.
            ("=?utf-8?Q?=C3?= =?utf-8?Q?=BC?=", "ü"), ("=?utf-8?Q?=C3?= =?utf-8?B?vA==?=", "ü"),
            // RFC 2231 language.
            ("=?utf-8*de?Q?gr=C3=BCn?=", "grün"),
            ("a=?utf-8?Q?b?=c", "abc"), ("=?utf-8?Q?a b?=", "a b"), ("=?UTF-8?B?w7w?=", "ü"), ("=?utf-8?q?=?=", "="),
            ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"), ("=?gb2312?B?1tDOxA==?=", "中文"),
            ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
            ("=?windows-1251?Q?=CF=F0=E8=E2=E5=F2?=", "Привет"), ("=?big5?B?pKSk5Q==?=", "中文"),
            ("=?ks_c_5601-1987?B?x9GxuQ==?=", "한국"),
        ])
    func wild(text: String, expected: String) {
        #expect(EncodedWord.decode(text) == expected)
    }

    @Test(
        "what is not well-formed stays as it is",
        arguments: [
            "=?", "=?=", "=??Q?a?=", "=?utf-8?X?a?=", "=?utf-8?Q?a", "=?utf-8?Q?a?", "=?utf-8?Q", "=?utf-8?", "=?utf-8",
            "?=",
            "=?utf-8?Qa?=", "=?ut f?Q?a?=", "a = b ? c", "=?utf-8?Q?a?b?=",
        ])
    func malformed(text: String) {
        #expect(EncodedWord.decode(text) == text)
    }

    @Test("an unknown charset is read as UTF-8 or else windows-1252")
    func unknown() {
        #expect(EncodedWord.decode("=?no-such-charset?Q?=C3=BC?=") == "ü")
        #expect(EncodedWord.decode("=?no-such-charset?Q?=FC?=") == "ü")
    }

    @Test(
        "text goes round through encoded words, each within 75 octets",
        arguments: [
            "Grüße", "日本語", String(repeating: "ü", count: 200), String(repeating: "漢字", count: 100), "plain text",
            "=?utf-8?Q?not_encoded?=", "a  =?x  b", String(repeating: "x", count: 200), "one ü two ö three",
            "ü  two  spaces  ü", String(repeating: "😀", count: 50), "tab\there", "under_score ü = ?", "",
        ])
    func roundTrip(text: String) {
        let encoded = EncodedWord.encode(text)
        #expect(EncodedWord.decode(encoded) == text)
        #expect(encoded.utf8.allSatisfy { $0 < 0x7F })
        #expect(encoded.split(separator: " ").allSatisfy { $0.utf8.count <= 75 })
        #expect(EncodedWord.decode(EncodedWord.encode(text, phrase: true)) == text)
    }

    @Test("only the words from the first to the last that need it are encoded")
    func minimal() {
        #expect(EncodedWord.encode("Minutes of the Münich meeting") == "Minutes of the =?utf-8?Q?M=C3=BCnich?= meeting")
        #expect(EncodedWord.encode("all plain (a, b): c") == "all plain (a, b): c")
    }
}

@Suite struct ParameterTests {
    private func value(_ text: String, _ name: String) -> String? {
        ContentType(parsing: "a/b; " + text)?.parameter(name)
    }

    @Test(
        "the examples of RFC 2231",
        arguments: [
            (
                "URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"", "url",
                "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"
            ),
            ("title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A", "title", "This is ***fun***"),
            (
                "title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
                "title",
                "This is even more ***fun*** isn't it!"
            ),
        ])
    func rfc2231(text: String, name: String, expected: String) {
        #expect(value(text, name) == expected)
    }

    @Test(
        "what mail programs write is understood",
        arguments: [
            ("x=a", "a"), ("X=\"a b\"", "a b"), ("x=a (comment)", "a"), ("x = a", "a"), ("x=\"a\\\"b\"", "a\"b"),
            ("x=", ""),
            ("x=my report (1).pdf; y=z", "my report (1).pdf"), ("x=\"unclosed", "unclosed"),
            ("x=\"C:\\temp\\file\"", "C:\\temp\\file"),
            ("x=1; x=2", "1"), ("x*1=b; x*0=a", "ab"), ("x*0=a; x*2=c", "a"), ("x=\"=?utf-8?Q?=C3=BC?=\"", "ü"),
            (";;;x=a", "a"),
            ("junk; x=a", "a"), ("x=plain; x*=utf-8''%C3%BC", "ü"), ("x*=%C3%BC", "ü"), ("x*=utf-8''%zz%4", "%zz%4"),
            ("x*=iso-8859-1''%FC", "ü"), ("x=\"a\r\n b\"", "a b"), ("x*0*=utf-8''%C3; x*1*=%BC", "ü"),
            ("x=\u{FC}", "ü"), ("x=a\"b", "a\"b"),
        ])
    func wild(text: String, expected: String) {
        #expect(value(text, "x") == expected)
    }

    @Test(
        "what is not a parameter is none",
        arguments: ["x", "*=a", "*0=a", "x*a=b", "x*1=b", "x**=b", "x*1000=a", "x*0*0=a"])
    func none(text: String) {
        #expect(value(text, "x") == nil)
    }

    @Test("at most as many parameters as allowed are read")
    func limit() {
        var limits = MIMELimits()
        limits.parameters = 2
        #expect(ContentType(parsing: bytes("a/b;c=1;d=2;e=3"), limits: limits)?.parameters.map(\.name) == ["c", "d"])
    }

    @Test(
        "values go round, ASCII on every line",
        arguments: [
            "report.pdf", "my report.pdf", "\"quoted\" \\ name", "Übersicht.pdf",
            String(repeating: "ü", count: 100) + ".pdf", "100%.txt",
            "it's*.txt", String(repeating: "long name ", count: 25), "=?utf-8?Q?x?=", "日本語.txt", "",
        ])
    func roundTrip(value text: String) {
        let parts = ParameterEncoder.encode(name: "x", value: text)
        #expect(parts.allSatisfy { $0.utf8.count <= 75 && $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } })
        #expect(value(parts.joined(separator: "; "), "x") == text)
    }

    @Test(
        "content types are type and subtype in lower case, and nothing less",
        arguments: [
            ("TEXT/Html", "text/html"), (" text / plain ; x=y", "text/plain"), ("text(c)/(d)plain", "text/plain"),
            ("text", nil), ("", nil),
            ("text/", nil), ("/plain", nil), ("a/b/c", nil), ("te xt/pl ain", "text/plain"), ("text/pl@in", nil),
            (";", nil),
        ] as [(String, String?)])
    func contentTypes(text: String, expected: String?) {
        #expect(ContentType(parsing: text)?.mediaType == expected)
    }
}

@Suite struct MailDateTests {
    @Test(
        "dates are read as RFC 5322 says, obsolete forms too",
        arguments: [
            ("Fri, 20 Nov 2026 18:00:00 +0000", 1_795_197_600), ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706),
            ("Tue, 1 Jul 2003 10:52:37 +0200", 1_057_049_557), ("Thu, 13 Feb 1969 23:32:54 -0330", -27_723_426),
            (
                "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
                -27_723_480
            ),
            ("21 Nov 97 09:55:06 GMT", 880_106_106), ("Fri, 21 Nov 1997 09(comment):55:06 -0600", nil),
            ("1 Jan 49 00:00 UT", 2_493_072_000), ("1 Jan 50 00:00 UT", -631_152_000),
            ("1 Jan 100 00:00 UT", 946_684_800),
            ("1 Jan 2000 00:00:00 EST", 946_702_800), ("1 Jan 2000 00:00:00 PDT", 946_710_000),
            ("1 Jan 2000 00:00:00 A", 946_684_800),
            ("1 Jan 2000 00:00:00", 946_684_800), ("1 Jan 2000 00:00:00 -0000", 946_684_800),
            ("29 Feb 2000 00:00 GMT", 951_782_400),
            ("31 Dec 2016 23:59:60 +0000", 1_483_228_800), ("20-Nov-2026 18:00:00 +0000", 1_795_197_600),
            ("Friday, 20 November 2026 18:00:00 Z", 1_795_197_600), ("Fri,20 Nov 2026 18:00:00 +0000", 1_795_197_600),
            ("fri, 20 NOV 2026 18:00:00 gmt", 1_795_197_600), ("1 Jan 2000 9:05 +0545", 946_696_800),
        ] as [(String, Int?)])
    func parsing(text: String, expected: Int?) {
        #expect(MailDate(parsing: text)?.unixSeconds == expected.map(Int64.init))
    }

    @Test(
        "what is no date is none",
        arguments: [
            "", "Fri", "20 Nov", "20 Nov 2026", "32 Jan 2000 00:00 GMT", "29 Feb 2001 00:00 GMT",
            "0 Jan 2000 00:00 GMT", "1 Foo 2000 00:00 GMT",
            "1 Jan 2000 24:00 GMT", "1 Jan 2000 00:60 GMT", "1 Jan 2000 00:00:61 GMT", "1 Jan 1 00:00 GMT",
            "1 Jan 1899 00:00 GMT",
            "1 Jan 99999 00:00 GMT", "Foo, 1 Jan 2000 00:00 GMT", "1 Jan 2000 0000 GMT", "2026-11-20T18:00:00Z",
            "1 Jan 2000 ::",
        ])
    func invalid(text: String) {
        #expect(MailDate(parsing: text) == nil)
    }

    @Test("zones are kept, unknown ones told apart")
    func zones() {
        #expect(MailDate(parsing: "1 Jan 2000 00:00 -0330")?.zoneMinutes == -210)
        #expect(MailDate(parsing: "1 Jan 2000 00:00 +0000")?.zoneMinutes == 0)
        #expect(MailDate(parsing: "1 Jan 2000 00:00 -0000")?.zoneMinutes == .some(nil))
        #expect(MailDate(parsing: "1 Jan 2000 00:00 X")?.zoneMinutes == .some(nil))
    }

    @Test(
        "formatting",
        arguments: [
            (1_795_197_600, "Fri, 20 Nov 2026 18:00:00 +0000"), (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
            (-1, "Wed, 31 Dec 1969 23:59:59 +0000"), (951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 +0000"), (-2_208_988_800, "Mon, 01 Jan 1900 00:00:00 +0000"),
            (Int.max, "Fri, 31 Dec 9999 23:59:59 +0000"), (Int.min, "Mon, 01 Jan 1900 00:00:00 +0000"),
        ])
    func formatting(seconds: Int, expected: String) {
        #expect(MailDate.format(unixSeconds: Int64(seconds)) == expected)
    }

    @Test("days all over four centuries go round, each with its weekday")
    func days() {
        let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        for day in stride(from: 0, to: 146_100, by: 13) {
            let seconds = Int64(day) * 86_400 + Int64(day % 86_400)
            let text = MailDate.format(unixSeconds: seconds)
            guard MailDate(parsing: text)?.unixSeconds == seconds, text.hasPrefix(names[day % 7]) else {
                Issue.record("\(seconds) became \(text)")
                return
            }
        }
    }
}

@Suite struct CharsetTests {
    @Test(
        "charsets under their many names",
        arguments: [
            ("utf-8", [0xC3, 0xBC], "ü"), ("UTF8", [0xC3, 0xBC], "ü"), ("iso-8859-1", [0xFC, 0x80], "ü€"),
            ("latin1", [0xFC], "ü"),
            ("windows-1252", [0x93, 0x94], "“”"), ("cp1250", [0xB9], "ą"), ("iso-8859-15", [0xA4], "€"),
            ("koi8-r", [0xC1], "а"),
            ("us-ascii", [0xFC], "ü"), ("us-ascii", [0xC3, 0xBC], "ü"), ("shift_jis", [0x93, 0xFA], "日"),
            ("euc-jp", [0xC6, 0xFC], "日"),
            ("iso-2022-jp", [0x1B, 0x24, 0x42, 0x46, 0x7C, 0x1B, 0x28, 0x42], "日"), ("gb18030", [0xD6, 0xD0], "中"),
            ("big5", [0xA4, 0xA4], "中"),
            ("euc-kr", [0xC7, 0xD1], "한"), ("utf-16", [0xFE, 0xFF, 0x00, 0xFC], "ü"), ("utf-16", [0x00, 0xFC], "ü"),
            ("utf-16le", [0xFC, 0x00], "ü"),
            ("utf-7", [0x2B, 0x41, 0x50, 0x77, 0x2D], "ü"), ("ibm850", [0x81], "ü"), ("tis-620", [0xA1], "ก"),
            ("iso-8859-8-i", [0xE0], "א"),
            ("macintosh", [0x9F], "ü"), ("ebcdic-us", [0xC1], "A"),
        ] as [(String, [UInt8], String)])
    func names(name: String, raw: [UInt8], expected: String) {
        #expect(Charset.decode(raw, charset: name) == expected)
    }

    @Test(
        "invalid bytes become replacement characters, the rest is read",
        arguments: [
            ("utf-8", [0x61, 0xFF, 0x62], "a\u{FFFD}b"), ("shift_jis", [0x61, 0x93], "a\u{FFFD}"),
            ("euc-jp", [0xC6, 0x20, 0x61], "\u{FFFD} a"),
            ("gb18030", [0xFF, 0x61], "\u{FFFD}a"), ("utf-16be", [0xD8, 0x00, 0x00, 0x61], "\u{FFFD}"),
        ] as [(String, [UInt8], String)])
    func invalid(name: String, raw: [UInt8], expected: String) {
        let text = Charset.decode(raw, charset: name)
        #expect(text.unicodeScalars.contains("\u{FFFD}"))
        #expect(expected.unicodeScalars.filter { $0 != "\u{FFFD}" }.allSatisfy { text.unicodeScalars.contains($0) })
    }

    @Test(
        "names that iconv would read as something else never reach it",
        arguments: [
            "UTF-8//TRANSLIT", "", "../../etc/passwd", "INTERNAL", "WCHAR_T", "utf-16//IGNORE", "a\0b",
            String(repeating: "x", count: 100),
        ])
    func unsafe(name: String) {
        #expect(!Charset.isKnown(name))
        #expect(Charset.decode([0x61, 0xC3, 0xBC], charset: name) == "aü")
    }

    @Test("long text in a foreign charset is read whole")
    func long() {
        let raw = [UInt8](repeating: 0xC1, count: 100_000)
        #expect(Charset.decode(raw, charset: "koi8-r").unicodeScalars.count == 100_000)
        #expect(
            Charset.decode([UInt8](repeating: 0xFF, count: 50_000), charset: "euc-jp").unicodeScalars.count == 50_000)
    }
}
