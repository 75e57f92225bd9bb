// The one error of this module: what is wrong with some mail syntax, and where.
// It never carries the offending text, so it can be logged and shown as it is.

package struct MIMEError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A stable, machine-readable reason. Extensible: callers that switch over it need a `default`.
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let name: String

        package init(name: String) {
            self.name = name
        }

        package var description: String { name }

        package static let invalidAddress = Code(name: "invalid_address")
        package static let addressTooLong = Code(name: "address_too_long")
        package static let invalidDomain = Code(name: "invalid_domain")
        package static let invalidAddressList = Code(name: "invalid_address_list")
        package static let tooManyAddresses = Code(name: "too_many_addresses")
        package static let invalidDisplayName = Code(name: "invalid_display_name")
        package static let invalidHeaderName = Code(name: "invalid_header_name")
        package static let invalidHeaderValue = Code(name: "invalid_header_value")
        package static let headerValueTooLong = Code(name: "header_value_too_long")
        package static let reservedHeader = Code(name: "reserved_header")
        package static let headerTooLarge = Code(name: "header_too_large")
        package static let headerLineTooLong = Code(name: "header_line_too_long")
        package static let tooManyHeaders = Code(name: "too_many_headers")
        package static let messageTooLarge = Code(name: "message_too_large")
        package static let tooManyParts = Code(name: "too_many_parts")
        package static let nestingTooDeep = Code(name: "nesting_too_deep")
        package static let invalidContentType = Code(name: "invalid_content_type")
        package static let invalidContentID = Code(name: "invalid_content_id")
        package static let invalidFilename = Code(name: "invalid_filename")
        package static let invalidMessageID = Code(name: "invalid_message_id")
        package static let invalidDate = Code(name: "invalid_date")
    }

    package let code: Code
    /// One sentence for a person; holds no part of the input.
    package let message: String
    /// Byte offset into the input at which the problem was seen, where there is one.
    package let offset: Int?

    package init(_ code: Code, _ message: String, offset: Int? = nil) {
        self.code = code
        self.message = message
        self.offset = offset
    }

    package var description: String {
        guard let offset else { return "\(code): \(message)" }
        return "\(code): \(message) (at byte \(offset))"
    }
}
