// JSON for people: indented, and safe for a terminal without being any other document.

import JSON

enum JSONText {
    /// Two spaces a level. Characters that a terminal would act on are written as `\u` escapes, which mean the same.
    static func pretty(_ value: JSONValue) -> String {
        var text = ""
        write(value, to: &text, indent: "")
        return text
    }

    /// One line.
    static func compact(_ value: JSONValue) -> String {
        escaped(String(decoding: JSONWriter.write(value), as: UTF8.self))
    }

    private static func write(_ value: JSONValue, to text: inout String, indent: String) {
        let inner = indent + "  "
        switch value {
        case .object(let object) where !object.members.isEmpty:
            text += "{\n"
            for (index, member) in object.members.enumerated() {
                text += inner + compact(.string(member.name)) + ": "
                write(member.value, to: &text, indent: inner)
                text += index + 1 < object.members.count ? ",\n" : "\n"
            }
            text += indent + "}"
        case .array(let elements) where !elements.isEmpty:
            text += "[\n"
            for (index, element) in elements.enumerated() {
                text += inner
                write(element, to: &text, indent: inner)
                text += index + 1 < elements.count ? ",\n" : "\n"
            }
            text += indent + "]"
        default: text += compact(value)
        }
    }

    /// Outside ASCII such characters can only stand inside strings, where an escape is always allowed (RFC 8259 §7).
    private static func escaped(_ json: String) -> String {
        guard json.unicodeScalars.contains(where: Visible.isUnsafe) else { return json }
        var text = ""
        for scalar in json.unicodeScalars {
            guard Visible.isUnsafe(scalar) else {
                text.unicodeScalars.append(scalar)
                continue
            }
            for unit in String(scalar).utf16 {
                let digits = String(unit, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            }
        }
        return text
    }
}
