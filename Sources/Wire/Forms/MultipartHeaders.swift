// The header lines of one part of a form: only Content-Disposition, Content-Type and Content-Transfer-Encoding mean
// anything there (RFC 7578 §4.8); others are passed over, as that section asks.

struct MultipartHeaders {
    private(set) var name = ""
    private(set) var filename: String?
    private(set) var contentType: String?
    /// Whether the content is bytes; text otherwise.
    private(set) var isFile = false
    private let offset: Int
    private var disposition: HeaderParameters?
    private var encoding: String?

    init(offset: Int) { self.offset = offset }

    private func failure(_ message: String) -> FormError { FormError(.malformed, message, offset: offset) }

    mutating func read(_ line: ArraySlice<UInt8>) throws(FormError) {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex,
            line[..<colon].allSatisfy(\.isToken)
        else { throw failure("a header line of a part is not a name, a colon and a value") }
        let value = HeaderParameters.trimmed(line[(colon + 1)...])
        switch HeaderParameters.lowercased(line[..<colon]) {
        case "content-disposition":
            guard disposition == nil else { throw failure("a part has two Content-Disposition lines") }
            disposition = try HeaderParameters(value, offset: offset)
        case "content-type":
            guard contentType == nil else { throw failure("a part has two Content-Type lines") }
            guard let text = String(validating: value, as: UTF8.self) else {
                throw failure("the Content-Type of a part is not UTF-8")
            }
            contentType = text
        case "content-transfer-encoding":
            guard encoding == nil else { throw failure("a part has two Content-Transfer-Encoding lines") }
            encoding = HeaderParameters.lowercased(value)
        default: break
        }
    }

    /// What the lines say together.
    mutating func finish(_ limits: FormLimits) throws(FormError) {
        guard let disposition, disposition.value == "form-data" else {
            throw failure("a part has no Content-Disposition of form-data")
        }
        guard let name = disposition["name"], !name.isEmpty else { throw failure("a part has no name") }
        guard name.utf8.count <= limits.nameBytes else {
            throw FormError(
                .tooLarge, "the name of a form field has more than \(limits.nameBytes) bytes", offset: offset)
        }
        guard encoding == nil || ["7bit", "8bit", "binary"].contains(encoding) else {
            throw failure("a part has a Content-Transfer-Encoding, which RFC 7578 section 4.7 does not allow")
        }
        self.name = name
        filename = disposition["filename"]
        guard (filename?.utf8.count ?? 0) <= limits.filenameBytes else {
            throw FormError(.tooLarge, "a file name has more than \(limits.filenameBytes) bytes", offset: offset)
        }
        // `||` would lose the type of the error.
        isFile = if filename != nil { true } else { try isBinary() }
    }

    /// Without a file name the type decides: texts and JSON are fields, whatever else is a file.
    private func isBinary() throws(FormError) -> Bool {
        guard let contentType else { return false }
        let type = try HeaderParameters(Array(contentType.utf8)[...], offset: offset)
        guard !type.value.hasPrefix("multipart/") else {
            throw failure("a part holds parts of its own, which RFC 7578 section 4.3 does not allow")
        }
        guard type.value.hasPrefix("text/") || type.value == "application/json" else { return true }
        guard ["utf-8", "us-ascii"].contains(type["charset"]?.lowercased() ?? "utf-8") else {
            throw failure("a text field is not in UTF-8")
        }
        return false
    }
}
