// The fuzz target of the MIME parsers: any bytes at all, and what must hold for each of them.
// Built together with the sources of the module, see Fuzz/run.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzMIME(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: size))
    fuzzMessage(bytes)
    fuzzAddresses(bytes)
    fuzzLines(bytes)
    fuzzCodecs(bytes)
    fuzzText(bytes)
    return 0
}

private func check(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("broken promise: \(what)") }
}

private func fuzzMessage(_ bytes: [UInt8]) {
    if let block = try? HeaderBlock.parse(bytes) {
        var position = 0
        for field in block.fields {
            check(field.range.lowerBound == position, "fields follow each other")
            check(field.range.contains(field.nameRange.lowerBound), "a name lies in its field")
            check(field.nameRange.upperBound < field.valueRange.lowerBound, "a value stands behind its name")
            check(field.valueRange.upperBound <= field.range.upperBound, "a value ends in its field")
            position = field.range.upperBound
            check(!block.decodedText(of: field).utf8.contains { $0 < 0x20 }, "decoded text has no controls")
            _ = ContentType(parsing: block.unfoldedValue(of: field))
            _ = ContentDisposition(parsing: block.unfoldedValue(of: field))
            _ = try? AddressList.parse(block.unfoldedValue(of: field))
        }
        check(block.bodyStart >= position && block.bodyStart <= bytes.count, "the body follows the header")
        check(HeaderEdit().apply(to: block) == bytes, "no edit changes nothing")
        _ = SubmissionHeaders.check(block)
        let edit = HeaderEdit(removing: ["Bcc", "x-*"], prepending: [HeaderField("X-A", HeaderValue(trusted: "b"))])
        if let edited = try? HeaderBlock.parse(edit.apply(to: block)) {
            check(edited.count(of: "bcc") == 0, "removed fields are gone")
            check(edited.first("x-a").map { edited.decodedText(of: $0) } == "b", "an added field stands for itself")
        }
    }
    guard let message = try? MIMEMessage.parse(bytes) else { return }
    checkPart(message.root, inside: 0..<bytes.count, bytes)
    _ = (message.from, message.sender, message.replyTo, message.to, message.cc, message.bcc)
    _ = (message.subject, message.date, message.messageID, message.references, message.inReplyTo)
    _ = (message.text, message.html)
    for part in message.attachments { _ = (part.filename, part.contentID) }
}

private func checkPart(_ part: MIMEPart, inside range: Range<Int>, _ bytes: [UInt8]) {
    check(range.lowerBound <= part.range.lowerBound && part.range.upperBound <= range.upperBound, "parts nest")
    check(part.headerRange.lowerBound == part.range.lowerBound, "a part begins with its header")
    check(part.headerRange.upperBound == part.bodyRange.lowerBound, "the body follows the header")
    check(part.bodyRange.upperBound == part.range.upperBound, "a part ends with its body")
    if part.isLeaf { _ = part.text(in: bytes) }
    var position = part.bodyRange.lowerBound
    for child in part.children {
        check(child.range.lowerBound >= position, "parts do not overlap")
        position = child.range.upperBound
        checkPart(child, inside: part.bodyRange, bytes)
    }
}

private func fuzzAddresses(_ bytes: [UInt8]) {
    if let address = try? EmailAddress(parsing: bytes) { checkAddress(address) }
    guard let entries = try? AddressList.parse(bytes) else { return }
    for mailbox in entries.mailboxes {
        checkAddress(mailbox.address)
        let form = Array(mailbox.headerForm.utf8)
        check(!form.contains { $0 == .cr || $0 == .lf || $0 == 0 }, "a mailbox holds no line end")
        let again = (try? AddressList.parse(form))?.mailboxes
        check(again?.count == 1, "a rendered mailbox is one mailbox")
        check(again?.first?.address.wireForm == mailbox.address.wireForm, "an address survives its rendering")
        if let name = mailbox.name, name.utf8.count <= Mailbox.maximumName {
            check(again?.first?.name == name, "a name survives its rendering")
        }
    }
}

private func checkAddress(_ address: EmailAddress) {
    check(!address.description.utf8.contains { $0 < 0x20 || $0 == 0x7F }, "an address has no controls")
    check((try? EmailAddress(parsing: address.description)) == address, "an address survives its rendering")
    let wire = try? EmailAddress(parsing: address.wireForm)
    check(wire?.comparisonKey == address.comparisonKey, "the wire form is the same mailbox")
    check(address.asciiDomain.utf8.allSatisfy { $0 < 0x80 }, "an A-label is ASCII")
}

private func fuzzLines(_ bytes: [UInt8]) {
    let whole = LineDiscipline.firstViolation(in: bytes)
    var scanner = LineScanner()
    var found: LineViolation?
    var index = 0
    var step = 1
    while index < bytes.count, found == nil {
        let end = min(index + step, bytes.count)
        found = Array(bytes[index..<end]).withUnsafeBufferPointer { scanner.scan($0) }
        index = end
        step = step % 7 + 1
    }
    check((found ?? scanner.finish()) == whole, "pieces are judged as the whole")
    let normal = LineDiscipline.normalizingBareNewlines(bytes)
    let violation = LineDiscipline.firstViolation(in: normal, maximumLineLength: nil)
    check(violation == nil || violation?.kind == .nul, "normalised lines are clean")
}

private func fuzzCodecs(_ bytes: [UInt8]) {
    let lines = Base64.encodeLines(bytes)
    check(Base64.decode(lines) == bytes, "base64 goes round")
    check(Base64.decodeLeniently(lines) == bytes, "base64 goes round, leniently")
    if let strict = Base64.decode(bytes) { check(Base64.decodeLeniently(bytes) == strict, "both decoders agree") }
    _ = Base64.decodeLeniently(bytes)
    let quoted = QuotedPrintable.encode(bytes)
    check(QuotedPrintable.decode(quoted) == bytes, "quoted-printable goes round")
    check(LineDiscipline.firstViolation(in: quoted, maximumLineLength: 76) == nil, "quoted-printable is clean")
    _ = QuotedPrintable.decode(bytes)
    if let date = MailDate(parsing: bytes), MailDate.representable.contains(date.unixSeconds) {
        check(MailDate(parsing: date.description)?.unixSeconds == date.unixSeconds, "a date goes round")
    }
    _ = EncodedWord.decode(bytes)
    if let type = ContentType(parsing: bytes), let again = ContentType(parsing: type.description) {
        check(again.description == type.description, "a written content type is stable")
    }
}

private func fuzzText(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    if let domain = EmailAddress.normalizedDomain(text) {
        check(EmailAddress.normalizedDomain(domain) == domain, "a normal domain is normal")
    }
    if let value = try? HeaderValue(text) {
        let rendered = HeaderField("X-Fuzz", value).rendered
        check(LineDiscipline.firstViolation(in: rendered) == nil, "a rendered field is clean")
        let block = try? HeaderBlock.parse(rendered)
        check(block?.fields.count == 1, "one field in, one field out")
        if !EncodedWord.looksEncoded(Array(value.text.utf8)), !value.text.utf8.contains(.tab) {
            check(block?.decodedText("x-fuzz") == value.text, "text survives its rendering")
        }
    }
    guard let address = try? EmailAddress(localPart: "a", domain: "example.com") else { return }
    var builder = MIMEBuilder(from: Mailbox(address), messageID: "a@b", date: 0, boundarySeed: "")
    builder.subject = text
    builder.text = text
    builder.html = bytes.count % 2 == 0 ? text : nil
    builder.eightBit = bytes.count % 3 == 0
    builder.attachments = [.init(filename: text, contentType: "text/plain", bytes: bytes)]
    guard let built = buildWithoutRefusedNames(&builder), let parsed = try? MIMEMessage.parse(built) else { return }
    check(LineDiscipline.firstViolation(in: built) == nil, "a built message is clean")
    let lines = String(decoding: LineDiscipline.normalizingBareNewlines(text), as: UTF8.self).withPlainNewlines
    check(parsed.text == lines, "text comes back")
    check(parsed.attachments.count == 1, "one attachment comes back")
    check(parsed.attachments.first.map { parsed.decodedBody(of: $0) } == bytes, "an attachment comes back")
    if let filename = builder.attachments[0].filename {
        check(parsed.attachments.first?.filename == filename, "a filename comes back")
    }
}

/// Subjects and filenames with control characters are refused, which is as it should be.
private func buildWithoutRefusedNames(_ builder: inout MIMEBuilder) -> [UInt8]? {
    if let built = try? builder.build() { return built }
    builder.subject = nil
    builder.attachments[0].filename = nil
    let built = try? builder.build()
    check(built != nil, "text and bytes can always be sent")
    return built
}
