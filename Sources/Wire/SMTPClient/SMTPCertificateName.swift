// Is this certificate for the name that we wanted? A second look, for NIOSSL's own is content with less than we need.

import NIOSSL

/// NIOSSL accepts a certificate for the peer's *address* even where a name was asked for. Who can bend DNS could then pass
/// with a public certificate for an address of their own. A server known by name must prove that name (RFC 9525 §6.1).
enum SMTPCertificateName {
    /// To be called after NIOSSL's checks. A certificate without any alternative names has passed by its common name.
    static func matches(_ certificate: NIOSSLCertificate, name: String) -> Bool {
        var hasNames = false
        for alternative in certificate._subjectAlternativeNames() {
            hasNames = true
            if alternative.nameType == .dnsName, matches(Array(alternative.contents), name: name) { return true }
        }
        return !hasNames
    }

    /// RFC 9525 §6.3: case does not matter; a `*` stands for exactly one whole left-most label.
    static func matches(_ pattern: [UInt8], name: String) -> Bool {
        let pattern = labels(of: pattern)
        let name = labels(of: Array(name.utf8))
        guard pattern.count == name.count, name.count > 0, !name.contains([]) else { return false }
        if pattern[0] == [UInt8(ascii: "*")] {
            return name.count > 2 && pattern.dropFirst() == name.dropFirst()
        }
        return pattern == name
    }

    private static func labels(of name: [UInt8]) -> [[UInt8]] {
        let relative = name.last == UInt8(ascii: ".") ? name.dropLast() : name[...]
        return relative.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { label in
            label.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 }
        }
    }
}
