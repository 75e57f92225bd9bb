// What must hold for any input, tried with a seeded generator: the same thousands of inputs in every run.

import MIME
import Testing

@Suite struct PropertyTests {
    @Test("codecs undo themselves", arguments: 1...4 as ClosedRange<UInt64>)
    func codecs(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let count = Int.random(in: 0...300, using: &generator)
            let raw = generator.bytes(count, from: seed % 2 == 0 ? Array(0...255) : bytes("=\r\n \t.Fr\0ab"))
            #expect(Base64.decode(Base64.encode(raw)) == raw)
            #expect(Base64.decode(Base64.encodeLines(raw)) == raw)
            #expect(Base64.decodeLeniently(Base64.encodeLines(raw)) == raw)
            let quoted = QuotedPrintable.encode(raw)
            #expect(QuotedPrintable.decode(quoted) == raw)
            #expect(LineDiscipline.firstViolation(in: quoted, maximumLineLength: 76) == nil)
        }
    }

    @Test("text survives every place that it can stand in", arguments: 1...4 as ClosedRange<UInt64>)
    func text(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let plain = try address("ann@example.com")
        for _ in 0..<300 {
            let text = generator.text(Int.random(in: 0...120, using: &generator))
            #expect(EncodedWord.decode(EncodedWord.encode(text)) == text)
            let parameter = ParameterEncoder.encode(name: "x", value: text.filter { $0 != "\t" }).joined(
                separator: "; ")
            #expect(ContentType(parsing: "a/b; " + parameter)?.parameter("x") == text.filter { $0 != "\t" })
            let mailbox = try Mailbox(name: text.filter { $0 != "\t" }, address: plain)
            #expect(try AddressList.parseMailbox(mailbox.headerForm) == mailbox)
            let field = try HeaderField(name: "X-Text", value: text)
            if !text.contains("\t") {
                #expect(try HeaderBlock.parse(field.rendered).decodedText("x-text") == field.value.text)
            }
            #expect(LineDiscipline.firstViolation(in: field.rendered) == nil)
        }
    }

    @Test("local parts survive their quoting", arguments: 1...4 as ClosedRange<UInt64>)
    func localParts(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let local = string(generator.bytes(Int.random(in: 1...30, using: &generator), from: Array(0x20..<0x7F)))
            let made = try EmailAddress(localPart: local, domain: "example.com")
            #expect(try address(made.description) == made)
            #expect(try AddressList.parseMailbox("<\(made)>").address == made)
            #expect(try AddressList.parse("x <\(made)>, \(made)").mailboxes.map(\.address) == [made, made])
        }
    }

    @Test("a built message is clean and reads back as what went in", arguments: 1...4 as ClosedRange<UInt64>)
    func messages(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            var builder = MIMEBuilder(
                from: Mailbox(try address("ann@example.com")), messageID: "\(seed)@example.com", date: Int64(seed),
                boundarySeed: "\(seed)")
            func body() -> String? {
                guard Bool.random(using: &generator) else { return nil }
                return (0..<Int.random(in: 0...20, using: &generator)).map { _ in
                    generator.text(Int.random(in: 0...90, using: &generator))
                        + (Bool.random(using: &generator) ? "\n" : "\r\n")
                }.joined()
            }
            builder.subject = generator.text(60)
            builder.text = body()
            builder.html = body()
            builder.eightBit = Bool.random(using: &generator)
            builder.attachments = (0..<Int.random(in: 0...3, using: &generator)).map { index in
                .init(
                    filename: "f\(index) " + generator.text(20).filter { $0 != "\t" } + "x",
                    contentType: "application/x-\(index)",
                    bytes: generator.bytes(Int.random(in: 0...200, using: &generator), from: Array(0...255)),
                    contentID: index == 1 ? "id\(index)" : nil
                )
            }
            let built = try builder.build()
            #expect(LineDiscipline.firstViolation(in: built) == nil)
            let message = try MIMEMessage.parse(built)
            #expect(message.html == builder.html.map(\.replacingCRLF))
            if let text = builder.text { #expect(message.text == text.replacingCRLF) }
            let found = Set(message.attachments.map { "\($0.filename ?? "") \(message.decodedBody(of: $0))" })
            #expect(found == Set(builder.attachments.map { "\($0.filename ?? "") \($0.bytes)" }))
        }
    }

    @Test(
        "editing removes what it names, keeps the rest, and never touches the body",
        arguments: 1...4 as ClosedRange<UInt64>)
    func edits(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var kept = ""
            var all = ""
            for _ in 0..<Int.random(in: 0...12, using: &generator) {
                let name = ["A", "Bcc", "BCC", "X-MQ-1", "To"].randomElement(using: &generator) ?? "A"
                let field = "\(name): v\(Bool.random(using: &generator) ? "\r\n folded" : "")\r\n"
                all += field
                if name == "A" || name == "To" { kept += field }
            }
            let body = "\r\nBcc: body\r\n" + string(generator.bytes(20, from: bytes("ab\r\n:")))
            let edited = HeaderEdit(removing: ["bcc", "x-mq-*"]).apply(to: try HeaderBlock.parse(bytes(all + body)))
            #expect(string(edited) == kept + body)
        }
    }
}
