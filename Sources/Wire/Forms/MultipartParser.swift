// multipart/form-data (RFC 7578) over bytes that are all there: delimiters, header lines, fields. One pass: a delimiter
// starts with a CR and holds no other, so that attempts at a match never overlap.

struct MultipartParser {
    private let bytes: UnsafeRawBufferPointer
    private let limits: FormLimits
    /// CR LF `--` boundary.
    private let delimiter: [UInt8]
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer, boundary: [UInt8], limits: FormLimits) {
        self.bytes = bytes
        self.limits = limits
        delimiter = [0x0D, 0x0A, UInt8(ascii: "-"), UInt8(ascii: "-")] + boundary
    }

    /// What follows a delimiter.
    private enum Following {
        case part
        case end
    }

    mutating func form() throws(FormError) -> Form {
        // The first delimiter needs no line break before it; nothing else may stand there.
        if starts(with: delimiter[2...], at: 0) {
            position = delimiter.count - 2
        } else if starts(with: delimiter[...], at: 0) {
            position = delimiter.count
        } else {
            throw failure("the form does not begin with its boundary")
        }
        var fields: [FormField] = []
        while try following() == .part {
            guard fields.count < limits.fields else {
                throw FormError(.tooLarge, "the form has more than \(limits.fields) fields", offset: position)
            }
            fields.append(try field())
        }
        guard bytes[position...].allSatisfy({ $0.isBlank || $0 == 0x0D || $0 == 0x0A }) else {
            throw failure("text follows the last boundary")
        }
        return Form(fields)
    }

    private func failure(_ message: String) -> FormError { FormError(.malformed, message, offset: position) }

    private func starts(with prefix: ArraySlice<UInt8>, at index: Int) -> Bool {
        guard bytes.count - index >= prefix.count else { return false }
        var place = index
        for byte in prefix {
            guard bytes[place] == byte else { return false }
            place += 1
        }
        return true
    }

    /// The rest of a delimiter's line: `--` for the last one, else blanks and a line break.
    private mutating func following() throws(FormError) -> Following {
        if starts(with: [UInt8(ascii: "-"), UInt8(ascii: "-")], at: position) {
            position += 2
            return .end
        }
        while position < bytes.count, bytes[position].isBlank { position += 1 }
        guard starts(with: [0x0D, 0x0A], at: position) else {
            throw failure(
                position < bytes.count ? "a boundary does not end its line" : "the form ends without its last boundary")
        }
        position += 2
        return .part
    }

    private mutating func field() throws(FormError) -> FormField {
        let start = position
        let headers = try partHeaders()
        let content = try content()
        guard !headers.isFile else {
            return FormField(
                name: headers.name,
                value: .file(filename: headers.filename, contentType: headers.contentType, bytes: Array(content)))
        }
        guard let text = String(validating: content, as: UTF8.self) else {
            throw FormError(.malformed, "a form field is not UTF-8", offset: start)
        }
        return FormField(headers.name, text)
    }

    private mutating func partHeaders() throws(FormError) -> MultipartHeaders {
        var headers = MultipartHeaders(offset: position)
        var count = 0
        let start = position
        while true {
            let line = try headerLine(from: start)
            guard !line.isEmpty else {
                try headers.finish(limits)
                return headers
            }
            count += 1
            guard count <= limits.partHeaders else {
                throw FormError(
                    .tooLarge, "a part has more than \(limits.partHeaders) header lines", offset: position)
            }
            try headers.read(line[...])
        }
    }

    /// One line without its CR LF, which alone ends it.
    private mutating func headerLine(from start: Int) throws(FormError) -> [UInt8] {
        let begin = position
        while position < bytes.count {
            guard position - start <= limits.partHeaderBytes else {
                throw FormError(
                    .tooLarge, "the header lines of a part have more than \(limits.partHeaderBytes) bytes",
                    offset: start)
            }
            let byte = bytes[position]
            if byte == 0x0D, position + 1 < bytes.count, bytes[position + 1] == 0x0A {
                defer { position += 2 }
                return Array(bytes[begin..<position])
            }
            guard byte >= 0x20 || byte == 0x09, byte != 0x7F else {
                throw failure("a control character in the header lines of a part")
            }
            position += 1
        }
        throw failure("the form ends within the header lines of a part")
    }

    /// The bytes up to the next delimiter, which is passed. Content that is not there at all leaves the line break of the
    /// header lines' end to the delimiter.
    private mutating func content() throws(FormError) -> Slice<UnsafeRawBufferPointer> {
        let start = position
        if starts(with: delimiter[2...], at: start) {
            position = start + delimiter.count - 2
            return bytes[start..<start]
        }
        var index = start
        while index <= bytes.count - delimiter.count {
            if bytes[index] == 0x0D, starts(with: delimiter[...], at: index) {
                position = index + delimiter.count
                return bytes[start..<index]
            }
            index += 1
        }
        throw failure("the form ends without its last boundary")
    }
}
