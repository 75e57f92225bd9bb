// The query of a list: strict, so that a mistyped filter is an error and not a longer list.

import Hummingbird
import JSON
import Model
import Store

struct Query {
    private let parameters: Parameters
    private var known: Set<String> = []
    private(set) var problems: [JSONProblem] = []

    init(_ request: Request) { parameters = request.uri.queryParameters }

    mutating func text(_ name: String) -> String? {
        known.insert(name)
        guard let text = parameters[Substring(name)].map(String.init), !text.isEmpty else { return nil }
        guard text.utf8.count <= 512 else {
            problem("must not be longer than 512 bytes", name)
            return nil
        }
        return text
    }

    mutating func all(_ name: String) -> [String] {
        known.insert(name)
        return parameters.getAll(name)
    }

    mutating func time(_ name: String) -> Timestamp? {
        guard let text = text(name) else { return nil }
        if let time = Timestamp(text) { return time }
        problem("is not a time in RFC 3339, such as 2026-11-20T18:00:00Z", name)
        return nil
    }

    /// `limit`, 1–200, default 50.
    mutating func limit() -> Int {
        guard let text = text("limit") else { return 50 }
        if let limit = Int(text), (1...200).contains(limit) { return limit }
        problem("must be from 1 to 200", "limit")
        return 50
    }

    /// The page of a list in the order of its ids.
    mutating func page() -> Page { Page(after: text("cursor") ?? "", limit: limit()) }

    mutating func problem(_ message: String, _ name: String) {
        problems.append(JSONProblem(pointer: "?\(name)", message: message))
    }

    /// - Throws: `validation_failed` with all that was wrong, unknown parameters included.
    mutating func finish() throws(PosternError) {
        for (name, _) in parameters where !known.contains(String(name)) {
            problem("unknown parameter", String(name.prefix(64)))
        }
        guard problems.isEmpty else { throw .validation(problems) }
    }
}
