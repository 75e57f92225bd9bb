// Why a document cannot be MailerQ's, or cannot be written for it.

package struct MailerQError: Error, Hashable, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable {
        package let rawValue: String
        private init(_ rawValue: String) { self.rawValue = rawValue }

        /// More bytes than ``MailerQLimits/documentBytes``.
        package static let tooLarge = Code("too_large")
        /// Not JSON, not even after mending.
        package static let notJSON = Code("not_json")
        /// JSON, but nothing that MailerQ publishes as a result.
        package static let notAResult = Code("not_a_result")
        /// A finished message whose bytes no JSON string can hold.
        package static let notUTF8 = Code("not_utf8")
    }

    package let code: Code
    /// Our own words; never shows the document.
    package let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "\(code.rawValue): \(message)" }
}
