// Reads the members of an object by name and type, and remembers every problem with its JSON pointer, so that a caller
// learns all that is wrong in one answer. Unknown members are problems too: nothing is dropped in silence.

/// One thing wrong with a document, at a JSON pointer (RFC 6901).
package struct JSONProblem: Hashable, Sendable {
    package let pointer: String
    package let message: String

    package init(pointer: String, message: String) {
        self.pointer = pointer
        self.message = message
    }
}

package struct JSONReader {
    package let pointer: String
    package private(set) var problems: [JSONProblem] = []
    private let object: JSONObject
    private var known: [String] = []

    package init(_ object: JSONObject, pointer: String = "") {
        self.object = object
        self.pointer = pointer
    }

    /// Reads a value that should be an object; when it is not, the reader is empty and has one problem.
    package init(_ value: JSONValue, pointer: String = "") {
        self.init(value.objectValue ?? JSONObject(), pointer: pointer)
        if value.objectValue == nil { problem("expected an object, found \(value.kind)") }
    }

    package static func escape(_ name: String) -> String {
        guard name.utf8.contains(UInt8(ascii: "~")) || name.utf8.contains(UInt8(ascii: "/")) else { return name }
        return name.split(separator: "~", omittingEmptySubsequences: false).joined(separator: "~0")
            .split(separator: "/", omittingEmptySubsequences: false).joined(separator: "~1")
    }

    package func pointer(to name: String) -> String { "\(pointer)/\(Self.escape(name))" }

    package mutating func problem(_ message: String, at name: String? = nil) {
        problems.append(JSONProblem(pointer: name.map(pointer(to:)) ?? pointer, message: message))
    }

    package mutating func adopt(_ others: [JSONProblem]) { problems += others }

    /// The member, if it is there and not null.
    package mutating func value(_ name: String) -> JSONValue? {
        known.append(name)
        guard let value = object[name], value != .null else { return nil }
        return value
    }

    /// Whether the member is written out as null, which a PATCH takes as "unset".
    package func isNull(_ name: String) -> Bool { object[name] == .null }

    private mutating func typed<T>(_ name: String, _ expected: String, _ read: (JSONValue) -> T?) -> T? {
        guard let value = value(name) else { return nil }
        guard let typed = read(value) else {
            problem("expected \(expected), found \(value.kind)", at: name)
            return nil
        }
        return typed
    }

    package mutating func string(_ name: String) -> String? { typed(name, "a string", \.stringValue) }
    package mutating func bool(_ name: String) -> Bool? { typed(name, "a boolean", \.boolValue) }
    package mutating func integer(_ name: String) -> Int64? { typed(name, "an integer", \.integerValue) }
    package mutating func array(_ name: String) -> [JSONValue]? { typed(name, "an array", \.arrayValue) }
    package mutating func object(_ name: String) -> JSONObject? { typed(name, "an object", \.objectValue) }

    package mutating func strings(_ name: String) -> [String]? {
        guard let elements = array(name) else { return nil }
        var strings: [String] = []
        for (index, element) in elements.enumerated() {
            guard let string = element.stringValue else {
                let message = "expected a string, found \(element.kind)"
                problems.append(JSONProblem(pointer: "\(pointer(to: name))/\(index)", message: message))
                continue
            }
            strings.append(string)
        }
        return strings
    }

    /// A nested reader for a member that should be an object.
    package mutating func reader(_ name: String) -> JSONReader? {
        object(name).map { JSONReader($0, pointer: pointer(to: name)) }
    }

    package mutating func required<T>(_ name: String, _ value: T?) -> T? {
        if value == nil, !problems.contains(where: { $0.pointer == pointer(to: name) }) {
            problem("is required", at: name)
        }
        return value
    }

    /// Ends the reading: each member that nobody asked for is a problem, `unknown field`.
    package mutating func finish() {
        for member in object.members where !known.contains(member.name) {
            problem("unknown field", at: member.name)
        }
    }
}
