// Where an operator's service is, and how to show who asks. Its description can be logged: it never holds the credentials.

import MIME
package import Sealing

/// A service that the operator configured: base address and the Authorization that every request to it carries.
package struct WebEndpoint: Sendable, CustomStringConvertible, CustomReflectable {
    /// Scheme, host and port.
    package let origin: String
    /// The origin with the base path, without credentials and without a slash at the end; of a whole address, all of it. Not
    /// for showing: a webhook's path and query can be its secret.
    let base: String
    /// The value of the Authorization field.
    package let authorization: Secret<String>?

    /// Reads `https://user:password@host:port/base`. Credentials in it become HTTP Basic (RFC 7617).
    /// - Parameter isWhole: the address is one resource, to be asked with an empty target; it may have a query.
    /// - Throws: `invalidURL`; the message never repeats the text, because credentials may stand in it.
    package static func parse(_ text: String, isWhole: Bool = false) throws(WebError) -> WebEndpoint {
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }), !text.contains("\\") else {
            throw WebError(.invalidURL, "the address holds a space, a control character or a backslash")
        }
        let lowercased = text.lowercased()
        guard let scheme = ["http://", "https://"].first(where: lowercased.hasPrefix) else {
            throw WebError(.invalidURL, "the address does not begin with http:// or https://")
        }
        var rest = text.dropFirst(scheme.count)
        guard !rest.contains("#"), isWhole || !rest.contains("?") else {
            throw WebError(.invalidURL, "the address has a query or a fragment")
        }
        let path = rest.firstIndex { $0 == "/" || $0 == "?" }.map { rest[$0...] } ?? ""
        rest = rest.prefix { $0 != "/" && $0 != "?" }
        var authorization: Secret<String>?
        if let at = rest.lastIndex(of: "@") {
            authorization = try basic(userInfo: rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        let hostAndPort = rest.lowercased()
        try check(hostAndPort)
        let origin = scheme + hostAndPort
        var base = origin + path
        while !isWhole, base.last == "/" { base.removeLast() }
        return WebEndpoint(origin: origin, base: base, authorization: authorization)
    }

    /// The same service, asked with a token (RFC 6750).
    package func authorized(token: Secret<String>) throws(WebError) -> WebEndpoint {
        guard !token.reveal().isEmpty, token.reveal().utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw WebError(.invalidURL, "the token is empty, or holds a character that no token has")
        }
        return WebEndpoint(origin: origin, base: base, authorization: Secret("Bearer \(token.reveal())"))
    }

    /// The same service, asked with a name and a password (RFC 7617).
    package func authorized(username: String, password: Secret<String>) throws(WebError) -> WebEndpoint {
        let authorization = try Self.basic(username: username, password: password)
        return WebEndpoint(origin: origin, base: base, authorization: authorization)
    }

    private static func basic(username: String, password: Secret<String>) throws(WebError) -> Secret<String> {
        let pair = "\(username):\(password.reveal())"
        guard !username.isEmpty, !username.contains(":"), pair.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw WebError(.invalidURL, "the user name is empty or holds a colon, or there is a control character")
        }
        let encoded = String(decoding: Base64.encode(Array(pair.utf8)), as: UTF8.self)
        return Secret("Basic \(encoded)")
    }

    package var description: String { origin }
    package var customMirror: Mirror { Mirror(self, children: []) }

    private static func check(_ hostAndPort: String) throws(WebError) {
        var host = hostAndPort[...]
        if host.hasPrefix("[") {
            guard let end = host.firstIndex(of: "]"), end > host.index(after: host.startIndex) else {
                throw WebError(.invalidURL, "the address has a bracket without an IPv6 address in it")
            }
            host = host[host.index(after: end)...]
        } else {
            let name = host.prefix { $0 != ":" }
            guard !name.isEmpty, name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "." || $0 == "-" || $0 == "_" })
            else { throw WebError(.invalidURL, "the address has no host name, or one that cannot be") }
            host = host.dropFirst(name.count)
        }
        guard !host.isEmpty else { return }
        guard host.first == ":", let port = Int(host.dropFirst()), (1...65_535).contains(port) else {
            throw WebError(.invalidURL, "the address has a port that is none")
        }
    }

    private static func basic(userInfo: Substring) throws(WebError) -> Secret<String> {
        guard let colon = userInfo.firstIndex(of: ":"), let name = percentDecoded(userInfo[..<colon]),
            let password = percentDecoded(userInfo[userInfo.index(after: colon)...]), !name.isEmpty
        else { throw WebError(.invalidURL, "the credentials in the address are not user:password, percent-encoded") }
        return try basic(username: name, password: Secret(password))
    }

    private static func percentDecoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2, rest.first != UInt8(ascii: "+"), rest.first != UInt8(ascii: "-"),
                let value = UInt8(String(Substring(rest.prefix(2))), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
