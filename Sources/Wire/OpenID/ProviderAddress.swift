// Which addresses a provider may have: TLS everywhere but on this machine.

package enum ProviderAddress {
    /// Why the text is no address of a provider; `nil` when it is one. The words say nothing of the address itself.
    package static func problem(_ text: String, allowsQuery: Bool = false) -> String? {
        guard text.utf8.count <= 2048, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !text.contains("\\") else {
            return "is too long, or holds a space, a control character or a backslash"
        }
        guard let authority = authority(text) else { return "does not begin with https://" }
        guard !authority.contains("@") else { return "holds credentials" }
        guard !host(authority).isEmpty else { return "has no host" }
        guard !text.contains("#"), allowsQuery || !text.contains("?") else { return "has a query or a fragment" }
        guard text.hasPrefix("https://") || isLoopback(text) else {
            return "is http, which only a provider on this machine may be"
        }
        return nil
    }

    /// Whether the address is of this machine itself (RFC 8252 §8.3): the name `localhost` or an address of the loopback.
    package static func isLoopback(_ text: String) -> Bool {
        guard let authority = authority(text) else { return false }
        return ["127.0.0.1", "[::1]", "localhost"].contains(host(authority))
    }

    private static func authority(_ text: String) -> Substring? {
        guard let scheme = ["https://", "http://"].first(where: text.hasPrefix) else { return nil }
        return text.dropFirst(scheme.count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
    }

    private static func host(_ authority: Substring) -> String {
        guard !authority.hasPrefix("[") else {
            return authority.firstIndex(of: "]").map { String(authority[...$0]).lowercased() } ?? ""
        }
        return authority.prefix { $0 != ":" }.lowercased()
    }
}
