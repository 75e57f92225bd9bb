// Fields that other tools document and Postern has nothing for: refused by name, unless they ask for nothing.

import JSON
import Mapping
import Model

extension JSONReader {
    /// Takes a field that is not done here, if it is absent or its value asks for nothing.
    /// - Parameter neutral: further values that ask for nothing, beside null, false, 0, "", [] and {}.
    mutating func refuse(
        _ name: String,
        _ feature: String,
        unless neutral: Set<JSONValue> = [],
        _ problems: inout NativeProblems
    ) {
        guard let value = value(name), !value.asksForNothing, !neutral.contains(value) else { return }
        problems.unsupported(feature, at: pointer(to: name))
    }
}

extension JSONValue {
    var asksForNothing: Bool {
        switch self {
        case .null: true
        case .bool(let value): !value
        case .integer(let value): value == 0
        case .number(let value): value == 0
        case .string(let text): text.isEmpty
        case .array(let elements): elements.isEmpty
        case .object(let object): object.members.isEmpty
        }
    }
}

extension NativePayload {
    /// The messages of a document: itself, or its elements where it is a list of at most `limit`.
    /// - Throws: `unsupported_media_type` for a form; `validation_failed` for an empty or too long list.
    func documents(limit: Int) throws(PosternError) -> [(value: JSONValue, pointer: String)] {
        guard case .json(let document) = self else {
            throw PosternError(.unsupportedMediaType, "this dialect is JSON, not a form")
        }
        guard let elements = document.arrayValue else { return [(document, "")] }
        guard (1...limit).contains(elements.count) else {
            let message = "a list holds from 1 to \(limit) messages, and this one has \(elements.count)"
            throw .validation([JSONProblem(pointer: "", message: message)])
        }
        return elements.enumerated().map { index, element in (element, "/\(index)") }
    }
}
