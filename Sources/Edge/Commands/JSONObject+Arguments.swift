// Puts what was typed into a request body: only what was given, under the API's names.

import JSON

extension JSONObject {
    mutating func give(_ name: String, _ value: String?) {
        if let value { self[name] = .string(value) }
    }

    /// Left out when nothing was given: an empty list would be a statement.
    mutating func give(_ name: String, _ values: [String]) {
        if !values.isEmpty { self[name] = .array(values.map { .string($0) }) }
    }
}

extension [String] {
    /// `--scope send,read` and `--scope send --scope read` are the same.
    var splitAtCommas: [String] {
        flatMap { $0.split(separator: ",") }.map { $0.trimmed }.filter { !$0.isEmpty }
    }
}

extension StringProtocol {
    var trimmed: String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
