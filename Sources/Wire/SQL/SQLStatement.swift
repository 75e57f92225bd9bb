// A statement with its values. Interpolating a value binds it: a value can never become SQL text.

/// `"SELECT … WHERE vault_id = \(vault.text)"` becomes `… WHERE vault_id = $1` with one bound value. The numbered form is
/// understood by SQLite and PostgreSQL alike.
package struct SQLStatement: ExpressibleByStringInterpolation, Sendable {
    package private(set) var text: String
    package private(set) var values: [SQLValue]

    package init(stringLiteral text: String) {
        self.text = text
        values = []
    }

    package init(stringInterpolation: StringInterpolation) {
        text = stringInterpolation.text
        values = stringInterpolation.values
    }

    package struct StringInterpolation: StringInterpolationProtocol {
        /// Ready-made, because the accept path binds some sixty values a message.
        private static let markers = (0..<64).map { "$\($0)" }

        fileprivate var text = ""
        fileprivate var values: [SQLValue] = []

        package init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + interpolationCount * 3)
            values.reserveCapacity(interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) { text += literal }

        package mutating func appendInterpolation(_ value: SQLValue) {
            values.append(value)
            text += values.count < Self.markers.count ? Self.markers[values.count] : "$\(values.count)"
        }

        package mutating func appendInterpolation(_ value: some SQLBindable) { appendInterpolation(value.sqlValue) }

        package mutating func appendInterpolation(_ value: (some SQLBindable)?) {
            appendInterpolation(value?.sqlValue ?? .null)
        }

        /// `IN (…)`: one bound value an element; an empty list matches nothing.
        package mutating func appendInterpolation(list values: [some SQLBindable]) {
            guard !values.isEmpty else { return text += "(NULL)" }
            text += "("
            for (index, value) in values.enumerated() {
                if index > 0 { text += ", " }
                appendInterpolation(value.sqlValue)
            }
            text += ")"
        }

        /// A fragment built by `SQLStatement` itself; its values are renumbered into this statement.
        package mutating func appendInterpolation(_ fragment: SQLStatement) {
            var values = fragment.values[...]
            var rest = fragment.text[...]
            while let marker = rest.firstIndex(of: "$") {
                text += rest[..<marker]
                rest = rest[rest.index(after: marker)...].drop(while: \.isNumber)
                appendInterpolation(values.removeFirst())
            }
            text += rest
        }
    }
}

/// A value as the database holds it.
package enum SQLValue: Hashable, Sendable {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])
}

/// What can be bound to a statement.
package protocol SQLBindable {
    var sqlValue: SQLValue { get }
}

extension String: SQLBindable { package var sqlValue: SQLValue { .text(self) } }
extension Int: SQLBindable { package var sqlValue: SQLValue { .integer(Int64(self)) } }
extension Int64: SQLBindable { package var sqlValue: SQLValue { .integer(self) } }
extension Bool: SQLBindable { package var sqlValue: SQLValue { .integer(self ? 1 : 0) } }
extension Double: SQLBindable { package var sqlValue: SQLValue { .real(self) } }
extension [UInt8]: SQLBindable { package var sqlValue: SQLValue { .blob(self) } }
