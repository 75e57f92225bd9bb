// A network of IP addresses, or one address: from where a caller may come.

import JSON

#if canImport(Glibc)
import Glibc
#endif

/// `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`. An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.7`) is the IPv4
/// address: a socket of both families shows clients so.
package struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    /// 4 or 16 bytes in network order; those beyond the prefix are zero.
    private let bytes: [UInt8]
    /// Bits that count, 0–32 or 0–128.
    private let prefix: Int

    private init(_ bytes: [UInt8], _ prefix: Int) {
        let isMapped = bytes.count == 16 && prefix >= 96 && bytes.starts(with: Self.mapped)
        self.bytes = isMapped ? Array(bytes.dropFirst(12)) : bytes
        self.prefix = isMapped ? prefix - 96 : prefix
    }

    /// - Throws: why the text is neither an address nor a network, in words for the one who wrote it.
    package init(parsing text: String) throws(SettingProblem) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = Self.bytes(String(Substring(parts[0]))) else {
            throw SettingProblem(
                "\"\(text.prefix(60))\" is neither an IP address nor a network such as 192.0.2.0/24 or 2001:db8::/32")
        }
        let width = bytes.count * 8
        guard parts.count == 2 else {
            self.init(bytes, width)
            return
        }
        guard let prefix = Self.number(parts[1]), prefix <= width else {
            throw SettingProblem("\"\(text.prefix(60))\" must have 0 to \(width) after the slash")
        }
        let masked = Self.masked(bytes, prefix)
        guard masked == bytes else {
            let network = IPNetwork(masked, prefix)
            throw SettingProblem("\"\(text.prefix(60))\" is not the beginning of a network; write \(network)")
        }
        self.init(bytes, prefix)
    }

    /// One address, as a socket names its peer: a zone (`%eth0`) is left out.
    /// - Returns: `nil` for anything else.
    package init?(address text: String) {
        guard let bytes = Self.bytes(String(text.prefix { $0 != "%" })) else { return nil }
        self.init(bytes, bytes.count * 8)
    }

    /// Whether every address of the other network is one of this. Families never mix.
    package func contains(_ other: IPNetwork) -> Bool {
        other.bytes.count == bytes.count && other.prefix >= prefix && Self.masked(other.bytes, prefix) == bytes
    }

    package var description: String {
        let isOne = prefix == bytes.count * 8
        return isOne ? Self.text(bytes) : "\(Self.text(bytes))/\(prefix)"
    }

    private static let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]

    /// The C library's judgement, on text that has nothing in it that C reads otherwise, such as a NUL.
    private static func bytes(_ text: String) -> [UInt8]? {
        let isPlain = text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: ":"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                UInt8(ascii: "A")...UInt8(ascii: "F"), UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isPlain, (2...45).contains(text.utf8.count) else { return nil }
        for (family, count) in [(AF_INET, 4), (AF_INET6, 16)] {
            var bytes = [UInt8](repeating: 0, count: count)
            if inet_pton(family, text, &bytes) == 1 { return bytes }
        }
        return nil
    }

    private static func text(_ bytes: [UInt8]) -> String {
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count))
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// 1–3 digits without a leading zero.
    private static func number(_ digits: Substring.UTF8View) -> Int? {
        guard (1...3).contains(digits.count),
            digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            digits.first != UInt8(ascii: "0") || digits.count == 1
        else { return nil }
        return Int(Substring(digits))
    }

    private static func masked(_ bytes: [UInt8], _ prefix: Int) -> [UInt8] {
        bytes.enumerated().map { index, byte in
            let bits = min(max(prefix - index * 8, 0), 8)
            return byte & UInt8(truncatingIfNeeded: 0xFF00 >> bits)
        }
    }
}

extension IPNetwork: SettingElement {
    package static var typeName: String { "IP network" }

    package init(text: String) throws(SettingProblem) { try self.init(parsing: text) }

    package var text: String { description }
}

extension [IPNetwork] {
    /// - Parameter peer: as a socket names it; an address that is not known is in no network.
    package func contain(peer: String?) -> Bool {
        guard let address = peer.flatMap(IPNetwork.init(address:)) else { return false }
        return contains { $0.contains(address) }
    }
}
