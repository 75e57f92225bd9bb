// The commands this client sends, their bytes, and their form without secrets for transcripts and logs.

import FoundationEssentials
import NIOCore
import SMTP

/// Every text in a command is of a type that cannot hold CR, LF or NUL (`SMTPPath`, `SMTPHelloName`, `SMTPParameter`)
/// or is encoded, so that a command is one line by construction.
enum SMTPClientCommand: Hashable, Sendable {
    case ehlo(SMTPHelloName)
    case helo(SMTPHelloName)
    case startTLS
    case auth(SMTPAuthMechanism, initial: SMTPAuthResponse?)
    case authResponse(SMTPAuthResponse)
    /// Gives up an exchange (RFC 4954 §4).
    case authCancel
    case mail(SMTPPath, [SMTPParameter])
    case rcpt(SMTPPath, [SMTPParameter])
    case data
    /// An empty message: the way out after a 354 with nobody to deliver to (RFC 2920 §3.1).
    case endOfData
    case rset
    case quit

    /// The line without its CRLF.
    private var line: String {
        switch self {
        case .ehlo(let name): "EHLO \(name.text)"
        case .helo(let name): "HELO \(name.text)"
        case .startTLS: "STARTTLS"
        case .auth(let mechanism, let initial?): "AUTH \(mechanism.rawValue) \(initial.encoded)"
        case .auth(let mechanism, nil): "AUTH \(mechanism.rawValue)"
        case .authResponse(let response): response.encoded
        case .authCancel: "*"
        case .mail(let path, let parameters): "MAIL FROM:<\(path.text)>\(Self.suffix(parameters))"
        case .rcpt(let path, let parameters): "RCPT TO:<\(path.text)>\(Self.suffix(parameters))"
        case .data: "DATA"
        case .endOfData: "."
        case .rset: "RSET"
        case .quit: "QUIT"
        }
    }

    /// The line as it may be shown.
    var redacted: String {
        switch self {
        case .auth(let mechanism, initial: _?): "AUTH \(mechanism.rawValue) <redacted>"
        case .authResponse: "<redacted>"
        case .ehlo, .helo, .startTLS, .auth, .authCancel, .mail, .rcpt, .data, .endOfData, .rset, .quit: line
        }
    }

    /// Octets with CRLF.
    var length: Int { line.utf8.count + 2 }

    func write(into buffer: inout ByteBuffer) {
        buffer.writeString(line)
        buffer.writeStaticString("\r\n")
    }

    private static func suffix(_ parameters: [SMTPParameter]) -> String {
        parameters.map { " \($0.text)" }.joined()
    }
}

/// An esmtp-param of MAIL or RCPT (RFC 5321 §4.1.2).
struct SMTPParameter: Hashable, Sendable {
    let text: String

    static func size(_ octets: Int) -> Self { Self(text: "SIZE=\(octets)") }
    static let body8Bit = Self(text: "BODY=8BITMIME")
    static let utf8 = Self(text: "SMTPUTF8")
    static func ret(_ content: SMTPReturnContent) -> Self { Self(text: "RET=\(content.rawValue)") }
    static func envid(_ id: String) -> Self { Self(text: "ENVID=\(xtext(id))") }
    static func notify(_ conditions: SMTPNotify) -> Self { Self(text: "NOTIFY=\(conditions.parameter)") }

    /// Nil when `recipient` is not `type;address`.
    static func orcpt(_ recipient: String) -> Self? {
        guard let semicolon = recipient.firstIndex(of: ";") else { return nil }
        let type = recipient[..<semicolon]
        guard !type.isEmpty, type.utf8.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == UInt8(ascii: "-") })
        else { return nil }
        return Self(text: "ORCPT=\(type);\(xtext(recipient[recipient.index(after: semicolon)...]))")
    }

    /// RFC 3461 §4: everything but printable ASCII without "+" and "=" becomes `+XX`.
    private static func xtext(_ text: some StringProtocol) -> String {
        var result = ""
        for byte in text.utf8 {
            if (0x21...0x7E).contains(byte), byte != UInt8(ascii: "+"), byte != UInt8(ascii: "=") {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let hex = String(byte, radix: 16, uppercase: true)
                result += hex.utf8.count == 1 ? "+0\(hex)" : "+\(hex)"
            }
        }
        return result
    }

    private init(text: String) { self.text = text }
}

/// One answer in an AUTH exchange. Never printed.
struct SMTPAuthResponse: Hashable, Sendable, CustomStringConvertible {
    /// Base64; `=` for an empty initial response (RFC 4954 §4).
    let encoded: String

    init(_ secret: [UInt8]) { encoded = Data(secret).base64EncodedString() }

    var description: String { "<redacted>" }
}
