// The fuzz target of the parsers behind the providers' doors: forms in both encodings and Odoo's Python literals. Any
// bytes at all, and what must hold for each of them. Built together with the parsers' sources, see Fuzz/run.

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzForms(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    let bytes = Array(UnsafeBufferPointer(start: data, count: size))
    fuzzURLEncoded(bytes)
    fuzzMultipart(bytes)
    fuzzTyped(bytes)
    fuzzWritten(bytes)
    fuzzLiteral(bytes)
    return 0
}

func check(_ condition: Bool, _ what: StaticString) {
    if !condition { fatalError("broken promise: \(what)") }
}

/// Some inputs are repeated up to this size: what takes time by the square of it runs into libFuzzer's -timeout.
let manyBytes = 1 << 17

func isAmplified(_ bytes: [UInt8]) -> Bool { !bytes.isEmpty && bytes.count % 16 == 0 }

private func fuzzURLEncoded(_ bytes: [UInt8]) {
    let form = read(bytes.count) { () throws(FormError) in try FormParser.urlencoded(bytes) }
    checkLimits(form, bytes.count) { limits throws(FormError) in try FormParser.urlencoded(bytes, limits: limits) }

    // Each field is read by itself.
    let pieces = bytes.split(separator: UInt8(ascii: "&")).map { try? FormParser.urlencoded(Array($0)) }
    check((form == nil) == pieces.contains { $0 == nil }, "a form is good when each of its fields is")
    guard let form else { return }
    check(flat(form) == pieces.flatMap { $0.map(flat) ?? [] }, "a form is its fields")

    for spaces in ["+", "%20"] {
        let again = try? FormParser.urlencoded(FormText.urlencoded(form, space: spaces))
        check(again.map(flat) == flat(form), "a written form is the same form")
    }
    guard isAmplified(bytes) else { return }
    let count = min(manyBytes / bytes.count, FormLimits().fields / max(form.fields.count, 1))
    let many = try? FormParser.urlencoded(Array(repeatElement(bytes, count: count).joined(separator: "&".utf8)))
    check(many?.fields.count == count * form.fields.count, "fields are added up")
}

/// The first line is the boundary, as it is in each form that is sent.
private func fuzzMultipart(_ bytes: [UInt8]) {
    guard bytes.starts(with: "--".utf8) else { return }
    var line = bytes[2...].prefix { $0 != 0x0D && $0 != 0x0A }
    while let last = line.last, last.isBlank || last == UInt8(ascii: "-") { line.removeLast() }
    guard let boundary = String(validating: line, as: UTF8.self) else { return }
    let type = "multipart/form-data; boundary=\"\(boundary)\""
    let form = read(bytes.count) { () throws(FormError) in try FormParser.multipart(bytes, contentType: type) }
    checkLimits(form, bytes.count) { limits throws(FormError) in
        try FormParser.multipart(bytes, contentType: type, limits: limits)
    }
    guard let form else { return }
    let delimiter = Array("\r\n--\(boundary)".utf8)
    for content in form.fields.map({ content($0.value) }) {
        check(!holds(content, delimiter), "a field ends at its boundary")
        check(!content.starts(with: delimiter[2...]), "a field without content is empty")
    }
    for style in FormText.NameStyle.allCases {
        let text = FormText.multipart(form, boundary: boundary, style)
        let again = try? FormParser.multipart(text, contentType: type, limits: FormText.limits)
        check(again.map(flat) == flat(form), "a written form is the same form")
    }

    // The last boundary is all that may follow the parts, but for blanks.
    let end = (bytes.lastIndex { !$0.isBlank && $0 != 0x0D && $0 != 0x0A } ?? 0) + 1
    let parts = bytes[..<(end - boundary.utf8.count - 4)]
    let closing = Array("--\(boundary)--".utf8)
    check(bytes[parts.endIndex..<end].elementsEqual(closing), "a form ends with its last boundary")
    for missing in 1...2 {
        let short = try? FormParser.multipart(Array(parts + closing.dropLast(missing)), contentType: type)
        check(short == nil, "a form that is cut short is refused")
    }
    let more = isAmplified(bytes) ? min(manyBytes / bytes.count, FormLimits().fields / max(form.fields.count, 1)) : 2
    let repeated = Array(repeatElement(parts, count: max(more, 2)).joined()) + closing
    let many = read(repeated.count) { () throws(FormError) in try FormParser.multipart(repeated, contentType: type) }
    check(
        many.map(flat) == Array(repeatElement(flat(form), count: max(more, 2)).joined())
            || form.fields.count * 2 > FormLimits().fields,
        "parts are added up")
}

/// The first line is the Content-Type, the rest its body.
private func fuzzTyped(_ bytes: [UInt8]) {
    let line = bytes.prefix { $0 != 0x0D && $0 != 0x0A }
    guard line.count < bytes.count else { return }
    let type = String(decoding: line, as: UTF8.self)
    let body = Array(bytes[(line.count + (bytes[line.count...].starts(with: "\r\n".utf8) ? 2 : 1))...])
    let form = read(body.count) { () throws(FormError) in try FormParser.form(body, contentType: type) }
    if let multipart = try? FormParser.multipart(body, contentType: type) {
        check(form.map(flat) == flat(multipart), "a form that can be read is taken for a form")
    }
    if let boundary = try? MultipartBoundary.boundary(of: type) {
        check((1...70).contains(boundary.count), "a boundary has 1 to 70 bytes")
        let again = FormText.quoted(String(decoding: boundary, as: UTF8.self))
        let written = try? MultipartBoundary.boundary(of: "Multipart/Form-Data ;a=b;; BOUNDARY = \(again) ;")
        check(written == boundary, "a written boundary is the same boundary")
    }
}

/// The first byte separates the rest into names, file names and contents; the form that is made of them has to be read.
private func fuzzWritten(_ bytes: [UInt8]) {
    guard let separator = bytes.first else { return }
    let pieces = bytes.dropFirst().split(separator: separator, omittingEmptySubsequences: false)
    var fields: [FormField] = []
    var texts: [FormField] = []
    for start in stride(from: 0, to: pieces.count - 2, by: 3) {
        let (content, filename) = (Array(pieces[start + 2]), String(validating: pieces[start + 1], as: UTF8.self))
        guard let name = String(validating: pieces[start], as: UTF8.self), (1...1024).contains(name.utf8.count),
            filename?.utf8.count ?? 0 <= 1024,
            ![name, filename].contains(where: { $0.map(FormText.isEscaped) ?? false })
        else { continue }
        if let text = String(validating: content, as: UTF8.self) {
            texts.append(FormField(name, text))
            fields.append(FormField(name, text))
        }
        let type = "application/octet-stream"
        fields.append(FormField(name: name, value: .file(filename: filename, contentType: type, bytes: content)))
    }
    let form = Form(texts)
    let encoded = try? FormParser.urlencoded(FormText.urlencoded(form, space: "+"))
    check(encoded.map(flat) == flat(form), "any text can be sent in a form")
    guard !holds(bytes, Array("--fuzz".utf8)) else { return }
    for style in FormText.NameStyle.allCases {
        let text = FormText.multipart(Form(fields), boundary: "fuzz", style)
        let type = "multipart/form-data; boundary=fuzz"
        let again = try? FormParser.multipart(text, contentType: type, limits: FormText.limits)
        check(again.map(flat) == flat(Form(fields)), "any bytes can be sent in a form")
    }
}

// MARK: - What holds for every form

private func read(_ size: Int, _ parse: () throws(FormError) -> Form) -> Form? {
    do throws(FormError) {
        let form = try parse()
        checkForm(form, size)
        return form
    } catch {
        check((0...size).contains(error.offset ?? 0), "an error stands within the body")
        check([.malformed, .tooLarge, .notAForm].contains(error.code), "an error is one of three")
        check(error.description.utf8.allSatisfy { (0x20..<0x7F).contains($0) }, "an error holds nothing of the body")
        check(error.description.utf8.count < 200, "an error is one sentence")
        return nil
    }
}

private func checkForm(_ form: Form, _ size: Int) {
    let limits = FormLimits()
    check(form.fields.count <= limits.fields, "a form has no more fields than are allowed")
    check(flat(form).reduce(0) { $0 + $1.bytes } <= size, "a form is not larger than its body")
    check(form.fields.allSatisfy { (1...limits.nameBytes).contains($0.name.utf8.count) }, "each field has a name")
    check(Set(form.names).count == form.names.count, "a name is listed once")
    var count = 0
    for name in form.names {
        let values = form.values(name)
        check(form.texts(name).count + form.files(name).count == values.count, "a value is a text or a file")
        check(form.text(name) == form.texts(name).first, "the first text is the first of the texts")
        count += values.count
    }
    check(count == form.fields.count, "each field is found by its name")
}

/// Limits change nothing but whether a form is read.
private func checkLimits(_ form: Form?, _ size: Int, _ parse: (FormLimits) throws(FormError) -> Form) {
    var limits = FormLimits(bytes: 512)
    (limits.fields, limits.nameBytes, limits.filenameBytes) = (3, 6, 6)
    (limits.partHeaders, limits.partHeaderBytes) = (2, 80)
    do throws(FormError) {
        let small = try parse(limits)
        check(form.map(flat) == flat(small), "a smaller limit reads nothing else")
        check(size <= limits.bytes && small.fields.count <= limits.fields, "limits of the form hold")
        for field in small.fields {
            check(field.name.utf8.count <= limits.nameBytes, "a limit of names holds")
            guard case .file(let filename, _, _) = field.value else { continue }
            check(filename?.utf8.count ?? 0 <= limits.filenameBytes, "a limit of file names holds")
        }
    } catch {
        check(form == nil || error.code == .tooLarge, "what limits refuse is too large")
    }
}

/// A field by its bytes: strings are equal too when they are only equivalent.
private struct FlatField: Equatable {
    let name: [UInt8]
    let isFile: Bool
    let filename: [UInt8]?
    let contentType: [UInt8]?
    let content: [UInt8]

    var bytes: Int { name.count + (filename?.count ?? 0) + (contentType?.count ?? 0) + content.count }
}

private func flat(_ form: Form) -> [FlatField] {
    form.fields.map { field in
        guard case .file(let filename, let contentType, let bytes) = field.value else {
            let content = content(field.value)
            return FlatField(
                name: Array(field.name.utf8), isFile: false, filename: nil, contentType: nil, content: content)
        }
        return FlatField(
            name: Array(field.name.utf8), isFile: true, filename: filename.map { Array($0.utf8) },
            contentType: contentType.map { Array($0.utf8) }, content: bytes)
    }
}

private func content(_ value: FormField.Value) -> [UInt8] {
    switch value {
    case .text(let text): Array(text.utf8)
    case .file(_, _, let bytes): bytes
    }
}

private func holds(_ bytes: [UInt8], _ words: [UInt8]) -> Bool {
    guard bytes.count >= words.count else { return false }
    return (0...(bytes.count - words.count)).contains { index in
        bytes[index] == words[0] && bytes[index...].starts(with: words)
    }
}
