// The short name of a vault: what people and programs write in addresses and headers.

import Model

package enum VaultSlug {
    /// 1 to 63 small letters, digits and hyphens, with a letter or digit at both ends. No id looks like that, and every host
    /// name may have it as a label (RFC 1035 section 2.3.1, as RFC 1123 widened it).
    package static func isValid(_ text: String) -> Bool {
        let bytes = text.utf8
        guard (1...63).contains(bytes.count), let first = bytes.first, let last = bytes.last else { return false }
        return first != hyphen && last != hyphen && bytes.allSatisfy { isLetterOrDigit($0) || $0 == hyphen }
    }

    /// Names that mean something else where a slug may stand.
    package static let reserved: Set<String> = ["instance", "all", "new", "none"]

    private static let hyphen = UInt8(ascii: "-")

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
        default: false
        }
    }
}
