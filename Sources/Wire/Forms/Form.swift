// The fields of an HTML form in the order they came: what mail providers with form APIs are sent.

package struct FormField: Hashable, Sendable {
    package enum Value: Hashable, Sendable {
        case text(String)
        /// The name and the type are the sender's words: never a path, never trusted.
        case file(filename: String?, contentType: String?, bytes: [UInt8])
    }

    package let name: String
    package let value: Value

    package init(name: String, value: Value) {
        self.name = name
        self.value = value
    }

    package init(_ name: String, _ text: String) { self.init(name: name, value: .text(text)) }
}

package struct FormFile: Hashable, Sendable {
    package let filename: String?
    package let contentType: String?
    package let bytes: [UInt8]

    package init(filename: String?, contentType: String?, bytes: [UInt8]) {
        self.filename = filename
        self.contentType = contentType
        self.bytes = bytes
    }
}

package struct Form: Sendable {
    package let fields: [FormField]
    /// Each name once, in the order of its first field.
    package let names: [String]
    /// A thousand look-ups in a thousand fields stay linear.
    private let places: [[UInt8]: [Int]]

    package init(_ fields: [FormField]) {
        var names: [String] = []
        var places: [[UInt8]: [Int]] = [:]
        for (place, field) in fields.enumerated() {
            // Names are bytes: two that only look alike are two.
            let key = Array(field.name.utf8)
            if places[key] == nil { names.append(field.name) }
            places[key, default: []].append(place)
        }
        self.fields = fields
        self.names = names
        self.places = places
    }

    /// All fields of a name, in order.
    package func values(_ name: String) -> [FormField.Value] {
        (places[Array(name.utf8)] ?? []).map { fields[$0].value }
    }

    /// The first text of a name.
    package func text(_ name: String) -> String? {
        for place in places[Array(name.utf8)] ?? [] {
            if case .text(let text) = fields[place].value { return text }
        }
        return nil
    }

    package func texts(_ name: String) -> [String] {
        values(name).compactMap { if case .text(let text) = $0 { text } else { nil } }
    }

    package func files(_ name: String) -> [FormFile] {
        values(name).compactMap { value in
            guard case .file(let filename, let contentType, let bytes) = value else { return nil }
            return FormFile(filename: filename, contentType: contentType, bytes: bytes)
        }
    }
}
