// A record as Odoo writes it: `false` says "unset" whatever the type, a relation is an id, `[id, name]`, or a list of commands.

import JSON
import Mapping

struct OdooRecord {
    private(set) var reader: JSONReader

    init(_ value: JSONValue, pointer: String) { reader = JSONReader(value, pointer: pointer) }

    var pointer: String { reader.pointer }

    func pointer(to name: String) -> String { reader.pointer(to: name) }

    mutating func value(_ name: String) -> JSONValue? {
        guard let value = reader.value(name), value != .bool(false) else { return nil }
        return value
    }

    /// A text that is not empty.
    mutating func text(_ name: String) -> Sourced<String>? {
        guard let value = value(name) else { return nil }
        guard let text = value.stringValue else {
            reader.problem("expected a string or false, found \(value.kind)", at: name)
            return nil
        }
        return text.isEmpty ? nil : Sourced(text, at: pointer(to: name))
    }

    /// The id of a record: a number, or `[id, name]`.
    mutating func id(_ name: String) -> Int64? {
        guard let value = value(name) else { return nil }
        guard let id = value.integerValue ?? value.arrayValue?.first?.integerValue else {
            reader.problem("expected an id, [id, name] or false, found \(value.kind)", at: name)
            return nil
        }
        return id
    }

    /// What the ORM's commands (`[0, 0, {…}]`, `[6, 0, [ids]]`, …) or a plain list say is in a relation to many.
    mutating func many(_ name: String) -> [OdooRelated] {
        guard let value = value(name) else { return [] }
        guard let elements = value.arrayValue else {
            reader.problem("expected a list or false, found \(value.kind)", at: name)
            return []
        }
        return elements.enumerated().flatMap { index, element in
            OdooRelated.all(in: element, at: "\(pointer(to: name))/\(index)")
        }
    }

    /// Fields that tell of the record's life in Odoo and ask for nothing.
    mutating func passOver(_ names: [String]) {
        for name in names { _ = reader.value(name) }
    }

    mutating func problem(_ message: String, at name: String) { reader.problem(message, at: name) }

    mutating func refuse(_ name: String, _ feature: String, _ problems: inout NativeProblems) {
        reader.refuse(name, feature, &problems)
    }

    mutating func finish() -> [JSONProblem] {
        reader.finish()
        return reader.problems
    }
}

/// One thing in a relation to many.
enum OdooRelated {
    /// A record of Odoo's database, which only Odoo knows.
    case id(at: String)
    case values(JSONValue, at: String)

    var place: String {
        switch self {
        case .id(let place), .values(_, let place): place
        }
    }

    fileprivate static func all(in element: JSONValue, at place: String) -> [OdooRelated] {
        guard let parts = element.arrayValue, parts.count == 3, let command = parts[0].integerValue else {
            return element.integerValue == nil ? [.values(element, at: place)] : [.id(at: place)]
        }
        switch command {
        case 0: return [.values(parts[2], at: "\(place)/2")]
        // Taken out, deleted, emptied: nothing is in it.
        case 2, 3, 5: return []
        case 6: return (parts[2].arrayValue ?? []).indices.map { .id(at: "\(place)/2/\($0)") }
        default: return [.id(at: place)]
        }
    }
}
