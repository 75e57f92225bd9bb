// What must hold for the parser of Odoo's Python literals. A value is written in the two ways below and has to come back.

import JSON

func fuzzLiteral(_ bytes: [UInt8]) {
    guard let text = String(validating: bytes, as: UTF8.self) else { return }
    for style in PythonText.Style.allCases {
        let string = String(decoding: PythonText.write(.string(text), style), as: UTF8.self)
        check(parse(string)?.stringValue.map { Array($0.utf8) } == bytes, "any text can be written as a string")
    }
    let value = parse(text)
    let (inList, message) = outcome("[\(text), \(text)]")
    guard let value else { return checkMany(bytes, text) }
    check(levels(value) <= 16, "a value is no deeper than is allowed")
    check(elements(value) <= 1000, "a value has no more elements than are allowed")
    check(textBytes(value) <= bytes.count, "a value is not larger than its text")
    for style in PythonText.Style.allCases {
        let written = PythonText.write(value, style)
        let again = parse(String(decoding: written, as: UTF8.self))
        check(again == value, "a written value is the same value")
        check(again.map { PythonText.write($0, style) } == written, "a written value has the same bytes")
    }
    if let inList {
        check(inList == .array([value, value]), "a list holds its values")
    } else {
        check(["nested", "more"].contains { message.hasPrefix($0) }, "only limits keep a value out of a list")
    }
    // A text that is cut within its closing bracket, or goes on behind it, is none.
    check(parse(text + ",") == nil && parse(text + "]") == nil, "nothing stands behind a value")
    if [UInt8(ascii: "}"), UInt8(ascii: "]"), UInt8(ascii: ")")].contains(bytes.last) {
        check(parse(String(decoding: bytes.dropLast(), as: UTF8.self)) == nil, "a value that is cut short is refused")
    }
    checkMany(bytes, text)
}

private func checkMany(_ bytes: [UInt8], _ text: String) {
    guard isAmplified(bytes) else { return }
    _ = parse(String(repeating: text, count: manyBytes / bytes.count))
    _ = parse("{'a': '" + String(repeating: text, count: manyBytes / bytes.count))
}

private func parse(_ text: String) -> JSONValue? { outcome(text).value }

private func outcome(_ text: String) -> (value: JSONValue?, message: String) {
    do throws(OdooPythonLiteral.Failure) {
        return (try OdooPythonLiteral.parse(text), "")
    } catch {
        check((0...text.utf8.count).contains(error.offset), "an error stands within the text")
        check(!error.message.isEmpty, "an error says why")
        return (nil, error.message)
    }
}

private func levels(_ value: JSONValue) -> Int {
    switch value {
    case .array(let values): 1 + (values.map(levels).max() ?? 0)
    case .object(let object): 1 + (object.members.map { levels($0.value) }.max() ?? 0)
    default: 1
    }
}

private func elements(_ value: JSONValue) -> Int {
    switch value {
    case .array(let values): values.reduce(values.count) { $0 + elements($1) }
    case .object(let object): object.members.reduce(object.members.count) { $0 + elements($1.value) }
    default: 0
    }
}

/// No escape is shorter than its character.
private func textBytes(_ value: JSONValue) -> Int {
    switch value {
    case .string(let text): text.utf8.count
    case .array(let values): values.reduce(0) { $0 + textBytes($1) }
    case .object(let object): object.members.reduce(0) { $0 + $1.name.utf8.count + textBytes($1.value) }
    default: 0
    }
}

private enum PythonText {
    enum Style: CaseIterable {
        /// As Python's `repr` has it.
        case plain
        /// All that can be escaped is, and a list is a tuple.
        case escaped
    }

    static func write(_ value: JSONValue, _ style: Style) -> [UInt8] {
        switch value {
        case .null: return Array("None".utf8)
        case .bool(let flag): return Array((flag ? "True" : "False").utf8)
        case .integer(let number): return Array(number.description.utf8)
        case .number(let number): return Array(number.description.utf8)
        case .string(let text): return string(text, style)
        case .array(let values):
            let inside = Array(values.map { write($0, style) }.joined(separator: ", ".utf8))
            guard style == .escaped else { return Array("[".utf8) + inside + "]".utf8 }
            return Array("(".utf8) + inside + (values.isEmpty ? ")" : ",)").utf8
        case .object(let object):
            let members = object.members.map { string($0.name, style) + ": ".utf8 + write($0.value, style) }
            return Array("{".utf8) + Array(members.joined(separator: ", ".utf8)) + "}".utf8
        }
    }

    private static func string(_ text: String, _ style: Style) -> [UInt8] {
        let quote = UInt8(ascii: style == .plain ? "'" : "\"")
        var bytes = [quote]
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\\", "'": bytes += "\\\(scalar)".utf8
            case "\n": bytes += "\\n".utf8
            case "\r": bytes += "\\r".utf8
            default: bytes += style == .plain ? Array(String(scalar).utf8) : escape(scalar.value)
            }
        }
        return bytes + [quote]
    }

    private static func escape(_ value: UInt32) -> [UInt8] {
        let (mark, digits) = value < 0x100 ? ("x", 2) : value < 0x10000 ? ("u", 4) : ("U", 8)
        let text = String(value, radix: 16)
        return Array("\\\(mark)\(String(repeating: "0", count: digits - text.utf8.count))\(text)".utf8)
    }
}
