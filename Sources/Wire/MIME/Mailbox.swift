// A mailbox: an address and the name that people see beside it (RFC 5322 §3.4).

package struct Mailbox: Hashable, Sendable, CustomStringConvertible {
    /// Longest display name in UTF-8 octets: far beyond any real one.
    package static let maximumName = 512

    /// The display name, decoded; nil when there is none. Never empty, never with control characters.
    package let name: String?
    package let address: EmailAddress

    package init(_ address: EmailAddress) {
        self.name = nil
        self.address = address
    }

    /// - Throws: ``MIMEError`` `invalid_display_name` when the name has control characters (CR, LF and NUL among
    ///   them) or is too long. An empty name counts as none.
    package init(name: String?, address: EmailAddress) throws(MIMEError) {
        if let name {
            guard !name.unicodeScalars.contains(where: \.isControl) else {
                throw MIMEError(.invalidDisplayName, "A display name cannot have line breaks or control characters.")
            }
            guard name.utf8.count <= Self.maximumName else {
                throw MIMEError(.invalidDisplayName, "A display name cannot be longer than 512 octets.")
            }
        }
        self.init(tolerating: name, address: address)
    }

    /// For names out of parsed mail: cleans where the public initialiser refuses.
    init(tolerating name: String?, address: EmailAddress) {
        let cleaned = name.map { Array($0.withoutControls.utf8).trimmingWhitespace() } ?? []
        self.name = cleaned.isEmpty ? nil : String(decoding: cleaned, as: UTF8.self)
        self.address = address
    }

    /// For people and logs: `Ann Example <ann@example.com>`. Not for a message; see ``headerForm``.
    package var description: String {
        guard let name else { return address.description }
        return "\(name) <\(address)>"
    }

    /// The mailbox as it stands in a header: quoted or RFC 2047-encoded as needed. ASCII, unless the local part of
    /// the address is not (RFC 6532).
    package var headerForm: String {
        guard let name else { return address.wireForm }
        return "\(Self.encodedPhrase(name)) <\(address.wireForm)>"
    }

    /// RFC 5322 `phrase`: bare atoms where that is enough, a quoted string, or encoded words.
    static func encodedPhrase(_ name: String) -> String {
        let bytes = Array(name.utf8)
        let words = bytes.split(separator: .space, omittingEmptySubsequences: false)
        let foldable = words.allSatisfy { $0.count <= EncodedWord.maximumLength }
        guard bytes.isASCII, foldable, !EncodedWord.looksEncoded(bytes) else {
            return EncodedWord.encode(name, phrase: true)
        }
        let plain = words.allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isAtomText) }
        return plain ? name : EmailAddress.quoted(name)
    }
}
