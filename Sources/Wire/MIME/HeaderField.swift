// Header fields for messages that we make. Names and values are checked when they are made, so that a header
// cannot be injected: there is no value of these types that holds CR, LF or NUL.

/// A header field name (RFC 5322 §2.2): printable ASCII without the colon. Equal without regard to case.
package struct HeaderName: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// Longest name in octets.
    package static let maximumLength = 128

    package let text: String
    private let folded: [UInt8]

    /// - Throws: ``MIMEError`` `invalid_header_name`.
    package init(_ text: String) throws(MIMEError) {
        guard !text.isEmpty, text.utf8.count <= Self.maximumLength,
            text.utf8.allSatisfy(\.isFieldNameByte)
        else {
            throw MIMEError(.invalidHeaderName, "A header name is 1 to 128 printable ASCII characters, no colon.")
        }
        self.init(unchecked: text)
    }

    /// For names in our own source.
    package init(stringLiteral text: StaticString) {
        let text = String(describing: text)
        precondition(!text.isEmpty && text.utf8.allSatisfy(\.isFieldNameByte), "not a header name: \(text)")
        self.init(unchecked: text)
    }

    private init(unchecked text: String) {
        self.text = text
        self.folded = text.utf8.map(\.asciiLowercased)
    }

    package var description: String { text }
    /// The name in lower case.
    package var lowercased: String { String(decoding: folded, as: UTF8.self) }
    var bytes: some Collection<UInt8> { text.utf8 }

    package static func == (left: HeaderName, right: HeaderName) -> Bool { left.folded == right.folded }
    package func hash(into hasher: inout Hasher) { hasher.combine(folded) }
}

/// The value of a header field as text. Non-ASCII text is written as RFC 2047 encoded words; ASCII goes out as it
/// is, folded at its own spaces.
package struct HeaderValue: Hashable, Sendable, CustomStringConvertible {
    /// Longest value in octets, before encoding.
    package static let maximumLength = 64 * 1024
    /// Longest run without a space in an ASCII value: it cannot be folded, and no line may pass 998 octets.
    package static let maximumWord = 990

    package let text: String

    /// - Throws: ``MIMEError`` `invalid_header_value` for control characters (CR, LF and NUL first of all; TAB is
    ///   allowed), `header_value_too_long` for a value that cannot be folded under 998 octets.
    package init(_ text: String) throws(MIMEError) {
        guard !text.unicodeScalars.contains(where: { $0.isControl && $0 != "\t" }) else {
            throw MIMEError(.invalidHeaderValue, "A header value cannot have line breaks or control characters.")
        }
        let bytes = Array(text.utf8).trimmingWhitespace()
        guard bytes.count <= Self.maximumLength else {
            throw MIMEError(.headerValueTooLong, "A header value cannot be longer than 64 KiB.")
        }
        if bytes.isASCII, bytes.split(whereSeparator: \.isWSP).contains(where: { $0.count > Self.maximumWord }) {
            throw MIMEError(.headerValueTooLong, "A header value cannot have more than 990 characters without a space.")
        }
        self.text = String(decoding: bytes, as: UTF8.self)
    }

    /// For values that this module has put together itself.
    init(trusted text: String) {
        precondition(!text.utf8.contains { $0 == .cr || $0 == .lf || $0 == 0 })
        self.text = text
    }

    package var description: String { text }
}

package struct HeaderField: Hashable, Sendable, CustomStringConvertible {
    package let name: HeaderName
    package let value: HeaderValue

    package init(_ name: HeaderName, _ value: HeaderValue) {
        self.name = name
        self.value = value
    }

    package init(name: String, value: String) throws(MIMEError) {
        self.init(try HeaderName(name), try HeaderValue(value))
    }

    package var description: String { "\(name): \(value)" }

    /// The field as bytes: encoded, folded at 76 columns where it has spaces, with its CRLF.
    package var rendered: [UInt8] {
        var output: [UInt8] = []
        let encoded = value.text.utf8.isASCII ? value.text : EncodedWord.encode(value.text)
        HeaderFolding.append(name: name, value: encoded, to: &output)
        return output
    }
}

/// Folding (RFC 5322 §2.2.3).
enum HeaderFolding {
    /// Octets of a line without CRLF: RFC 5322 §2.1.1 would like 78, RFC 2047 §2 wants 76 beside encoded words.
    static let preferredLength = 76

    /// Appends `name: value CRLF`, with a line break before white space wherever a line would pass 76 octets.
    static func append(name: HeaderName, value: String, to output: inout [UInt8]) {
        output += name.bytes
        output.append(.colon)
        var column = name.bytes.count + 1
        let bytes = Array(value.utf8)
        var index = 0
        while index < bytes.count {
            let spaceStart = index
            while index < bytes.count, bytes[index].isWSP { index += 1 }
            let wordStart = index
            while index < bytes.count, !bytes[index].isWSP { index += 1 }
            // White space at the very end would make a line of nothing but space.
            guard wordStart < index else { break }
            let space = wordStart > spaceStart ? bytes[spaceStart..<wordStart] : [.space]
            let isFirst = spaceStart == 0
            // The first word moves to a line of its own only when it would break the hard limit otherwise.
            let limit = isFirst ? LineDiscipline.maximumLineLength : preferredLength
            if column + space.count + (index - wordStart) > limit {
                output += [.cr, .lf]
                column = 0
            }
            output += space
            output += bytes[wordStart..<index]
            column += space.count + (index - wordStart)
        }
        if bytes.isEmpty { output.append(.space) }
        output += [.cr, .lf]
    }
}
