// `Content-Type`, `Content-Disposition` and `Content-Transfer-Encoding` (RFC 2045, RFC 2183).

package struct ContentType: Hashable, Sendable, CustomStringConvertible {
    /// In lower case: `text`, `multipart` …
    package let type: String
    /// In lower case: `plain`, `mixed` …
    package let subtype: String
    package let parameters: [MIMEParameter]

    package init(type: String, subtype: String, parameters: [MIMEParameter] = []) {
        self.type = type
        self.subtype = subtype
        self.parameters = parameters
    }

    /// RFC 2045 §5.2.
    package static let plainText = ContentType(type: "text", subtype: "plain")
    /// RFC 2046 §5.1.5: what a part of a `multipart/digest` is unless it says otherwise.
    package static let message = ContentType(type: "message", subtype: "rfc822")

    /// Parses a field value; nil when it has no `type/subtype`.
    package init?(parsing bytes: [UInt8], limits: MIMELimits = .default) {
        let (main, parameters) = ParameterParser.parse(bytes, limits: limits)
        let parts = main.split(separator: .ascii("/"), omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty && $0.count <= 127 && $0.allSatisfy(\.isToken) }) else {
            return nil
        }
        self.init(
            type: String(decoding: parts[0].map(\.asciiLowercased), as: UTF8.self),
            subtype: String(decoding: parts[1].map(\.asciiLowercased), as: UTF8.self),
            parameters: parameters
        )
    }

    package init?(parsing text: String) {
        self.init(parsing: Array(text.utf8))
    }

    /// `text/plain`, without parameters.
    package var mediaType: String { "\(type)/\(subtype)" }

    /// Decoded value of a parameter; `name` in lower case.
    package func parameter(_ name: String) -> String? {
        parameters.first { $0.name == name }?.value
    }

    package var charset: String? { parameter("charset") }
    package var isMultipart: Bool { type == "multipart" }
    package var isMessage: Bool { type == "message" && (subtype == "rfc822" || subtype == "global") }

    /// The boundary as bytes. RFC 2046 §5.1.1: white space at its end does not count.
    var boundary: [UInt8]? {
        guard isMultipart, var raw = parameters.first(where: { $0.name == "boundary" })?.rawValue else { return nil }
        while let last = raw.last, last.isWSP { raw.removeLast() }
        return raw.isEmpty ? nil : raw
    }

    /// As a field value, ready for a header. Parameters whose name is not a token are left out.
    package var description: String {
        let writable = parameters.filter { $0.name.utf8.count <= 60 && $0.name.utf8.allSatisfy(\.isToken) }
        return ([mediaType] + writable.flatMap { ParameterEncoder.encode(name: $0.name, value: $0.value) })
            .joined(separator: "; ")
    }
}

package struct ContentDisposition: Hashable, Sendable {
    /// In lower case: `attachment`, `inline` …
    package let kind: String
    package let parameters: [MIMEParameter]

    package init?(parsing bytes: [UInt8], limits: MIMELimits = .default) {
        let (main, parameters) = ParameterParser.parse(bytes, limits: limits)
        // `Content-Disposition: filename=x` leaves out the kind; RFC 2183 §2.8 reads unknown ones as attachment.
        let isKind = !main.isEmpty && main.allSatisfy(\.isToken)
        self.kind = isKind ? String(decoding: main.asciiLowercased(), as: UTF8.self) : "attachment"
        self.parameters = parameters
        if !isKind, parameters.isEmpty { return nil }
    }

    package var filename: String? { parameters.first { $0.name == "filename" }?.value }
    package var isInline: Bool { kind == "inline" }
}

/// RFC 2045 §6.
package enum TransferEncoding: String, Hashable, Sendable {
    case sevenBit = "7bit"
    case eightBit = "8bit"
    case binary
    case base64
    case quotedPrintable = "quoted-printable"
    /// Something else: the body is kept as it is.
    case unknown

    init(parsing bytes: [UInt8]) {
        let (main, _) = ParameterParser.parse(bytes, limits: .default)
        self = TransferEncoding(rawValue: String(decoding: main.asciiLowercased(), as: UTF8.self)) ?? .unknown
    }

    /// Whether the bytes of the body are the content itself.
    package var isIdentity: Bool {
        switch self {
        case .sevenBit, .eightBit, .binary: return true
        case .base64, .quotedPrintable, .unknown: return false
        }
    }

    package func decode(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        switch self {
        case .base64: return Base64.decodeLeniently(bytes)
        case .quotedPrintable: return QuotedPrintable.decode(bytes)
        case .sevenBit, .eightBit, .binary, .unknown: return Array(bytes)
        }
    }
}
