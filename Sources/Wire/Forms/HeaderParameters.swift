// `value; name=value; name="value"; name*=utf-8''value`: the fields of multipart headers. Strict: a form is written by a
// program, and whatever can be read in two ways is refused.

struct HeaderParameters {
    /// The value before the first `;`, in lower case.
    let value: String
    /// In lower case; the extended form `name*` stands under its plain name and wins.
    private let parameters: [String: String]

    /// The value of a field before its parameters, in lower case: `multipart/form-data`.
    static func essence(of field: String) -> String {
        let bytes = field.utf8.prefix { $0 != UInt8(ascii: ";") }
        return Self.lowercased(trimmed(Array(bytes)[...]))
    }

    subscript(name: String) -> String? { parameters[name] }

    /// - Throws: `malformed` for what is not `name=value`, a name that stands twice, an open quote, a bad `%XX`, or text
    ///   that is not UTF-8.
    init(_ field: ArraySlice<UInt8>, offset: Int) throws(FormError) {
        let failure = { (message: String) in FormError(.malformed, message, offset: offset) }
        var plain: [String: String] = [:]
        var extended: [String: String] = [:]
        var index = field.firstIndex(of: UInt8(ascii: ";")) ?? field.endIndex
        value = Self.lowercased(Self.trimmed(field[..<index]))
        while index < field.endIndex {
            index += 1
            let end =
                field[index...].firstIndex { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ";") } ?? field.endIndex
            let nameBytes = Self.trimmed(field[index..<end])
            if nameBytes.isEmpty, end == field.endIndex || field[end] == UInt8(ascii: ";") {
                index = end
                continue
            }
            let name = Self.lowercased(nameBytes)
            guard !name.isEmpty, nameBytes.allSatisfy(\.isToken) else {
                throw failure("a parameter of a header line has no proper name")
            }
            guard end < field.endIndex, field[end] == UInt8(ascii: "=") else {
                throw failure("a parameter of a header line has no value")
            }
            index = end + 1
            let raw: [UInt8]
            if let first = field[index...].firstIndex(where: { !$0.isBlank }), field[first] == UInt8(ascii: "\"") {
                (raw, index) = try Self.quoted(field, after: first, failure)
            } else {
                let stop = field[index...].firstIndex(of: UInt8(ascii: ";")) ?? field.endIndex
                raw = Array(Self.trimmed(field[index..<stop]))
                index = stop
            }
            if name.hasSuffix("*") {
                guard extended.updateValue(try Self.extendedText(raw, failure), forKey: String(name.dropLast())) == nil
                else { throw failure("a parameter of a header line stands twice") }
            } else {
                guard let text = String(validating: raw, as: UTF8.self) else {
                    throw failure("a parameter of a header line is not UTF-8")
                }
                guard plain.updateValue(text, forKey: name) == nil else {
                    throw failure("a parameter of a header line stands twice")
                }
            }
        }
        parameters = plain.merging(extended) { _, extended in extended }
    }

    /// Only a quote and a backslash are ever escaped: browsers and old clients write Windows paths as they are. Browsers write
    /// a quote as %22 (HTML, multipart form data); line breaks stay as they are written.
    private static func quoted(
        _ field: ArraySlice<UInt8>,
        after quote: Int,
        _ failure: (String) -> FormError
    ) throws(FormError) -> (value: [UInt8], end: Int) {
        var value: [UInt8] = []
        var index = quote + 1
        while index < field.endIndex {
            var byte = field[index]
            index += 1
            if byte == UInt8(ascii: "\"") {
                let end = field[index...].firstIndex { !$0.isBlank } ?? field.endIndex
                guard end == field.endIndex || field[end] == UInt8(ascii: ";") else {
                    throw failure("a quoted parameter of a header line goes on after its quote")
                }
                return (value, end)
            }
            if byte == UInt8(ascii: "\\"), index < field.endIndex,
                field[index] == UInt8(ascii: "\"") || field[index] == UInt8(ascii: "\\")
            {
                byte = field[index]
                index += 1
            } else if byte == UInt8(ascii: "%"), field[index...].starts(with: "22".utf8) {
                byte = UInt8(ascii: "\"")
                index += 2
            }
            value.append(byte)
        }
        throw failure("a quoted parameter of a header line is not closed")
    }

    /// RFC 5987 §3.2: `utf-8'language'percent-encoded`.
    private static func extendedText(_ raw: [UInt8], _ failure: (String) -> FormError) throws(FormError) -> String {
        let marks = raw.split(separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
        guard marks.count == 3, lowercased(marks[0]) == "utf-8" else {
            throw failure("an extended parameter of a header line is not in UTF-8")
        }
        var bytes: [UInt8] = []
        var index = marks[2].startIndex
        while index < marks[2].endIndex {
            guard marks[2][index] == UInt8(ascii: "%") else {
                bytes.append(marks[2][index])
                index += 1
                continue
            }
            guard index + 2 < marks[2].endIndex, let high = marks[2][index + 1].hexadecimalDigit,
                let low = marks[2][index + 2].hexadecimalDigit
            else { throw failure("a % of an extended parameter is not followed by two hexadecimal digits") }
            bytes.append(high << 4 | low)
            index += 3
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw failure("an extended parameter of a header line is not UTF-8")
        }
        return text
    }

    static func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let start = bytes.firstIndex { !$0.isBlank } ?? bytes.endIndex
        let end = bytes.lastIndex { !$0.isBlank }.map { $0 + 1 } ?? start
        return bytes[start..<end]
    }

    static func lowercased(_ bytes: ArraySlice<UInt8>) -> String {
        String(decoding: bytes.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }, as: UTF8.self)
    }
}

extension UInt8 {
    /// A space or a tab.
    var isBlank: Bool { self == 0x20 || self == 0x09 }

    /// RFC 9110 §5.6.2.
    var isToken: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}
