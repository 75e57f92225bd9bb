// One mail address, checked once at the edge: a value of this type never holds CR, LF, NUL or a broken domain.

/// An RFC 5321 §4.1.2 mailbox, with the internationalised forms of RFC 6531.
///
/// Equality is exact. To ask whether two spellings reach the same mailbox, compare ``comparisonKey``.
package struct EmailAddress: Hashable, Sendable, CustomStringConvertible {
    /// RFC 5321 §4.5.3.1.1: octets of the local part as it is written on the wire, quotes included.
    package static let maximumLocalPart = 64
    /// RFC 5321 §4.5.3.1.3: a path has 256 octets, and two of them are the angle brackets.
    package static let maximumLength = 254

    /// What stands before the `@`, without quotes and escapes.
    package let localPart: String
    /// A domain name as it was given (Unicode or A-labels), or an address literal with its brackets.
    package let domain: String
    /// The domain in lower-case A-labels (an address literal as it stands): what DNS and policy compare.
    package let asciiDomain: String

    /// Makes an address from its two halves.
    /// - Throws: ``MIMEError`` `invalid_address`, `invalid_domain` or `address_too_long`.
    package init(localPart: String, domain: String) throws(MIMEError) {
        guard Self.isValid(localPart: localPart) else {
            throw MIMEError(.invalidAddress, "The part before the @ has characters that an address cannot have.")
        }
        guard Self.render(localPart: localPart).utf8.count <= Self.maximumLocalPart else {
            throw MIMEError(.addressTooLong, "The part before the @ has more than 64 octets.")
        }
        guard domain.utf8.count <= DomainName.maximumName else {
            throw MIMEError(.addressTooLong, "The domain has more than 255 octets.")
        }
        if DomainName.isAddressLiteral(domain) {
            self.asciiDomain = domain
        } else if let ascii = DomainName.ascii(domain) {
            self.asciiDomain = ascii
        } else {
            throw MIMEError(.invalidDomain, "The part after the @ is not a domain name or an address literal.")
        }
        self.localPart = localPart
        self.domain = domain
        guard max(description.utf8.count, wireForm.utf8.count) <= Self.maximumLength else {
            throw MIMEError(.addressTooLong, "The address has more than 254 octets.")
        }
    }

    /// Parses one bare address: no display name, no comments, no angle brackets, no white space around it.
    package init(parsing text: String) throws(MIMEError) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maximumLength else {
            throw MIMEError(.addressTooLong, "The address has more than 254 octets.")
        }
        let at: Int
        var local: [UInt8] = []
        if bytes.first == .quote {
            guard let end = Self.parseQuotedLocalPart(bytes, into: &local) else {
                throw MIMEError(.invalidAddress, "The quoted part before the @ is not complete.", offset: 0)
            }
            at = end
        } else {
            at = bytes.firstIndex(of: .at) ?? bytes.count
            local = Array(bytes[..<at])
            guard Self.isDotAtom(local) else {
                throw MIMEError(.invalidAddress, "The part before the @ is not a valid local part.", offset: 0)
            }
        }
        guard at < bytes.count, bytes[at] == .at else {
            throw MIMEError(.invalidAddress, "An address needs an @ between its two parts.", offset: at)
        }
        try self.init(
            localPart: String(decoding: local, as: UTF8.self),
            domain: String(decoding: bytes[(at + 1)...], as: UTF8.self)
        )
    }

    /// Parses one bare address from the wire; bytes that are not UTF-8 are no address.
    package init(parsing bytes: some Collection<UInt8>) throws(MIMEError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw MIMEError(.invalidAddress, "The address is not valid UTF-8.")
        }
        try self.init(parsing: text)
    }

    /// The address as it was given, its local part quoted where the grammar asks for it.
    package var description: String { Self.render(localPart: localPart) + "@" + domain }

    /// The address with its domain in A-labels: what goes into envelopes and headers.
    package var wireForm: String { Self.render(localPart: localPart) + "@" + asciiDomain }

    /// Whether the address can only travel by SMTPUTF8 (RFC 6531). A domain alone never needs it.
    package var needsSMTPUTF8: Bool { !localPart.utf8.isASCII }

    /// Equal for two spellings of one mailbox: the domain counts without case and in one form, the local part
    /// exactly as it is (only its own server knows more about it).
    package var comparisonKey: String { wireForm }

    /// The lower-case A-label form of a domain name (`bücher.Example` → `xn--bcher-kva.example`); nil when it is
    /// not a valid domain name. Nothing is mapped but letter case and composition, so look-alikes stay apart.
    package static func normalizedDomain(_ domain: String) -> String? { DomainName.ascii(domain) }

    // MARK: Local part

    private static func isValid(localPart: String) -> Bool {
        guard !localPart.isEmpty else { return false }
        return localPart.unicodeScalars.allSatisfy { scalar in
            guard !scalar.isASCII else { return scalar.value >= 0x20 && scalar.value < 0x7F }
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator: return false
            default:
                return !scalar.isBidiControl && scalar.value != 0xFEFF && !scalar.properties.isNoncharacterCodePoint
            }
        }
    }

    private static func isDotAtom(_ bytes: some Collection<UInt8>) -> Bool {
        var previous = UInt8.dot
        for byte in bytes {
            if byte == .dot {
                if previous == .dot { return false }
            } else if byte < 0x80, !byte.isAtomText {
                return false
            }
            previous = byte
        }
        return previous != .dot
    }

    private static func render(localPart: String) -> String {
        if isDotAtom(localPart.utf8) { return localPart }
        return quoted(localPart)
    }

    /// A quoted string (RFC 5322 §3.2.4) of text without control characters.
    static func quoted(_ text: String) -> String {
        var bytes: [UInt8] = [.quote]
        for byte in text.utf8 {
            if byte == .quote || byte == .backslash { bytes.append(.backslash) }
            bytes.append(byte)
        }
        bytes.append(.quote)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// RFC 5321 §4.1.2 `Quoted-string`. Returns the offset behind the closing quote.
    private static func parseQuotedLocalPart(_ bytes: [UInt8], into local: inout [UInt8]) -> Int? {
        var index = 1
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case .quote:
                return index + 1
            case .backslash:
                guard index + 1 < bytes.count, bytes[index + 1] >= 0x20, bytes[index + 1] < 0x7F else { return nil }
                local.append(bytes[index + 1])
                index += 2
            default:
                local.append(byte)
                index += 1
            }
        }
        return nil
    }
}
