// Header fields, both ways: what is read out of a header block, and that nothing can be injected into one.

import MIME
import Testing

@Suite struct HeaderBlockTests {
    private let sample = crlf(
        """
        Received: from a
        \tby b
        Received : second
        From: Ann <ann@example.com>
        SUBJECT: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=
          =?utf-8?Q?_aus?=
         Wien
        Empty:
        X-Last: yes

        body: not a header

        """
    )

    @Test("fields are found with exact ranges")
    func ranges() throws {
        let block = try HeaderBlock.parse(sample)
        #expect(
            block.fields.map { block.name(of: $0) } == ["Received", "Received", "From", "SUBJECT", "Empty", "X-Last"])
        #expect(block.end == .blankLine)
        #expect(string(sample[block.bodyStart...]) == "body: not a header\r\n")
        let first = try #require(block.fields.first)
        #expect(string(sample[first.range]) == "Received: from a\r\n\tby b\r\n")
        #expect(string(sample[first.valueRange]) == " from a\r\n\tby b")
        // Fields side by side cover the whole header.
        let whole = block.fields.reduce(into: [UInt8]()) { $0 += sample[$1.range] } + [0x0D, 0x0A]
        #expect(whole == Array(sample[..<block.bodyStart]))
    }

    @Test("look-ups do not care about case; first is the topmost, all is in order")
    func lookups() throws {
        let block = try HeaderBlock.parse(sample)
        #expect(block.count(of: "RECEIVED") == 2)
        #expect(block.all("received").map { string(block.unfoldedValue(of: $0)) } == ["from a\tby b", "second"])
        #expect(block.decodedText("subject") == "Grüße aus Wien")
        #expect(block.decodedText("empty") == "")
        #expect(block.first("body") == nil)
        #expect(block.first("receive") == nil)
    }

    @Test(
        "what ends a header is told",
        arguments: [
            ("A: b\r\n\r\nx", HeaderBlock.End.blankLine, 8), ("A: b\n\nx", .blankLine, 6), ("A: b\r\n", .endOfInput, 6),
            ("A: b", .endOfInput, 4), ("", .endOfInput, 0), ("\r\nx", .blankLine, 2),
            ("A: b\r\nno field\r\n\r\n", .malformedLine(offset: 6), 6),
            (" folded\r\n\r\n", .malformedLine(offset: 0), 0),
            ("A: b\r\n: c\r\n", .malformedLine(offset: 6), 6), ("A b: c\r\n", .malformedLine(offset: 0), 0),
            ("A: b\r\n\rx\r\n", .malformedLine(offset: 6), 6), ("Ä: b\r\n", .malformedLine(offset: 0), 0),
            ("From ann Fri Nov 20\r\nA: b\r\n", .malformedLine(offset: 0), 0),
        ] as [(String, HeaderBlock.End, Int)])
    func ends(text: String, end: HeaderBlock.End, bodyStart: Int) throws {
        let block = try HeaderBlock.parse(bytes(text))
        #expect(block.end == end)
        #expect(block.bodyStart == bodyStart)
    }

    @Test("a line of nothing but space continues the field")
    func blankContinuation() throws {
        let block = try HeaderBlock.parse(bytes("A: b\r\n \r\nC: d\r\n\r\n"))
        #expect(block.fields.count == 2)
        #expect(block.decodedText("a") == "b")
    }

    @Test("parsing from an offset gives offsets into the whole")
    func offset() throws {
        let block = try HeaderBlock.parse(bytes("junkA: b\r\n\r\n"), from: 4)
        #expect(block.fields.first?.range == 4..<10)
        #expect(block.bodyStart == 12)
    }

    @Test("the limits on header size, line length and field count hold at exactly their value")
    func limits() throws {
        var limits = MIMELimits()
        limits.headerCount = 2
        #expect(throws: Never.self) { try HeaderBlock.parse(bytes("A: b\r\nC: d\r\n\r\n"), limits: limits) }
        #expect(code(try HeaderBlock.parse(bytes("A: b\r\nC: d\r\nE: f\r\n"), limits: limits)) == .tooManyHeaders)
        limits = MIMELimits()
        limits.headerBytes = 12
        #expect(throws: Never.self) { try HeaderBlock.parse(bytes("A: b\r\nC: d\r\n\r\n"), limits: limits) }
        #expect(code(try HeaderBlock.parse(bytes("A: b\r\nC: dd\r\n\r\n"), limits: limits)) == .headerTooLarge)
        limits = MIMELimits()
        limits.headerLineBytes = 6
        #expect(throws: Never.self) { try HeaderBlock.parse(bytes("A: bcd\r\n efghi\r\n"), limits: limits) }
        #expect(code(try HeaderBlock.parse(bytes("A: b\r\n 1234567\r\n"), limits: limits)) == .headerLineTooLong)
    }

    @Test("decoded text never has control characters")
    func decodedControls() throws {
        let block = try HeaderBlock.parse(bytes("A: a\u{1}b =?utf-8?Q?=0D=0A=00=1B?=\u{7F}\r\n\r\n"))
        #expect(block.decodedText("a") == "a\u{FFFD}b   \u{FFFD}\u{FFFD}\u{FFFD}")
    }

    @Test("raw 8-bit values are read as UTF-8, and as windows-1252 when they are not")
    func eightBit() throws {
        #expect(try HeaderBlock.parse(bytes("A: Grüße\r\n")).decodedText("a") == "Grüße")
        #expect(try HeaderBlock.parse(bytes("A: Gr") + [0xFC, 0xDF] + bytes("e\r\n")).decodedText("a") == "Grüße")
    }
}

@Suite struct HeaderConstructionTests {
    @Test("a value with a control character cannot be made", arguments: Array(UInt8(0)..<32) + [127])
    func controls(byte: UInt8) {
        let text = "a\(string([byte]))b"
        if byte == 9 {
            #expect(throws: Never.self) { try HeaderValue(text) }
        } else {
            #expect(code(try HeaderValue(text)) == .invalidHeaderValue)
        }
    }

    @Test("line ends of every kind are refused, at every place", arguments: ["\r", "\n", "\r\n", "\u{85}"])
    func lineEnds(lineEnd: String) {
        for text in [lineEnd, "a\(lineEnd)", "\(lineEnd)a", "a\(lineEnd) b", "a\(lineEnd)Bcc: x"] {
            #expect(throws: MIMEError.self) { try HeaderValue(text) }
        }
    }

    @Test(
        "a name is printable ASCII without a colon",
        arguments: ["", "a:", "a b", "a\r\nb", "ä", "a\0", String(repeating: "a", count: 129)])
    func names(name: String) {
        #expect(code(try HeaderName(name)) == .invalidHeaderName)
    }

    @Test("names are equal without regard to case")
    func nameEquality() throws {
        #expect(try HeaderName(String("X-Mailer")) == "x-mailer")
        #expect(Set<HeaderName>(["X-A", "x-a", "X-B"]).count == 2)
    }

    @Test("long values are folded at 78 columns and read back the same")
    func folding() throws {
        let text = (1...60).map { "word\($0)" }.joined(separator: " ")
        let rendered = try HeaderField(name: "X-Long", value: text).rendered
        let lines = string(rendered).split(separator: "\r\n")
        #expect(lines.count > 4)
        #expect(lines.allSatisfy { $0.utf8.count <= 78 })
        #expect(try HeaderBlock.parse(rendered).decodedText("x-long") == text)
    }

    @Test("spaces inside a value survive folding")
    func foldedSpaces() throws {
        let text = (1...40).map { "w\($0)" }.joined(separator: "   \t ")
        let rendered = try HeaderField(name: "X", value: text).rendered
        #expect(try string(HeaderBlock.parse(rendered).unfoldedValue("x") ?? []) == text)
        #expect(LineDiscipline.firstViolation(in: rendered, maximumLineLength: 78) == nil)
    }

    @Test("a word that cannot be folded may be 990 octets long, and no longer")
    func longWords() throws {
        let word = String(repeating: "a", count: 990)
        let name = String(repeating: "N", count: 128)
        let rendered = try HeaderField(name: name, value: word).rendered
        #expect(LineDiscipline.firstViolation(in: rendered) == nil)
        #expect(try string(HeaderBlock.parse(rendered).unfoldedValue(name) ?? []) == word)
        #expect(code(try HeaderValue(word + "a")) == .headerValueTooLong)
    }

    @Test("non-ASCII values become encoded words, ASCII ones go out as they are")
    func encoding() throws {
        let rendered = try HeaderField(name: "X-Note", value: "Grüße").rendered
        #expect(string(rendered) == "X-Note: =?utf-8?B?R3LDvMOfZQ==?=\r\n")
        #expect(
            try string(HeaderField(name: "X", value: "<https://a.example/=?x?=>").rendered)
                == "X: <https://a.example/=?x?=>\r\n")
    }
}

@Suite struct SubmissionHeadersTests {
    private func problems(_ text: String) throws -> [HeaderProblem] {
        SubmissionHeaders.check(try HeaderBlock.parse(crlf(text)))
    }

    @Test("a proper header has no problems")
    func good() throws {
        #expect(try problems("From: a@b.c\nTo: d@e.f\nSubject: s\nDate: x\nReceived: 1\nReceived: 2\n\n").isEmpty)
    }

    @Test("a missing From is found")
    func missing() throws {
        #expect(try problems("To: a@b.c\n\n") == [.missing("From")])
        #expect(try problems("") == [.missing("From")])
    }

    @Test(
        "each field that may stand once is found when it stands twice, however it is written",
        arguments: [
            "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
            "Date",
            "MIME-Version", "Content-Type",
        ])
    func repeated(name: String) throws {
        let text =
            (name == "From" ? "" : "From: a@b.c\n")
            + "\(name.lowercased()): x\n\(name.uppercased()) : y\n\(name): z\n\n"
        let found = try problems(text)
        #expect(found.count == 1)
        guard case .repeated(name, count: 3, let offset) = found.first else {
            Issue.record("found \(found)")
            return
        }
        #expect(string(crlf(text)[offset...]).hasPrefix(name.uppercased()))
    }

    @Test("a line that readers may disagree about is found")
    func malformed() throws {
        #expect(try problems("From: a@b.c\nnot a field\nFrom: evil@b.c\n\n") == [.malformedLine(offset: 13)])
        #expect(try problems(" From: a@b.c\n\n") == [.malformedLine(offset: 0), .missing("From")])
    }
}

@Suite struct HeaderEditTests {
    private let message = crlf(
        "Return-Path: <x>\nFrom: a@b.c\nBcc: secret@b.c,\n more@b.c\nX-MQ-Tag: 1\nbcc : again\n\nBcc: body\n")

    @Test("fields are removed with their folds, all else stays byte for byte")
    func removing() throws {
        let edit = HeaderEdit(removing: ["bcc", "return-path", "x-mq-*"])
        let block = try HeaderBlock.parse(message)
        #expect(string(edit.apply(to: block)) == "From: a@b.c\r\n\r\nBcc: body\r\n")
    }

    @Test("new fields stand at the top in their order")
    func prepending() throws {
        let edit = try HeaderEdit(
            removing: [], prepending: [.init(name: "A", value: "1"), .init(name: "B", value: "2")])
        #expect(edit.apply(to: try HeaderBlock.parse(message)) == bytes("A: 1\r\nB: 2\r\n") + message)
    }

    @Test(
        "an empty edit changes nothing, whatever the bytes", arguments: ["", "\r\n", "x", "A: b", "A:\0\n\rx: y\n\n\n"])
    func nothing(text: String) throws {
        #expect(HeaderEdit().apply(to: try HeaderBlock.parse(bytes(text))) == bytes(text))
    }

    @Test("a body that begins with a space cannot become part of our field")
    func leadingSpace() throws {
        let edit = try HeaderEdit(prepending: [.init(name: "A", value: "1")])
        let edited = edit.apply(to: try HeaderBlock.parse(bytes(" sneaky\r\n")))
        #expect(try HeaderBlock.parse(edited).decodedText("a") == "1")
    }

    @Test("a prefix does not match its stem without the dash, nor the other way round")
    func prefixes() throws {
        let block = try HeaderBlock.parse(bytes("X-MQ: 1\r\nX-MQ-: 2\r\nX-MQ-A: 3\r\n\r\n"))
        #expect(string(HeaderEdit(removing: ["x-mq-*"]).apply(to: block)) == "X-MQ: 1\r\n\r\n")
        #expect(string(HeaderEdit(removing: ["x-mq"]).apply(to: block)) == "X-MQ-: 2\r\nX-MQ-A: 3\r\n\r\n")
    }
}
