// The command line: `--name value` pairs, each known by name; a wrong one is an error that lists the right ones.

package struct Flags {
    private let values: [String: String]

    package init(_ arguments: ArraySlice<String>, known: Set<String>) throws {
        var values: [String: String] = [:]
        var rest = arguments
        while let name = rest.popFirst() {
            guard name.hasPrefix("--"), known.contains(String(name.dropFirst(2))) else {
                throw LoadError(
                    "unknown argument \(name); known: \(known.sorted().map { "--\($0)" }.joined(separator: " "))"
                )
            }
            guard let value = rest.popFirst() else { throw LoadError("\(name) needs a value") }
            values[String(name.dropFirst(2))] = value
        }
        self.values = values
    }

    package func text(_ name: String) -> String? { values[name] }

    package func text(_ name: String, default fallback: String) -> String { values[name] ?? fallback }

    package func required(_ name: String) throws -> String {
        guard let value = values[name] else { throw LoadError("--\(name) is missing") }
        return value
    }

    package func number(_ name: String, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = values[name] else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw LoadError("--\(name) takes a number from \(range.lowerBound) to \(range.upperBound), not \(text)")
        }
        return value
    }

    /// `on` or `off`.
    package func isOn(_ name: String, default fallback: Bool) throws -> Bool {
        switch values[name] {
        case nil: fallback
        case "on": true
        case "off": false
        case .some(let other): throw LoadError("--\(name) takes on or off, not \(other)")
        }
    }
}
