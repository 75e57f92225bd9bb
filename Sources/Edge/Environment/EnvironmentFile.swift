// `KEY=value` lines, as in postern.env: comments, blank lines, values in quotes.

package struct EnvironmentFile: Sendable {
    package let values: [String: String]

    /// - Parameter onProblem: told of each line that is neither blank, comment nor assignment.
    package init(_ text: String, onProblem: (String) -> Void) {
        var values: [String: String] = [:]
        for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let line = line.trimmed
            if line.isEmpty || line.hasPrefix("#") { continue }
            let assignment = line.hasPrefix("export ") ? line.dropFirst(7).trimmed : line
            guard let equals = assignment.firstIndex(of: "="), equals != assignment.startIndex else {
                onProblem("line \(index + 1) is not KEY=value")
                continue
            }
            let value = assignment[assignment.index(after: equals)...].trimmed
            values[String(assignment[..<equals].trimmed)] = Self.unquoted(value)
        }
        self.values = values
    }

    private static func unquoted(_ value: Substring) -> String {
        for quote in ["\"", "'"] where value.count >= 2 && value.hasPrefix(quote) && value.hasSuffix(quote) {
            return String(value.dropFirst().dropLast())
        }
        return String(value)
    }
}

extension Substring {
    /// Without white space at either end.
    var trimmed: Substring {
        var text = drop(while: \.isWhitespace)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
