// Sendy's fields whether they came as a form or as JSON: a form has texts only, so that numbers and booleans are texts as well.

import Forms
import JSON
import Mapping

struct SendyFields {
    private let source: NativePayload
    private var known: Set<String> = []
    private static let headerPrefix = "headers["

    init(_ source: NativePayload, _ problems: inout NativeProblems) {
        if case .json(let value) = source, value.objectValue == nil {
            problems.invalid("expected an object, found \(value.kind)", at: "")
        }
        self.source = source
    }

    private func place(_ name: String) -> String {
        switch source {
        case .form: name
        case .json: "/\(JSONReader.escape(name))"
        }
    }

    /// All texts of a name that are not empty.
    mutating func texts(_ name: String, _ problems: inout NativeProblems) -> [Sourced<String>] {
        known.insert(name)
        switch source {
        case .form(let form):
            if !form.files(name).isEmpty { problems.invalid("is a file, and should be a text", at: name) }
            return form.texts(name).filter { !$0.isEmpty }.map { Sourced($0, at: name) }
        case .json(let document):
            guard let value = document.objectValue?[name] else { return [] }
            guard let elements = value.arrayValue else { return Self.text(value, at: place(name), &problems) }
            return elements.enumerated().flatMap { index, element in
                Self.text(element, at: "\(place(name))/\(index)", &problems)
            }
        }
    }

    private static func text(
        _ value: JSONValue,
        at place: String,
        _ problems: inout NativeProblems
    ) -> [Sourced<String>] {
        switch value {
        case .null, .string(""): return []
        case .string(let text): return [Sourced(text, at: place)]
        case .integer(let number): return [Sourced(String(number), at: place)]
        case .bool(let bool): return [Sourced(bool ? "1" : "0", at: place)]
        case .number, .array, .object:
            problems.invalid("expected a string, found \(value.kind)", at: place)
            return []
        }
    }

    mutating func text(_ name: String, _ problems: inout NativeProblems) -> Sourced<String>? {
        let texts = texts(name, &problems)
        if texts.count > 1 { problems.invalid("stands more than once", at: place(name)) }
        return texts.first
    }

    mutating func required(_ name: String, _ problems: inout NativeProblems) -> Sourced<String>? {
        let text = text(name, &problems)
        if text == nil { problems.invalid("is required", at: place(name)) }
        return text
    }

    /// Takes a field that is not done here, if its value asks for nothing.
    mutating func refuse(_ name: String, _ feature: String, _ problems: inout NativeProblems) {
        for text in texts(name, &problems) where !["0", "false"].contains(text.value) {
            problems.unsupported(feature, at: text.at)
        }
    }

    /// `{"headers": {"List-Unsubscribe": "…"}}`, or the form's `headers[List-Unsubscribe]`.
    mutating func headers(_ problems: inout NativeProblems) -> [(name: String, value: Sourced<String>)] {
        switch source {
        case .form(let form):
            return form.names.filter { $0.hasPrefix(Self.headerPrefix) && $0.hasSuffix("]") }.flatMap { name in
                known.insert(name)
                let header = String(name.dropFirst(Self.headerPrefix.count).dropLast())
                return form.texts(name).map { (header, Sourced($0, at: name)) }
            }
        case .json(let document):
            known.insert("headers")
            guard let object = document.objectValue else { return [] }
            var reader = JSONReader(object)
            let headers = reader.texts("headers")
            problems.invalid += reader.problems
            return headers
        }
    }

    /// Fields that nobody asked for are problems, as everywhere.
    func finish(_ problems: inout NativeProblems) {
        let names =
            switch source {
            case .form(let form): form.names
            case .json(let document): document.objectValue?.members.map(\.name) ?? []
            }
        for name in names where !known.contains(name) { problems.invalid("unknown field", at: place(name)) }
    }
}
