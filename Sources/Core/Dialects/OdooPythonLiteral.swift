// Odoo keeps the headers of a mail as the text of a Python dictionary: `{'List-Unsubscribe': '<https://…>'}`. This reads such a
// text as data, strictly: literals only, nothing is evaluated.

import JSON

struct OdooPythonLiteral {
    struct Failure: Error {
        let message: String
        /// In bytes from the start of the text.
        let offset: Int
    }

    /// Nesting of dictionaries, lists and tuples, in levels.
    private static let depth = 16
    /// Members and elements of all containers together.
    private static let elements = 1000

    private let bytes: [UInt8]
    private var position = 0
    private var count = 0

    private init(_ text: String) { bytes = Array(text.utf8) }

    /// One value: None, True, False, numbers, strings, and dictionaries, lists and tuples of them. Keys are strings, each once.
    static func parse(_ text: String) throws(Failure) -> JSONValue {
        var parser = OdooPythonLiteral(text)
        let value = try parser.value(depth: 0)
        parser.skipSpace()
        guard parser.position == parser.bytes.count else { throw parser.failure("unexpected text after the value") }
        return value
    }

    private func failure(_ message: String) -> Failure { Failure(message: message, offset: position) }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
    }

    private mutating func peek() throws(Failure) -> UInt8 {
        skipSpace()
        guard position < bytes.count else { throw failure("the text ends too early") }
        return bytes[position]
    }

    private mutating func take(_ character: Unicode.Scalar) throws(Failure) -> Bool {
        guard try peek() == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws(Failure) -> JSONValue {
        guard depth < Self.depth else { throw failure("nested deeper than \(Self.depth) levels") }
        switch try peek() {
        case UInt8(ascii: "{"): return try dictionary(depth: depth)
        case UInt8(ascii: "["): return .array(try elements(until: "]", depth: depth).values)
        case UInt8(ascii: "("):
            let (values, hasComma) = try elements(until: ")", depth: depth)
            // Brackets around one value are only brackets.
            return values.count == 1 && !hasComma ? values[0] : .array(values)
        case UInt8(ascii: "'"), UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try number()
        default: return try word()
        }
    }

    private mutating func dictionary(depth: Int) throws(Failure) -> JSONValue {
        position += 1
        var object = JSONObject()
        while try !take("}") {
            guard [UInt8(ascii: "'"), UInt8(ascii: "\"")].contains(try peek()) else {
                throw failure("expected a key in quotes")
            }
            let key = try string()
            guard object[key] == nil else {
                throw failure("the key \"\(String(decoding: key.utf8.prefix(64), as: UTF8.self))\" stands twice")
            }
            guard try take(":") else { throw failure("expected ':' after a key") }
            try countOne()
            object[key] = try value(depth: depth + 1)
            if try take(",") { continue }
            guard try peek() == UInt8(ascii: "}") else { throw failure("expected ',' or '}'") }
        }
        return .object(object)
    }

    private mutating func elements(
        until end: Unicode.Scalar,
        depth: Int
    ) throws(Failure) -> (values: [JSONValue], hasComma: Bool) {
        position += 1
        var values: [JSONValue] = []
        var hasComma = false
        while try !take(end) {
            try countOne()
            values.append(try value(depth: depth + 1))
            if try take(",") {
                hasComma = true
                continue
            }
            guard try peek() == UInt8(ascii: end) else { throw failure("expected ',' or '\(end)'") }
        }
        return (values, hasComma)
    }

    private mutating func countOne() throws(Failure) {
        count += 1
        guard count <= Self.elements else { throw failure("more than \(Self.elements) elements") }
    }

    private mutating func word() throws(Failure) -> JSONValue {
        let start = position
        while position < bytes.count, bytes[position] | 0x20 >= UInt8(ascii: "a"),
            bytes[position] | 0x20 <= UInt8(ascii: "z")
        { position += 1 }
        switch String(decoding: bytes[start..<position], as: UTF8.self) {
        case "None": return .null
        case "True": return .bool(true)
        case "False": return .bool(false)
        default:
            position = start
            throw failure("expected a value: only literals are read")
        }
    }

    private mutating func number() throws(Failure) -> JSONValue {
        let start = position
        while position < bytes.count, "+-.0123456789eE".utf8.contains(bytes[position]) { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if let integer = Int64(text) { return .integer(integer) }
        if text.utf8.count <= 64, let number = Double(text), number.isFinite { return .number(number) }
        position = start
        throw failure("expected a number")
    }

    // MARK: Strings

    private mutating func string() throws(Failure) -> String {
        let quote = bytes[position]
        let start = position
        position += 1
        var decoded: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case quote: return String(decoding: decoded, as: UTF8.self)
            case UInt8(ascii: "\\"): try escape(into: &decoded)
            case 0x0A, 0x0D: throw failure("a string ends before its line does")
            default: decoded.append(byte)
            }
        }
        position = start
        throw failure("a string is not closed")
    }

    private mutating func escape(into decoded: inout [UInt8]) throws(Failure) {
        guard position < bytes.count else { throw failure("a string is not closed") }
        let escape = bytes[position]
        position += 1
        switch escape {
        case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""): decoded.append(escape)
        case UInt8(ascii: "n"): decoded.append(0x0A)
        case UInt8(ascii: "r"): decoded.append(0x0D)
        case UInt8(ascii: "t"): decoded.append(0x09)
        case UInt8(ascii: "a"): decoded.append(0x07)
        case UInt8(ascii: "b"): decoded.append(0x08)
        case UInt8(ascii: "f"): decoded.append(0x0C)
        case UInt8(ascii: "v"): decoded.append(0x0B)
        case UInt8(ascii: "x"): try scalar(digits: 2, into: &decoded)
        case UInt8(ascii: "u"): try scalar(digits: 4, into: &decoded)
        case UInt8(ascii: "U"): try scalar(digits: 8, into: &decoded)
        default: throw failure("an unknown escape in a string")
        }
    }

    private mutating func scalar(digits: Int, into decoded: inout [UInt8]) throws(Failure) {
        guard position + digits <= bytes.count else { throw failure("an escape needs \(digits) hexadecimal digits") }
        var value: UInt32 = 0
        for _ in 0..<digits {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw failure("an escape needs \(digits) hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        guard let scalar = Unicode.Scalar(value) else { throw failure("an escape is no Unicode character") }
        decoded.append(contentsOf: String(scalar).utf8)
    }
}
