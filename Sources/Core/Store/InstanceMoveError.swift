// Why an instance does not move, or did not, in words for the person who moves it. Keys of rows are named, contents never.

package struct InstanceMoveError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The source's schema is not this program's.
        case sourceSchema
        /// Processes work on one of the two databases.
        case inUse
        /// The target has rows that are not the beginning of this move.
        case targetNotEmpty
        /// The two schemas are not the same.
        case schemasDiffer
        /// The target cannot store a text of the source.
        case unstorable
        /// What arrived is not what was there.
        case contentsDiffer
    }

    package let code: Code
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { message }
}
