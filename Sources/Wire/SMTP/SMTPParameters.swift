// The `KEYWORD=value` parameters behind MAIL and RCPT (RFC 5321 §4.1.1.11) and what the known ones mean.

import NIOCore

/// One parameter as written; the keyword in upper case.
struct SMTPParameter {
    let keyword: String
    let value: String?

    /// Takes spaces and one parameter; `nil` at the end of the line.
    init?(_ cursor: inout SMTPCursor) throws(SMTPCommandError) {
        guard !cursor.isAtEnd else { return nil }
        guard cursor.peek == .space else {
            throw .syntax("Put a space before each parameter.")
        }
        cursor.skipSpaces()
        let keyword = cursor.read(while: { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") })
        guard let first = keyword.first, first.isLetterOrDigit else {
            throw .syntax("A parameter is a keyword, or a keyword, an equals sign and a value.")
        }
        self.keyword = String(decoding: keyword, as: UTF8.self).uppercased()
        guard cursor.skip(UInt8(ascii: "=")) else {
            self.value = nil
            return
        }
        // esmtp-value is 33–126 without "=", and UTF-8 (RFC 6531 §3.3).
        let bytes = cursor.read(while: { $0 > .space && $0 != 0x7F && $0 != UInt8(ascii: "=") })
        guard !bytes.isEmpty, let value = String(validating: bytes, as: UTF8.self) else {
            throw .syntax("The value of \(self.keyword) is malformed.")
        }
        self.value = value
    }

    /// Takes all parameters to the end of the line; none may come twice.
    static func all(_ cursor: inout SMTPCursor) throws(SMTPCommandError) -> [SMTPParameter] {
        var parameters: [SMTPParameter] = []
        while let parameter = try SMTPParameter(&cursor) {
            guard !parameters.contains(where: { $0.keyword == parameter.keyword }) else {
                throw .parameter("Give \(parameter.keyword) only once.")
            }
            parameters.append(parameter)
        }
        return parameters
    }
}

extension SMTPReversePath {
    mutating func apply(_ parameter: SMTPParameter) throws(SMTPCommandError) {
        switch (parameter.keyword, parameter.value) {
        case ("SIZE", let value?):
            // RFC 1870 §3: up to 20 digits, which may be more than an Int holds.
            guard value.utf8.count <= 20, value.utf8.allSatisfy(\.isDigit) else {
                throw .parameter("SIZE is the number of octets of the message, in digits.")
            }
            size = Int(value) ?? .max
        case ("BODY", let value?):
            guard let body = SMTPBodyType(rawValue: value.uppercased()) else {
                throw .parameter("BODY is 7BIT or 8BITMIME.")
            }
            self.body = body
        case ("SMTPUTF8", nil):
            smtputf8 = true
        case ("RET", let value?):
            guard let ret = SMTPReturnContent(rawValue: value.uppercased()) else {
                throw .parameter("RET is FULL or HDRS.")
            }
            self.ret = ret
        case ("ENVID", let value?):
            guard value.utf8.count <= 100, SMTPXText.decode(value) != nil else {
                throw .parameter("ENVID is up to 100 octets of xtext (RFC 3461).")
            }
            envid = value
        case ("AUTH", let value?):
            guard let mailbox = SMTPXText.decode(value) else {
                throw .parameter("AUTH is an address in xtext, or <> (RFC 4954).")
            }
            auth = mailbox == "<>" ? "" : mailbox
        case ("SIZE", nil), ("BODY", nil), ("RET", nil), ("ENVID", nil), ("AUTH", nil):
            throw .parameter("\(parameter.keyword) needs a value.")
        case ("SMTPUTF8", _?):
            throw .parameter("SMTPUTF8 takes no value.")
        default:
            throw .unknownParameter(parameter.keyword, of: "MAIL")
        }
    }
}

extension SMTPRecipient {
    mutating func apply(_ parameter: SMTPParameter) throws(SMTPCommandError) {
        switch (parameter.keyword, parameter.value) {
        case ("NOTIFY", let value?):
            guard let notify = SMTPNotify(value) else {
                throw .parameter("NOTIFY is NEVER, or a list of SUCCESS, FAILURE and DELAY.")
            }
            self.notify = notify
        case ("ORCPT", let value?):
            let parts = value.split(separator: ";", maxSplits: 1, omittingEmptySubsequences: false)
            guard value.utf8.count <= 500, parts.count == 2, SMTPXText.decode(String(parts[1])) != nil,
                !parts[0].isEmpty, parts[0].utf8.allSatisfy({ $0.isLetterOrDigit || $0 == UInt8(ascii: "-") })
            else {
                throw .parameter("ORCPT is an address type, a semicolon and up to 500 octets of xtext (RFC 3461).")
            }
            orcpt = value
        case ("NOTIFY", nil), ("ORCPT", nil):
            throw .parameter("\(parameter.keyword) needs a value.")
        default:
            throw .unknownParameter(parameter.keyword, of: "RCPT")
        }
    }
}

extension SMTPNotify {
    /// Reads the value of `NOTIFY=`.
    init?(_ value: String) {
        var notify: SMTPNotify = []
        for word in value.split(separator: ",", omittingEmptySubsequences: false) {
            switch word.uppercased() {
            case "NEVER": notify.insert(.never)
            case "SUCCESS": notify.insert(.success)
            case "FAILURE": notify.insert(.failure)
            case "DELAY": notify.insert(.delay)
            default: return nil
            }
        }
        guard notify == .never || !notify.contains(.never) else { return nil }
        self = notify
    }
}

/// The encoding of free text in parameters (RFC 3461 §4): printable ASCII, and `+` with two hex digits.
enum SMTPXText {
    /// `nil` when the text is not xtext, or does not stand for valid UTF-8 without control characters.
    static func decode(_ text: String) -> String? {
        var decoded: [UInt8] = []
        var bytes = text.utf8.makeIterator()
        while let byte = bytes.next() {
            guard byte == UInt8(ascii: "+") else {
                decoded.append(byte)
                continue
            }
            guard let high = bytes.next()?.upperHexValue, let low = bytes.next()?.upperHexValue else { return nil }
            decoded.append(high << 4 | low)
        }
        guard decoded.allSatisfy({ $0 >= .space && $0 != 0x7F }) else { return nil }
        return String(validating: decoded, as: UTF8.self)
    }
}

extension UInt8 {
    /// RFC 3461 wants `hexchar` in upper case.
    fileprivate var upperHexValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
