// Texts that go into commands, checked once so that no command can be broken out of.

/// A forward or reverse path without its angle brackets (RFC 5321 §4.1.2). The syntax of addresses is not judged here,
/// only what would let one end early, hold a second command or smuggle parameters.
struct SMTPPath: Hashable, Sendable {
    let text: String
    /// Needs SMTPUTF8 (RFC 6531 §3.3).
    let isInternationalized: Bool

    static let null = SMTPPath(text: "", isInternationalized: false)

    private init(text: String, isInternationalized: Bool) {
        self.text = text
        self.isInternationalized = isInternationalized
    }

    /// Nil for an empty path, control characters, more than 254 octets (RFC 5321 §4.5.3.1.3), or a space or angle
    /// bracket outside of a quoted string.
    init?(_ address: String) {
        guard !address.isEmpty, address.utf8.count <= 254 else { return nil }
        var quoted = false
        var escaped = false
        var internationalized = false
        for byte in address.utf8 {
            if byte < 0x20 || byte == 0x7F { return nil }
            if byte >= 0x80 { internationalized = true }
            if escaped {
                escaped = false
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): quoted.toggle()
            case UInt8(ascii: "\\"):
                guard quoted else { return nil }
                escaped = true
            case UInt8(ascii: " "), UInt8(ascii: "<"), UInt8(ascii: ">"):
                guard quoted else { return nil }
            default: break
            }
        }
        guard !quoted else { return nil }
        self.init(text: address, isInternationalized: internationalized)
    }
}

/// The name after EHLO: a domain or an address literal.
struct SMTPHelloName: Hashable, Sendable {
    let text: String

    /// Nil when empty, longer than 255 octets, or not printable ASCII without spaces.
    init?(_ name: String) {
        guard (1...255).contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            return nil
        }
        text = name
    }
}

extension UInt8 {
    var isASCIIDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    var isASCIILetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) }
}
