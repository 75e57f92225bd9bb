// The commands of an SMTP session as values (RFC 5321 §4.1.1 and the extensions), and the grammar that reads them.

package import NIOCore

/// One command line, understood.
package enum SMTPCommand: Sendable {
    case ehlo(String)
    case helo(String)
    case mail(SMTPReversePath)
    case recipient(SMTPRecipient)
    case data
    /// `BDAT size [LAST]` (RFC 3030 §2).
    case chunk(size: Int, isLast: Bool)
    case startTLS
    case authenticate(SMTPAuthenticateCommand)
    case reset
    case verify
    case help
    case noop
    case quit
}

/// `AUTH mechanism [initial-response]` (RFC 4954 §4). The response may be a password: it is never printed.
package struct SMTPAuthenticateCommand: Sendable, CustomStringConvertible, CustomReflectable {
    /// In upper case.
    package let mechanism: String
    /// As sent, still in base64; `nil` when there was none.
    package let initialResponse: ByteBuffer?

    package var description: String { "AUTH \(mechanism)" }
    package var customMirror: Mirror { Mirror(self, children: ["mechanism": mechanism]) }
}

/// A command line that is none, with the reply that says why.
package struct SMTPCommandError: Error, Hashable {
    package let reply: SMTPReply
    package var consequence = Consequence.reply

    package enum Consequence: Hashable, Sendable {
        case reply
        /// The client counts on a number of octets that we do not know: what follows cannot be read as commands.
        case hangUp
        /// The verb is another protocol's: some page or proxy is made to talk to us.
        case otherProtocol
    }

    static func syntax(_ text: String) -> SMTPCommandError { .init(reply: SMTPReply(501, .syntaxError, text)) }
    static func parameter(_ text: String) -> SMTPCommandError { .init(reply: SMTPReply(501, .invalidArguments, text)) }
    static func unknownParameter(_ keyword: String, of verb: String) -> SMTPCommandError {
        // The keyword is the client's: letters, digits and hyphens, but of any length.
        .init(
            reply: SMTPReply(
                555,
                .invalidArguments,
                "\(verb) has no parameter \(keyword.prefix(40)) here; leave it out."
            )
        )
    }
}

extension SMTPCommand {
    /// Reads a command line without its CRLF.
    package init(_ line: ByteBufferView) throws(SMTPCommandError) {
        var cursor = SMTPCursor(line.trimmingTrailingWhitespace())
        let verb = String(decoding: cursor.readWord().prefix(16), as: UTF8.self).uppercased()
        switch verb {
        case "EHLO": self = .ehlo(try Self.hello(&cursor))
        case "HELO": self = .helo(try Self.hello(&cursor))
        case "MAIL": self = .mail(try Self.mail(&cursor))
        case "RCPT": self = .recipient(try Self.recipient(&cursor))
        case "DATA": self = try Self.bare(.data, verb, cursor)
        case "BDAT": self = try Self.chunk(&cursor)
        case "STARTTLS": self = try Self.bare(.startTLS, verb, cursor)
        case "AUTH": self = .authenticate(try Self.authenticate(&cursor))
        case "RSET": self = try Self.bare(.reset, verb, cursor)
        case "QUIT": self = try Self.bare(.quit, verb, cursor)
        case "NOOP": self = .noop
        case "HELP": self = .help
        case "VRFY":
            cursor.skipSpaces()
            guard !cursor.isAtEnd else { throw .syntax("VRFY takes a user or a mailbox.") }
            self = .verify
        case "EXPN", "ETRN", "ATRN", "TURN", "SEND", "SOML", "SAML":
            throw SMTPCommandError(reply: SMTPReply(502, .invalidCommand, "\(verb) is not offered here."))
        case "GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "PRI":
            throw SMTPCommandError(reply: .unknownCommand, consequence: .otherProtocol)
        default:
            throw SMTPCommandError(reply: .unknownCommand)
        }
    }

    private static func bare(
        _ command: SMTPCommand,
        _ verb: String,
        _ cursor: SMTPCursor
    ) throws(SMTPCommandError) -> SMTPCommand {
        guard cursor.isAtEnd else { throw .parameter("\(verb) takes no argument.") }
        return command
    }

    /// A domain or an address literal. Any name of these characters is taken, for many clients do not know their own;
    /// the rest is refused because the name ends up in a Received field and in logs.
    private static func hello(_ cursor: inout SMTPCursor) throws(SMTPCommandError) -> String {
        cursor.skipSpaces()
        let bytes = cursor.read(while: { byte in
            switch byte {
            case .dot, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"):
                true
            default: byte.isLetterOrDigit || !byte.isASCII
            }
        })
        guard cursor.isAtEnd, (1...255).contains(bytes.count), let name = String(validating: bytes, as: UTF8.self)
        else {
            throw .parameter("Say who you are: a host name or an address literal such as [192.0.2.1].")
        }
        return name
    }

    private static func mail(_ cursor: inout SMTPCursor) throws(SMTPCommandError) -> SMTPReversePath {
        cursor.skipSpaces()
        guard cursor.skip(word: "FROM:") else { throw .syntax("Write MAIL FROM:<address>.") }
        cursor.skipSpaces()
        var reversePath: SMTPReversePath
        do throws(SMTPPath.Fault) {
            reversePath = SMTPReversePath(address: try SMTPPath(&cursor, kind: .reverse).address)
        } catch {
            throw SMTPCommandError(reply: SMTPReply(501, .badSenderSyntax, "Bad sender address: \(error.rawValue)."))
        }
        for parameter in try SMTPParameter.all(&cursor) { try reversePath.apply(parameter) }
        guard reversePath.smtputf8 || reversePath.address.utf8.allSatisfy(\.isASCII) else {
            throw SMTPCommandError(reply: .needsSMTPUTF8)
        }
        return reversePath
    }

    private static func recipient(_ cursor: inout SMTPCursor) throws(SMTPCommandError) -> SMTPRecipient {
        cursor.skipSpaces()
        guard cursor.skip(word: "TO:") else { throw .syntax("Write RCPT TO:<address>.") }
        cursor.skipSpaces()
        var recipient: SMTPRecipient
        do throws(SMTPPath.Fault) {
            recipient = SMTPRecipient(address: try SMTPPath(&cursor, kind: .forward).address)
        } catch {
            throw SMTPCommandError(
                reply: SMTPReply(501, .badRecipientSyntax, "Bad recipient address: \(error.rawValue).")
            )
        }
        for parameter in try SMTPParameter.all(&cursor) { try recipient.apply(parameter) }
        return recipient
    }

    private static func chunk(_ cursor: inout SMTPCursor) throws(SMTPCommandError) -> SMTPCommand {
        cursor.skipSpaces()
        let digits = cursor.read(while: \.isDigit)
        let size = Int(String(decoding: digits, as: UTF8.self))
        let isLast = cursor.skip(.space) && cursor.skip(word: "LAST")
        guard let size, cursor.isAtEnd else {
            let reply = SMTPReply(
                501,
                .invalidArguments,
                "Write BDAT, the number of octets, and LAST for the last one."
            )
            throw SMTPCommandError(reply: reply, consequence: .hangUp)
        }
        return .chunk(size: size, isLast: isLast)
    }

    private static func authenticate(
        _ cursor: inout SMTPCursor
    ) throws(SMTPCommandError) -> SMTPAuthenticateCommand {
        cursor.skipSpaces()
        let mechanism = cursor.readWord()
        cursor.skipSpaces()
        let response = cursor.isAtEnd ? nil : cursor.readWord()
        guard (1...20).contains(mechanism.count), cursor.isAtEnd else {
            throw .parameter("Write AUTH, a mechanism from the EHLO reply, and at most one base64 response.")
        }
        return SMTPAuthenticateCommand(
            mechanism: String(decoding: mechanism, as: UTF8.self).uppercased(),
            initialResponse: response.map(ByteBuffer.init(bytes:))
        )
    }
}

extension ByteBufferView {
    /// RFC 5321 §4.1.1: trailing white space should be tolerated.
    fileprivate func trimmingTrailingWhitespace() -> ByteBufferView {
        guard let last = lastIndex(where: { $0 != .space && $0 != UInt8(ascii: "\t") }) else { return prefix(0) }
        return prefix(through: last)
    }
}
