// The grammar of RFC 5322 §3.4 as one pass over the bytes, without backtracking and without recursion:
// a megabyte of "(" costs one look at each.

struct AddressListParser {
    private let bytes: [UInt8]
    private let limits: MIMELimits
    private var index = 0
    private var count = 0
    /// Content of the comment seen last, for the old `address (Name)` form.
    private var comment: Range<Int>?

    init(bytes: [UInt8], limits: MIMELimits) {
        self.bytes = bytes
        self.limits = limits
    }

    /// A piece of a phrase or of an address.
    private struct Token {
        enum Kind { case atom, quoted, dot }
        var kind: Kind
        var text: [UInt8]
        var spaceBefore: Bool
    }

    private enum Element {
        case none
        case mailbox(Mailbox)
        case groupStart(String)
    }

    mutating func parseList() throws(MIMEError) -> [AddressListEntry] {
        var entries: [AddressListEntry] = []
        var group: (name: String, members: [Mailbox])?
        while true {
            switch try parseElement() {
            case .none:
                break
            case .mailbox(let mailbox):
                count += 1
                guard count <= limits.addressesPerList else {
                    throw MIMEError(.tooManyAddresses, "The list has too many addresses.", offset: index)
                }
                if group == nil { entries.append(.mailbox(mailbox)) } else { group?.members.append(mailbox) }
            case .groupStart(let name):
                guard group == nil else { throw invalid("A group cannot hold another group.") }
                group = (name, [])
                continue
            }
            guard index < bytes.count else { break }
            let delimiter = bytes[index]
            index += 1
            if delimiter == .semicolon {
                if let open = group {
                    entries.append(.group(name: open.name, members: open.members))
                    group = nil
                }
                // Outside a group: taken for a comma, as many mail programs write it.
            }
        }
        // "undisclosed-recipients:" without its semicolon is common enough.
        if let open = group { entries.append(.group(name: open.name, members: open.members)) }
        return entries
    }

    private func invalid(_ message: String) -> MIMEError {
        MIMEError(.invalidAddressList, message, offset: index)
    }

    /// Reads up to a comma, semicolon or the end (left unread), or through the colon that opens a group.
    private mutating func parseElement() throws(MIMEError) -> Element {
        comment = nil
        let tokens = try parseTokens()
        guard index < bytes.count else { return try endOfElement(tokens) }
        switch bytes[index] {
        case .ascii(","), .semicolon:
            return try endOfElement(tokens)
        case .colon:
            index += 1
            guard !tokens.isEmpty else { throw invalid("A group needs a name before its colon.") }
            return .groupStart(Self.phrase(tokens))
        case .ascii("<"):
            index += 1
            let address = try parseAngleAddress()
            comment = nil
            _ = try skipSpace()
            try expectDelimiter()
            let name = tokens.isEmpty ? commentText() : Self.phrase(tokens)
            return .mailbox(Mailbox(tolerating: name, address: address))
        case .at:
            let address = try parseDomain(after: tokens)
            _ = try skipSpace()
            try expectDelimiter()
            return .mailbox(Mailbox(tolerating: commentText(), address: address))
        default:
            throw invalid("A character stands where an address list cannot have it.")
        }
    }

    private func endOfElement(_ tokens: [Token]) throws(MIMEError) -> Element {
        guard tokens.isEmpty else { throw invalid("A name stands without an address.") }
        return .none
    }

    private func expectDelimiter() throws(MIMEError) {
        guard index < bytes.count, bytes[index] != .ascii(","), bytes[index] != .semicolon else { return }
        throw invalid("An address must be followed by a comma or by the end of the list.")
    }

    // MARK: Tokens

    private mutating func parseTokens() throws(MIMEError) -> [Token] {
        var tokens: [Token] = []
        while true {
            let space = try skipSpace()
            guard index < bytes.count else { return tokens }
            let byte = bytes[index]
            if byte == .quote {
                tokens.append(Token(kind: .quoted, text: try parseQuotedString(), spaceBefore: space))
            } else if byte == .dot {
                index += 1
                tokens.append(Token(kind: .dot, text: [.dot], spaceBefore: space))
            } else if byte.isAtomText || byte >= 0x80 {
                let start = index
                index = endOfEncodedWord(at: index) ?? index
                while index < bytes.count, bytes[index].isAtomText || bytes[index] >= 0x80 { index += 1 }
                tokens.append(Token(kind: .atom, text: Array(bytes[start..<index]), spaceBefore: space))
            } else {
                return tokens
            }
        }
    }

    /// Encoded words with a bare comma and the like inside are common, and read as one word. Not so those with a
    /// character that could hold another address: a stricter reader would see one there that we did not judge.
    private func endOfEncodedWord(at start: Int) -> Int? {
        guard let end = EncodedWord.end(in: bytes, at: start) else { return nil }
        let isHarmless = bytes[start..<end].allSatisfy { byte in
            switch byte {
            case .ascii("<"), .ascii(">"), .at, .ascii("("), .ascii(")"), .quote, .backslash: return false
            default: return true
            }
        }
        return isHarmless ? end : nil
    }

    private mutating func parseQuotedString() throws(MIMEError) -> [UInt8] {
        let start = index
        var text: [UInt8] = []
        index += 1
        while index < bytes.count {
            var byte = bytes[index]
            if byte == .quote {
                index += 1
                return text
            }
            if byte == .backslash {
                index += 1
                guard index < bytes.count else { break }
                byte = bytes[index]
            }
            if byte != .cr, byte != .lf { text.append(byte) }
            index += 1
        }
        throw MIMEError(.invalidAddressList, "A quoted string is not closed.", offset: start)
    }

    /// Skips white space, line folds and comments; says whether there were any.
    private mutating func skipSpace() throws(MIMEError) -> Bool {
        let start = index
        while index < bytes.count {
            if bytes[index].isLineWhitespace {
                index += 1
            } else if bytes[index] == .ascii("(") {
                guard let end = Self.endOfComment(in: bytes, at: index) else {
                    throw invalid("A comment is not closed.")
                }
                comment = (index + 1)..<(end - 1)
                index = end
            } else {
                break
            }
        }
        return index > start
    }

    /// RFC 5322 §3.2.2. Nested comments are counted, not recursed into. Nil when the comment does not end.
    static func endOfComment(in bytes: [UInt8], at start: Int) -> Int? {
        var depth = 0
        var index = start
        while index < bytes.count {
            switch bytes[index] {
            case .backslash: index += 1
            case .ascii("("): depth += 1
            case .ascii(")"):
                depth -= 1
                if depth == 0 { return index + 1 }
            default: break
            }
            index += 1
        }
        return nil
    }

    private func commentText() -> String? {
        guard let comment else { return nil }
        return EncodedWord.decode(Self.unescaped(bytes[comment]))
    }

    private static func unescaped(_ slice: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var escaped = false
        for byte in slice where byte != .cr && byte != .lf {
            if byte == .backslash, !escaped {
                escaped = true
            } else {
                result.append(byte)
                escaped = false
            }
        }
        return result
    }

    private static func phrase(_ tokens: [Token]) -> String {
        var text: [UInt8] = []
        for token in tokens {
            if token.spaceBefore, !text.isEmpty { text.append(.space) }
            text += token.text
        }
        return EncodedWord.decode(text).withoutControls
    }

    // MARK: Addresses

    private mutating func parseAngleAddress() throws(MIMEError) -> EmailAddress {
        _ = try skipSpace()
        // RFC 5322 §4.4: a source route, `<@a,@b:ann@example.com>`, is read and forgotten.
        if index < bytes.count, bytes[index] == .at || bytes[index] == .ascii(",") {
            while index < bytes.count, bytes[index] != .colon {
                guard bytes[index] != .ascii(">") else { throw invalid("An address is missing behind the route.") }
                index += 1
            }
            index += 1
        }
        let tokens = try parseTokens()
        guard index < bytes.count, bytes[index] == .at else {
            throw invalid("An address in angle brackets needs an @.")
        }
        let address = try parseDomain(after: tokens)
        guard index < bytes.count, bytes[index] == .ascii(">") else {
            throw invalid("An angle bracket is not closed.")
        }
        index += 1
        return address
    }

    /// With `index` at the `@`: the rest of an `addr-spec` whose local part are `tokens`.
    private mutating func parseDomain(after tokens: [Token]) throws(MIMEError) -> EmailAddress {
        let start = index
        var local: [UInt8] = []
        var previousIsDot = true
        for token in tokens {
            guard (token.kind == .dot) != previousIsDot else {
                throw invalid("The part before the @ is not a valid local part.")
            }
            local += token.text
            previousIsDot = token.kind == .dot
        }
        guard !previousIsDot else { throw invalid("The part before the @ is not a valid local part.") }
        index += 1
        _ = try skipSpace()

        var domain: [UInt8] = []
        if index < bytes.count, bytes[index] == .ascii("[") {
            while index < bytes.count {
                let byte = bytes[index]
                index += 1
                if !byte.isLineWhitespace { domain.append(byte) }
                if byte == .ascii("]") { break }
            }
        } else {
            while index < bytes.count, bytes[index].isAtomText || bytes[index] >= 0x80 || bytes[index] == .dot {
                domain.append(bytes[index])
                index += 1
                // Spaces and comments around the dots of a domain are the obsolete `obs-domain`.
                let atomEnd = index == bytes.count || !(bytes[index].isAtomText || bytes[index] >= 0x80)
                if atomEnd {
                    let before = index
                    _ = try skipSpace()
                    let joins = index < bytes.count && (bytes[index] == .dot || domain.last == .dot)
                    if index > before, !joins { break }
                }
            }
        }
        guard let localText = String(validating: local, as: UTF8.self),
            let domainText = String(validating: domain, as: UTF8.self)
        else {
            throw MIMEError(.invalidAddress, "The address is not valid UTF-8.", offset: start)
        }
        do {
            return try EmailAddress(localPart: localText, domain: domainText)
        } catch {
            throw MIMEError(error.code, error.message, offset: start)
        }
    }
}
