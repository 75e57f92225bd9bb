// Why a body is not the form that its type promises. Never carries the offending text, so that it can be shown and logged.

package struct FormError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable reason. Extensible: callers that switch over it need a `default`.
    package struct Code: Hashable, Sendable {
        package let name: String

        package init(name: String) { self.name = name }

        /// The bytes do not follow the format.
        package static let malformed = Code(name: "malformed")
        /// More fields or bytes than are allowed.
        package static let tooLarge = Code(name: "too_large")
        /// The Content-Type is not that of a form.
        package static let notAForm = Code(name: "not_a_form")
    }

    package let code: Code
    /// One sentence for a person.
    package let message: String
    /// Bytes from the start of the body, where there is a place to name.
    package let offset: Int?

    package init(_ code: Code, _ message: String, offset: Int? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    package var description: String { offset.map { "\(message) at byte \($0)" } ?? message }
}
