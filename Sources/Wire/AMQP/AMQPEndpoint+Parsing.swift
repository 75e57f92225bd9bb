// Broker URLs, https://www.rabbitmq.com/docs/uri-spec: librabbitmq's own parser takes no query and no list.
// No message here repeats the URL: it holds the password.

extension AMQPEndpoint {
    /// Reads `amqp[s]://[user[:password]@]host[:port][/vhost][?query]`; several, separated by commas, are a cluster, tried
    /// in order. User, password and virtual host are percent-decoded (a comma in them is `%2C`). Without a path, and with
    /// the path `/` alone, the virtual host is `/`.
    /// - Throws: `AMQPError` (`configuration`) that says what is wrong and where.
    package static func parse(_ text: String) throws(AMQPError) -> [AMQPEndpoint] {
        var endpoints: [AMQPEndpoint] = []
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        for (position, part) in parts.enumerated() {
            let place = parts.count > 1 ? "broker URL \(position + 1)" : "broker URL"
            var parser = AMQPURLParser(place: place)
            endpoints.append(try parser.parse(Substring(part.trimmingSpaces)))
        }
        return endpoints
    }
}

private struct AMQPURLParser {
    let place: String

    private func wrong(_ what: String) -> AMQPError { AMQPError(.configuration, "\(place): \(what)") }

    mutating func parse(_ text: Substring) throws(AMQPError) -> AMQPEndpoint {
        guard !text.isEmpty else { throw wrong("is empty") }
        guard let scheme = text.firstRange(of: "://") else { throw wrong("has no scheme: write amqp:// or amqps://") }
        let usesTLS: Bool
        switch text[..<scheme.lowerBound].lowercased() {
        case "amqp": usesTLS = false
        case "amqps": usesTLS = true
        default: throw wrong("has a scheme other than amqp and amqps")
        }
        var rest = text[scheme.upperBound...]
        guard !rest.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) else {
            throw wrong("holds a space or a control character; percent-encode it")
        }
        guard !rest.utf8.contains(UInt8(ascii: "#")) else {
            throw wrong("holds '#', which starts a fragment; percent-encode it as %23")
        }
        let query = cut(&rest, at: "?")
        let path = cut(&rest, at: "/")
        var authority = rest
        var login: Substring?
        if let at = authority.lastIndex(of: "@") {
            login = authority[..<at]
            authority = authority[authority.index(after: at)...]
            guard login?.contains("@") == false else { throw wrong("holds '@' in the login; percent-encode it as %40") }
        }
        let (host, port) = try address(authority)
        var endpoint = AMQPEndpoint(
            host: host, port: port ?? (usesTLS ? 5671 : 5672), username: "guest", password: AMQPPassword("guest"),
            virtualHost: "/", usesTLS: usesTLS)
        if let login {
            var user = login
            let password = cut(&user, at: ":")
            endpoint.username = try decode(user, "user name")
            endpoint.password = AMQPPassword(try decode(password ?? "", "password"))
        }
        if let path, !path.isEmpty {
            guard !path.contains("/") else { throw wrong("has more than one path segment; write '/' in a name as %2F") }
            endpoint.virtualHost = try decode(path, "virtual host")
        }
        guard endpoint.virtualHost.utf8.count <= 255 else { throw wrong("virtual host is longer than 255 bytes") }
        if let query { try parameters(query, into: &endpoint) }
        return endpoint
    }

    /// Takes from `rest` what follows the first `mark`, and the mark.
    private func cut(_ rest: inout Substring, at mark: Character) -> Substring? {
        guard let index = rest.firstIndex(of: mark) else { return nil }
        defer { rest = rest[..<index] }
        return rest[rest.index(after: index)...]
    }

    private func address(_ authority: Substring) throws(AMQPError) -> (String, Int?) {
        var host = authority
        var port: Substring?
        if authority.hasPrefix("[") {
            guard let close = authority.lastIndex(of: "]") else { throw wrong("IPv6 address lacks its ']'") }
            host = authority[authority.index(after: authority.startIndex)..<close]
            let after = authority[authority.index(after: close)...]
            guard after.isEmpty || after.hasPrefix(":") else {
                throw wrong("something stands between ']' and the port")
            }
            port = after.isEmpty ? nil : after.dropFirst()
            guard host.utf8.contains(UInt8(ascii: ":")) else { throw wrong("brackets hold no IPv6 address") }
            guard host.utf8.allSatisfy({ $0.isHexadecimal || ":.%".utf8.contains($0) }) else {
                throw wrong("brackets hold no IPv6 address")
            }
        } else {
            port = cut(&host, at: ":")
            guard host.utf8.allSatisfy({ $0.isHostByte }) else {
                throw wrong("host holds a character that no host name has")
            }
        }
        guard !host.isEmpty else { throw wrong("has no host") }
        guard host.utf8.count <= 253 else { throw wrong("host is longer than 253 bytes") }
        guard let port else { return (String(host), nil) }
        guard !port.isEmpty, port.utf8.allSatisfy({ $0.isDigit }), let number = Int(port), 1...65535 ~= number else {
            throw wrong(
                "port is not a number from 1 to 65535 (a password with ':', '/' or '@' must be percent-encoded)")
        }
        return (String(host), number)
    }

    private func decode(_ text: Substring, _ what: String) throws(AMQPError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst()?.hexadecimalValue, let low = rest.popFirst()?.hexadecimalValue else {
                throw wrong("'%' without two hexadecimal digits in the \(what); a '%' itself is %25")
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw wrong("\(what) is not UTF-8 text")
        }
        return decoded
    }

    private func parameters(_ query: Substring, into endpoint: inout AMQPEndpoint) throws(AMQPError) {
        for pair in query.split(separator: "&") {
            var name = pair
            let value = try decode(cut(&name, at: "=") ?? "", "query")
            switch name {
            case "heartbeat":
                guard let seconds = Int(value), 0...65535 ~= seconds else {
                    throw wrong("heartbeat is not a number of seconds from 0 to 65535")
                }
                endpoint.heartbeat = seconds
            case "connection_timeout":
                guard let milliseconds = Int(value), 1...3_600_000 ~= milliseconds else {
                    throw wrong("connection_timeout is not a number of milliseconds from 1 to 3600000")
                }
                endpoint.connectTimeout = .milliseconds(milliseconds)
            case "cacertfile":
                guard !value.isEmpty else { throw wrong("cacertfile is empty") }
                endpoint.caFile = value
            case "verify":
                guard value == "verify_peer" else {
                    throw wrong("verify can only be verify_peer: certificates are always verified")
                }
            case "auth_mechanism":
                guard value == "plain" else { throw wrong("auth_mechanism can only be plain") }
            default:
                throw wrong("query has a parameter other than heartbeat, connection_timeout and cacertfile")
            }
        }
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { 0x30...0x39 ~= self }
    fileprivate var isHexadecimal: Bool { hexadecimalValue != nil }
    fileprivate var isLetter: Bool { 0x41...0x5A ~= self || 0x61...0x7A ~= self }
    fileprivate var isHostByte: Bool { isDigit || isLetter || self == 0x2D || self == 0x2E || self == 0x5F }

    fileprivate var hexadecimalValue: UInt8? {
        switch self {
        case 0x30...0x39: self - 0x30
        case 0x41...0x46: self - 0x41 + 10
        case 0x61...0x66: self - 0x61 + 10
        default: nil
        }
    }
}

extension Substring {
    fileprivate var trimmingSpaces: Substring {
        var rest = self
        while let first = rest.first, first.isWhitespace { rest.removeFirst() }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return rest
    }

    /// The first place of an ASCII text.
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(text) {
                return index..<self.index(index, offsetBy: text.count)
            }
            index = self.index(after: index)
        }
        return nil
    }
}
