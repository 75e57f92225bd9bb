// The `<local@domain>` of MAIL and RCPT (RFC 5321 §4.1.2, RFC 6531 §3.3), read byte by byte.

import NIOCore

struct SMTPPath {
    /// Between the angle brackets, without source route; `""` for `<>`.
    let address: String

    /// RFC 5321 §4.5.3.1.1 and .2, octets.
    static let maximumLocalPart = 64
    static let maximumDomain = 255

    enum Kind {
        /// Of MAIL: may be null, `<>`.
        case reverse
        /// Of RCPT: may be `<postmaster>` (RFC 5321 §4.5.1).
        case forward
    }

    /// Why a path is none; the words end a reply.
    enum Fault: String, Error {
        case noBrackets = "put the address in angle brackets, as in <user@example.com>"
        case localPart = "the part before the @ is malformed; quote it if it holds special characters"
        case localPartTooLong = "the part before the @ is longer than 64 octets"
        case null = "mail goes to somebody, not to <>"
        case noDomain = "the address needs an @ and a domain"
        case domain = "the domain is malformed"
        case domainTooLong = "the domain is longer than 255 octets"
        case sourceRoute = "the source route is malformed; leave it out"
        case notUTF8 = "the address is not valid UTF-8"
        case unterminated = "close the address with >"
    }

    init(_ cursor: inout SMTPCursor, kind: Kind) throws(Fault) {
        guard cursor.skip(UInt8(ascii: "<")) else { throw .noBrackets }
        if cursor.skip(UInt8(ascii: ">")) {
            guard kind == .reverse else { throw .null }
            self.address = ""
            return
        }
        try Self.skipSourceRoute(&cursor)

        let start = cursor.rest
        try Self.skipLocalPart(&cursor)
        let localPart = start.prefix(upTo: cursor.rest.startIndex)
        guard localPart.count <= Self.maximumLocalPart else { throw .localPartTooLong }
        if cursor.skip(UInt8(ascii: "@")) {
            let domainStart = cursor.rest.startIndex
            try Self.skipDomain(&cursor)
            guard cursor.rest.startIndex - domainStart <= Self.maximumDomain else { throw .domainTooLong }
        } else if cursor.peek == UInt8(ascii: ">") {
            let isPostmaster = localPart.elementsEqual("POSTMASTER".utf8, by: { $0.asciiUppercased == $1 })
            guard isPostmaster && kind == .forward else { throw .noDomain }
        } else {
            throw .localPart
        }
        let end = cursor.rest.startIndex
        guard cursor.skip(UInt8(ascii: ">")) else { throw .unterminated }
        guard let address = String(validating: start.prefix(upTo: end), as: UTF8.self) else { throw .notUTF8 }
        self.address = address
    }

    /// `@a,@b:` says which hosts to pass; it must be accepted and should be ignored (RFC 5321 §4.1.1.3, App. C).
    private static func skipSourceRoute(_ cursor: inout SMTPCursor) throws(Fault) {
        guard cursor.peek == UInt8(ascii: "@") else { return }
        repeat {
            guard cursor.skip(UInt8(ascii: "@")) else { throw .sourceRoute }
            try skipDomain(&cursor)
        } while cursor.skip(UInt8(ascii: ","))
        guard cursor.skip(UInt8(ascii: ":")) else { throw .sourceRoute }
    }

    /// `Dot-string / Quoted-string`, with UTF-8 where ASCII letters may stand.
    private static func skipLocalPart(_ cursor: inout SMTPCursor) throws(Fault) {
        if cursor.skip(UInt8(ascii: "\"")) { return try skipQuotedString(&cursor) }
        repeat {
            let atom = cursor.read(while: { $0.isAtomText || !$0.isASCII })
            guard !atom.isEmpty else { throw .localPart }
        } while cursor.skip(.dot)
    }

    /// The rest of a quoted string after its opening quote: `qtextSMTP` is 32–126 without `"` and `\`.
    private static func skipQuotedString(_ cursor: inout SMTPCursor) throws(Fault) {
        while true {
            _ = cursor.read(while: { byte in
                byte >= .space && byte != 0x7F && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "\\")
            })
            if cursor.skip(UInt8(ascii: "\"")) { return }
            guard cursor.skip(UInt8(ascii: "\\")), let quoted = cursor.peek, (0x20...0x7E).contains(quoted) else {
                throw .localPart
            }
            _ = cursor.skip(quoted)
        }
    }

    /// A host name or `[literal]`. The underscore is no host name's, but too many internal ones have it.
    private static func skipDomain(_ cursor: inout SMTPCursor) throws(Fault) {
        if cursor.skip(UInt8(ascii: "[")) { return try skipLiteral(&cursor) }
        let hyphen = UInt8(ascii: "-")
        repeat {
            let label = cursor.read(while: {
                $0.isLetterOrDigit || $0 == hyphen || $0 == UInt8(ascii: "_") || !$0.isASCII
            })
            guard let first = label.first, let last = label.last, first != hyphen, last != hyphen else {
                throw .domain
            }
            // RFC 1035 §2.3.4 counts octets of the ASCII form, which a label in UTF-8 only gets later.
            guard label.count <= 63 || label.contains(where: { !$0.isASCII }) else { throw .domain }
        } while cursor.skip(.dot)
    }

    /// RFC 5321 §4.1.3 after its opening bracket: an IPv4 address, or `IPv6:` and an IPv6 address.
    private static func skipLiteral(_ cursor: inout SMTPCursor) throws(Fault) {
        let isIPv6 = cursor.skip(word: "IPv6:")
        let text = cursor.read(while: { $0.isLetterOrDigit || $0 == .dot || $0 == UInt8(ascii: ":") })
        guard let address = try? SocketAddress(ipAddress: String(decoding: text, as: UTF8.self), port: 0) else {
            throw .domain
        }
        guard address.protocol == (isIPv6 ? .inet6 : .inet), cursor.skip(UInt8(ascii: "]")) else { throw .domain }
    }
}
