// What a stranger's JSON may make us do at most.

package struct JSONLimits: Sendable {
    /// Nesting of arrays and objects, in levels.
    package var depth = 64
    /// Members of one object and elements of one array.
    package var elements = 100_000

    package init() {}
}

/// Why a text is not JSON, and where.
package struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
    package let message: String
    /// Bytes from the start of the text.
    package let offset: Int

    package var description: String { "\(message) at byte \(offset)" }
}
