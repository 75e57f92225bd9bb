// A strict RFC 8259 parser over bytes. Hand-written because Codable reads 6–7 MB/s, and every message passes here.

package enum JSONParser {
    /// Parses one whole document.
    /// - Throws: `JSONError` for anything that RFC 8259 does not allow, a duplicate name, invalid UTF-8, or a limit.
    package static func parse(_ bytes: UnsafeRawBufferPointer, limits: JSONLimits = .init()) throws(JSONError)
        -> JSONValue
    {
        var scanner = Scanner(bytes: bytes, limits: limits)
        return try scanner.document()
    }

    package static func parse(_ bytes: [UInt8], limits: JSONLimits = .init()) throws(JSONError) -> JSONValue {
        // A typed throw does not pass through `withUnsafeBytes` by itself, hence the result.
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(JSONError) in try parse(buffer, limits: limits) }
        }
        return try result.get()
    }

    package static func parse(_ text: String, limits: JSONLimits = .init()) throws(JSONError) -> JSONValue {
        try parse(Array(text.utf8), limits: limits)
    }
}

private struct Scanner {
    let bytes: UnsafeRawBufferPointer
    let limits: JSONLimits
    var position = 0

    init(bytes: UnsafeRawBufferPointer, limits: JSONLimits) {
        self.bytes = bytes
        self.limits = limits
    }

    func failure(_ message: String) -> JSONError { JSONError(message: message, offset: position) }

    mutating func document() throws(JSONError) -> JSONValue {
        skipWhitespace()
        let value = try value(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw failure("unexpected text after the JSON document") }
        return value
    }

    mutating func skipWhitespace() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    func peek() throws(JSONError) -> UInt8 {
        guard position < bytes.count else { throw failure("the JSON document ends too early") }
        return bytes[position]
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        guard depth < limits.depth else { throw failure("nested deeper than \(limits.depth) levels") }
        switch try peek() {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure("expected a JSON value")
        }
    }

    mutating func literal(_ text: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let length = text.utf8CodeUnitCount
        guard position + length <= bytes.count else { throw failure("expected a JSON value") }
        for index in 0..<length where bytes[position + index] != text.utf8Start[index] {
            throw failure("expected a JSON value")
        }
        position += length
        return value
    }

    mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        position += 1
        var object = JSONObject()
        var names: Set<String>? = nil
        skipWhitespace()
        if try peek() == UInt8(ascii: "}") {
            position += 1
            return .object(object)
        }
        while true {
            skipWhitespace()
            guard try peek() == UInt8(ascii: "\"") else { throw failure("expected a member name in quotes") }
            let nameOffset = position
            let name = try string()
            // Few members are compared one by one; many go through a set, so that the cost stays linear.
            if object.members.count < 16 {
                guard object[name] == nil else { throw duplicate(name, at: nameOffset) }
            } else {
                if names == nil { names = Set(object.members.map(\.name)) }
                guard names?.insert(name).inserted == true else { throw duplicate(name, at: nameOffset) }
            }
            skipWhitespace()
            guard try peek() == UInt8(ascii: ":") else { throw failure("expected ':' after a member name") }
            position += 1
            skipWhitespace()
            object.append(name, try value(depth: depth + 1))
            guard object.members.count <= limits.elements else { throw failure("more than \(limits.elements) members") }
            skipWhitespace()
            switch try peek() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return .object(object)
            default: throw failure("expected ',' or '}'")
            }
        }
    }

    func duplicate(_ name: String, at offset: Int) -> JSONError {
        JSONError(message: "the member name \"\(name.prefix(64))\" stands twice in one object", offset: offset)
    }

    mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        position += 1
        var elements: [JSONValue] = []
        skipWhitespace()
        if try peek() == UInt8(ascii: "]") {
            position += 1
            return .array(elements)
        }
        while true {
            skipWhitespace()
            elements.append(try value(depth: depth + 1))
            guard elements.count <= limits.elements else { throw failure("more than \(limits.elements) elements") }
            skipWhitespace()
            switch try peek() {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(elements)
            default: throw failure("expected ',' or ']'")
            }
        }
    }

    mutating func string() throws(JSONError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            let byte = bytes[position]
            if byte == UInt8(ascii: "\"") {
                let text = try text(in: start..<position)
                position += 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start) }
            guard byte >= 0x20 else { throw failure("a control character in a string must be escaped") }
            position += 1
        }
        throw failure("a string is not closed")
    }

    func text(in range: Range<Int>) throws(JSONError) -> String {
        guard let text = String(validating: UnsafeRawBufferPointer(rebasing: bytes[range]), as: UTF8.self) else {
            throw JSONError(message: "a string is not valid UTF-8", offset: range.lowerBound)
        }
        return text
    }

    mutating func escapedString(from start: Int) throws(JSONError) -> String {
        var decoded = [UInt8]()
        decoded.reserveCapacity(position - start + 256)
        decoded.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[start..<position]))
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let text = String(validating: decoded, as: UTF8.self) else {
                    throw JSONError(message: "a string is not valid UTF-8", offset: start)
                }
                return text
            case UInt8(ascii: "\\"):
                position += 1
                try appendEscape(to: &decoded)
            case 0..<0x20:
                throw failure("a control character in a string must be escaped")
            default:
                // Whatever needs no decoding is copied as a run.
                let run = position
                while position < bytes.count, bytes[position] >= 0x20, bytes[position] != UInt8(ascii: "\""),
                    bytes[position] != UInt8(ascii: "\\")
                { position += 1 }
                decoded.append(contentsOf: UnsafeRawBufferPointer(rebasing: bytes[run..<position]))
            }
        }
        throw failure("a string is not closed")
    }

    mutating func appendEscape(to decoded: inout [UInt8]) throws(JSONError) {
        let escape = try peek()
        position += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): decoded.append(escape)
        case UInt8(ascii: "b"): decoded.append(0x08)
        case UInt8(ascii: "f"): decoded.append(0x0C)
        case UInt8(ascii: "n"): decoded.append(0x0A)
        case UInt8(ascii: "r"): decoded.append(0x0D)
        case UInt8(ascii: "t"): decoded.append(0x09)
        case UInt8(ascii: "u"):
            var scalar = try hexadecimal()
            if (0xD800..<0xDC00).contains(scalar) {
                guard position + 1 < bytes.count, bytes[position] == UInt8(ascii: "\\"),
                    bytes[position + 1] == UInt8(ascii: "u")
                else { throw failure("a high surrogate stands alone") }
                position += 2
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw failure("a high surrogate stands alone") }
                scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let unicode = Unicode.Scalar(scalar) else { throw failure("a low surrogate stands alone") }
            decoded.append(contentsOf: String(unicode).utf8)
        default:
            throw failure("an unknown escape in a string")
        }
    }

    mutating func hexadecimal() throws(JSONError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw failure("a \\u escape needs four hexadecimal digits") }
        var scalar: UInt32 = 0
        for _ in 0..<4 {
            guard let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw failure("a \\u escape needs four hexadecimal digits")
            }
            scalar = scalar << 4 | UInt32(digit)
            position += 1
        }
        return scalar
    }

    mutating func number() throws(JSONError) -> JSONValue {
        let start = position
        if bytes[position] == UInt8(ascii: "-") { position += 1 }
        let whole = try digits()
        guard whole == 1 || bytes[position - whole] != UInt8(ascii: "0") else {
            throw failure("a number must not start with a zero")
        }
        var isInteger = true
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            _ = try digits()
        }
        if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            position += 1
            if position < bytes.count, bytes[position] == UInt8(ascii: "+") || bytes[position] == UInt8(ascii: "-") {
                position += 1
            }
            _ = try digits()
        }
        guard position - start <= 64 else { throw failure("a number has too many digits") }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let integer = Int64(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw failure("a number is out of range") }
        return .number(number)
    }

    mutating func digits() throws(JSONError) -> Int {
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
            position += 1
        }
        guard position > start else { throw failure("expected a digit") }
        return position - start
    }
}
