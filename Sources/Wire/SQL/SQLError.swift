// Why the database could not do what it was asked. The description names the kind of trouble, never SQL or values.

package struct SQLError: Error, Sendable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// A unique key, a foreign key or a check was violated.
        case constraint
        /// The engine is busy, out of reach or shutting down: worth another try.
        case unavailable
        /// The disk is full or an I/O error happened.
        case storage
        /// More work is waiting than the limit allows: worth another try.
        case overloaded
        /// A column held something other than what the repository expects.
        case unexpectedValue
        /// Anything else: a mistake in our SQL.
        case failure
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    /// Whether the same work may succeed a little later.
    package var isTransient: Bool { code == .unavailable || code == .overloaded || code == .storage }

    package var description: String { "database \(code.rawValue): \(message)" }
}
