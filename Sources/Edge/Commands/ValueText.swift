// JSON values as text for people: one cell of a table, or an object as aligned names and values.

import JSON

enum ValueText {
    /// Longer texts, such as a whole message in an envelope, are for `--json`.
    private static let limit = 1_000

    /// One line, safe for a terminal. What has no value is a dash.
    static func cell(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null: "-"
        case .string(let text): text.isEmpty ? "-" : Visible.text(text)
        case .array(let elements): elements.isEmpty ? "-" : elements.map { cell($0) }.joined(separator: ", ")
        case .some(let value): JSONText.compact(value)
        }
    }

    /// The members, one a line; objects and lists of objects are indented below their name.
    static func details(_ object: JSONObject, indent: String = "") -> [String] {
        let names = object.members.map { Visible.text($0.name) }
        let width = names.map(TextWidth.columns).max() ?? 0
        var lines: [String] = []
        for (name, member) in zip(names, object.members) {
            switch member.value {
            case .object(let inner) where !inner.members.isEmpty:
                lines.append(indent + name)
                lines += details(inner, indent: indent + "  ")
            case .array(let elements) where elements.contains { $0.objectValue != nil }:
                lines.append(indent + name)
                for element in elements { lines += item(element, indent: indent + "  ") }
            default:
                let padding = String(repeating: " ", count: width - TextWidth.columns(name) + 2)
                lines.append(indent + name + padding + short(cell(member.value)))
            }
        }
        return lines
    }

    private static func item(_ value: JSONValue, indent: String) -> [String] {
        guard let object = value.objectValue else { return ["\(indent)- \(short(cell(value)))"] }
        var lines = details(object, indent: indent + "  ")
        if let first = lines.first { lines[0] = indent + "- " + first.dropFirst(indent.count + 2) }
        return lines
    }

    private static func short(_ text: String) -> String {
        guard text.utf8.count > limit else { return text }
        return "\(text.prefix(limit))… (\(text.utf8.count) bytes; --json shows all)"
    }
}
