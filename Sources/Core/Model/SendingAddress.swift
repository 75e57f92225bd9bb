// An IP address that mail leaves from, in the one way of writing it, so that two spellings are not two addresses.

#if canImport(Glibc)
import Glibc
#endif

package enum SendingAddress {
    /// IPv4 as dotted decimals, IPv6 as RFC 5952 has it.
    /// - Returns: `nil` when the text is neither.
    package static func normalized(_ text: String) -> String? {
        // Only these can stand in an address; what C takes for the end of a text cannot.
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        guard isPlain else { return nil }
        return normalized(text, AF_INET) ?? normalized(text, AF_INET6)
    }

    private static func normalized(_ text: String, _ family: Int32) -> String? {
        // Large enough for both families.
        var address = in6_addr()
        guard inet_pton(family, text, &address) == 1 else { return nil }
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
            guard let base = buffer.baseAddress,
                let written = inet_ntop(family, &address, base, socklen_t(buffer.count))
            else { return nil }
            return String(cString: written)
        }
    }
}
