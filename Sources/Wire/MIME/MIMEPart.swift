// A message or a part of one, as ranges into the original bytes: nothing is copied until it is asked for.

package struct MIMEPart: Sendable {
    package let headers: HeaderBlock
    package let contentType: ContentType
    package let transferEncoding: TransferEncoding
    package let disposition: ContentDisposition?
    /// Header and body.
    package let range: Range<Int>
    package let headerRange: Range<Int>
    /// Without the line end that belongs to the boundary behind it (RFC 2046 §5.1.1).
    package let bodyRange: Range<Int>
    /// Parts of a multipart; the one enclosed message of a `message/rfc822`.
    package let children: [MIMEPart]

    /// The name that the sender gave it, decoded. For show only: it may say `../../etc/passwd`.
    package var filename: String? {
        disposition?.filename ?? contentType.parameter("name")
    }

    /// `Content-ID` without its angle brackets.
    package var contentID: String? {
        headers.unfoldedValue("content-id").flatMap(MessageID.strip)
    }

    package var isLeaf: Bool { children.isEmpty && !contentType.isMultipart }
    package var isText: Bool { contentType.type == "text" }

    /// Whether a person would call it an attachment: marked as one, or named, or neither text nor a container.
    package var isAttachment: Bool {
        if contentType.isMultipart { return false }
        if let disposition, !disposition.isInline { return true }
        if contentType.isMessage { return true }
        return !isText || filename != nil
    }

    /// The content with its transfer encoding undone.
    package func decodedBody(in bytes: [UInt8]) -> [UInt8] {
        transferEncoding.decode(bytes[bodyRange])
    }

    /// The content as text by its charset, lines separated by LF. Bytes that are not valid become U+FFFD.
    package func text(in bytes: [UInt8]) -> String {
        Charset.decode(decodedBody(in: bytes), charset: contentType.charset).withPlainNewlines
    }

    /// This part and all below it, from top to bottom.
    package var all: [MIMEPart] {
        var result: [MIMEPart] = []
        collect(descendingIntoMessages: true, into: &result)
        return result
    }

    /// This part and all below it, enclosed messages counted as one.
    var ownParts: [MIMEPart] {
        var result: [MIMEPart] = []
        collect(descendingIntoMessages: false, into: &result)
        return result
    }

    private func collect(descendingIntoMessages: Bool, into result: inout [MIMEPart]) {
        result.append(self)
        guard descendingIntoMessages || contentType.isMultipart else { return }
        for child in children { child.collect(descendingIntoMessages: descendingIntoMessages, into: &result) }
    }
}

extension String {
    /// CRLF and bare CR as LF. (In Swift a CRLF is one `Character`, a trap for whoever splits this later.)
    var withPlainNewlines: String {
        guard utf8.contains(.cr) else { return self }
        var result: [UInt8] = []
        result.reserveCapacity(utf8.count)
        var previous: UInt8 = 0
        for byte in utf8 {
            if byte == .cr {
                result.append(.lf)
            } else if byte != .lf || previous != .cr {
                result.append(byte)
            }
            previous = byte
        }
        return String(decoding: result, as: UTF8.self)
    }
}

/// Message and content ids (RFC 5322 §3.6.4).
package enum MessageID {
    /// The id in a field value without angle brackets, comments dropped; nil when there is none.
    package static func strip(_ value: [UInt8]) -> String? {
        let inner: ArraySlice<UInt8>
        if let open = value.firstIndex(of: .ascii("<")), let close = value[open...].firstIndex(of: .ascii(">")) {
            inner = value[(open + 1)..<close]
        } else {
            inner = value.trimmingWhitespace()
        }
        let text = inner.filter { !$0.isLineWhitespace && !$0.isControl }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }

    /// All ids of a `References` or `In-Reply-To` value, without angle brackets.
    package static func all(in value: [UInt8]) -> [String] {
        var result: [String] = []
        var open: Int?
        for (index, byte) in value.enumerated() {
            if byte == .ascii("<") {
                open = index + 1
            } else if byte == .ascii(">"), let start = open {
                if let id = strip(Array(value[start..<index])) { result.append(id) }
                open = nil
            }
        }
        return result
    }

    /// `left@right`, ASCII without spaces, brackets and controls, as we write ids ourselves. Takes the id with or
    /// without angle brackets; nil when it is not one.
    package static func normalized(_ text: String) -> String? {
        var bytes = Array(text.utf8)[...]
        if bytes.first == .ascii("<"), bytes.last == .ascii(">") { bytes = bytes.dropFirst().dropLast() }
        let sides = bytes.split(separator: .at, omittingEmptySubsequences: false)
        guard bytes.count <= 250, sides.count == 2, sides.allSatisfy({ !$0.isEmpty }),
            bytes.allSatisfy({
                $0.isAtomText || $0 == .dot || $0 == .at || $0 == .colon || $0 == .ascii("[")
                    || $0 == .ascii("]")
            })
        else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
