// Keeps secrets out of the audit log, whoever makes the entry: a member named like one is only ever said to be set or not.

package import JSON

package enum AuditMask {
    /// Words that name a secret wherever they stand in a name.
    private static let words: Set<String> = [
        "password", "passwords", "passwd", "passphrase", "pwd", "secret", "secrets", "token", "tokens", "credential",
        "credentials", "authorization", "cookie", "cookies", "totp", "otp", "apikey",
    ]
    /// Words that make a secret of the `key`, `code` or `text` after them.
    private static let kinds: Set<String> = [
        "api", "private", "master", "data", "signing", "access", "recovery", "encryption", "shared", "hmac", "auth",
    ]

    /// The value with its secrets masked. Numbers and booleans stay: they are limits and switches.
    package static func masked(_ value: JSONValue) -> JSONValue {
        switch value {
        case .null, .bool, .integer, .number: value
        case .string(let text): isSecretText(text) ? .string("‹secret›") : value
        case .array(let elements): .array(elements.map(masked))
        case .object(let object): .object(masked(object))
        }
    }

    private static func masked(_ object: JSONObject) -> JSONObject {
        var copy = JSONObject()
        for member in object.members {
            copy[member.name] = isSecretName(member.name) ? hidden(member.value) : masked(member.value)
        }
        return copy
    }

    private static func hidden(_ value: JSONValue) -> JSONValue {
        switch value {
        case .null, .bool, .integer, .number: value
        // Such as `{"set":true}`: it says how it is, and not what.
        case .object(let object) where object.members.allSatisfy { $0.value == .null || $0.value.boolValue != nil }:
            value
        case .string(let text): .isSet(!text.isEmpty)
        case .array(let elements): .isSet(!elements.isEmpty)
        case .object(let object): .isSet(!object.members.isEmpty)
        }
    }

    /// Whether a member of this name holds a secret: `smarthost_password`, `apiKey`, `X-Auth-Token`.
    package static func isSecretName(_ name: String) -> Bool {
        let parts = parts(of: name)
        if parts.contains(where: words.contains) { return true }
        return zip(parts, parts.dropFirst()).contains { first, second in
            kinds.contains(first) && ["key", "keys", "code", "codes"].contains(second)
        }
    }

    /// The words of a name, in lower case: `apiKey` and `API-KEY` have the same.
    private static func parts(of name: String) -> [String] {
        var parts: [String] = []
        var part = ""
        var followsLower = false
        for scalar in name.unicodeScalars {
            let isWord = scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            let isUpper = scalar.properties.isUppercase
            if !isWord || (isUpper && followsLower) {
                if !part.isEmpty { parts.append(part.lowercased()) }
                part = ""
            }
            if isWord { part.unicodeScalars.append(scalar) }
            followsLower = isWord && !isUpper
        }
        if !part.isEmpty { parts.append(part.lowercased()) }
        return parts
    }

    /// Whether a text has the form of something that signs in: an API key, a refresh or one-time token.
    private static func isSecretText(_ text: String) -> Bool {
        for part in text.utf8.split(whereSeparator: { !isTokenByte($0) }) where part.count >= 46 {
            let pieces = part.split(separator: UInt8(ascii: "_"))
            // Their random part has 43 characters, after a prefix of letters.
            if pieces.count >= 2, let last = pieces.last, last.count == 43, pieces[0].count <= 4 { return true }
        }
        return false
    }

    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }
}
