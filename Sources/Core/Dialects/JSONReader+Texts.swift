// Texts as foreign payloads hold them, each with its place.

import JSON
import Mapping

extension JSONReader {
    mutating func sourced(_ name: String) -> Sourced<String>? {
        string(name).map { Sourced($0, at: pointer(to: name)) }
    }

    /// An object whose values are all strings, such as headers or metadata; each with its place.
    mutating func texts(_ name: String) -> [(name: String, value: Sourced<String>)] {
        guard let object = object(name) else { return [] }
        var texts: [(String, Sourced<String>)] = []
        for member in object.members {
            let place = "\(pointer(to: name))/\(JSONReader.escape(member.name))"
            guard let value = member.value.stringValue else {
                adopt([JSONProblem(pointer: place, message: "expected a string, found \(member.value.kind)")])
                continue
            }
            texts.append((member.name, Sourced(value, at: place)))
        }
        return texts
    }
}
