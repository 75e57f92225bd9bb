// Where a request comes from when a reverse proxy stands in front: only what our own proxies wrote down is believed, for by
// this address attempts are counted and keys are held to their networks.

package import Model

package struct ClientAddress: Sendable {
    private let trusted: [IPNetwork]

    /// - Parameter networks: `POSTERN_TRUSTED_PROXIES`. Without any, a request comes from its socket's peer.
    package init(trusting networks: [IPNetwork]) { trusted = networks }

    /// The last hop that is none of our proxies. Each proxy appends who it spoke with, so that the fields are read from their
    /// end: what stands before the first stranger was sent by that stranger, and may say anything.
    /// - Parameters:
    ///   - peer: as the socket names it.
    ///   - forwarded: the values of `X-Forwarded-For`, in the order in which they came.
    /// - Returns: an address in its usual form. Where a proxy wrote something that is no address, the proxy's own.
    package func address(peer: String?, forwarded: [String]) -> String? {
        guard let peer, var nearest = IPNetwork(address: peer), isTrusted(nearest) else { return peer }
        for value in forwarded.reversed() {
            var rest: Substring.UTF8View? = Substring(value).utf8
            while let hops = rest {
                let comma = hops.lastIndex(of: UInt8(ascii: ","))
                let last = hops[(comma.map(hops.index(after:)) ?? hops.startIndex)...]
                guard let address = Self.hop(last) else { return nearest.description }
                nearest = address
                guard isTrusted(address) else { return address.description }
                rest = comma.map { hops[..<$0] }
            }
        }
        return nearest.description
    }

    private func isTrusted(_ address: IPNetwork) -> Bool { trusted.contains { $0.contains(address) } }

    /// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::7`, `[2001:db8::7]`, `[2001:db8::7]:4711`: proxies write all of these.
    private static func hop(_ text: Substring.UTF8View) -> IPNetwork? {
        var text = text.drop(while: isBlank)
        while let last = text.last, isBlank(last) { text.removeLast() }
        // The longest address has 45 characters. A zone means something on one machine only.
        guard text.count <= 53, !text.contains(UInt8(ascii: "%")) else { return nil }
        if text.first == UInt8(ascii: "[") {
            guard let end = text.firstIndex(of: UInt8(ascii: "]")) else { return nil }
            let inside = text[text.index(after: text.startIndex)..<end]
            // What needs no brackets has none.
            guard inside.contains(UInt8(ascii: ":")), isPort(text[text.index(after: end)...]) else { return nil }
            return IPNetwork(address: String(Substring(inside)))
        }
        // More than one colon is IPv6, where a port needs brackets.
        if let colon = text.firstIndex(of: UInt8(ascii: ":")), text.lastIndex(of: UInt8(ascii: ":")) == colon {
            guard isPort(text[colon...]) else { return nil }
            return IPNetwork(address: String(Substring(text[..<colon])))
        }
        return IPNetwork(address: String(Substring(text)))
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    /// Nothing, or a colon with a number after it.
    private static func isPort(_ text: Substring.UTF8View) -> Bool {
        guard let colon = text.first else { return true }
        let digits = text.dropFirst()
        return colon == UInt8(ascii: ":") && (1...5).contains(digits.count)
            && digits.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}
