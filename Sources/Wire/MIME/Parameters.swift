// Parameters of MIME fields: `; name=value`, and RFC 2231 for long and non-ASCII values, both ways.

package struct MIMEParameter: Hashable, Sendable {
    /// In lower case, without the marks of RFC 2231.
    package let name: String
    /// Decoded. May hold any character but controls; never use a filename from it as a path.
    package let value: String
    /// The undecoded bytes, as a multipart boundary is compared.
    package let rawValue: [UInt8]
}

/// Splits a structured MIME field value: the part before the first `;`, then parameters. One pass, no failure:
/// whatever is not well-formed is read in the way that most mail programs mean it.
struct ParameterParser {
    private let bytes: [UInt8]
    private let limits: MIMELimits
    private var index = 0

    init(_ bytes: [UInt8], limits: MIMELimits) {
        self.bytes = bytes
        self.limits = limits
    }

    private struct Piece {
        var name: [UInt8]
        var value: [UInt8]
    }

    static func parse(_ bytes: [UInt8], limits: MIMELimits) -> (main: [UInt8], parameters: [MIMEParameter]) {
        var parser = ParameterParser(bytes, limits: limits)
        let main = parser.parseMain()
        return (main, ParameterDecoder.decode(parser.parsePieces().map { ($0.name, $0.value) }))
    }

    /// Everything before the first `;`, without spaces and comments.
    private mutating func parseMain() -> [UInt8] {
        var result: [UInt8] = []
        while true {
            skipSpace()
            guard index < bytes.count, bytes[index] != .semicolon else { return result }
            result.append(bytes[index])
            index += 1
        }
    }

    private mutating func parsePieces() -> [Piece] {
        var pieces: [Piece] = []
        while index < bytes.count, pieces.count < limits.parameters {
            if bytes[index] == .semicolon { index += 1 }
            skipSpace()
            let start = index
            while index < bytes.count, bytes[index] != .equals, bytes[index] != .semicolon,
                !bytes[index].isLineWhitespace
            {
                index += 1
            }
            let name = bytes[start..<index].map(\.asciiLowercased)
            skipSpace()
            guard index < bytes.count, bytes[index] == .equals, !name.isEmpty else {
                skipToSemicolon()
                continue
            }
            index += 1
            pieces.append(Piece(name: name, value: parseValue()))
        }
        return pieces
    }

    private mutating func parseValue() -> [UInt8] {
        skipSpace()
        if index < bytes.count, bytes[index] == .quote {
            let value = parseQuoted()
            skipToSemicolon()
            return value
        }
        let start = index
        while index < bytes.count, bytes[index] != .semicolon, bytes[index] != .ascii("("),
            !bytes[index].isLineWhitespace
        {
            index += 1
        }
        let end = index
        skipSpace()
        guard index < bytes.count, bytes[index] != .semicolon else { return Array(bytes[start..<end]) }
        // `filename=my report (1).pdf`: not a token, but everybody reads it to the semicolon.
        skipToSemicolon()
        return Array(bytes[start..<index].trimmingWhitespace())
    }

    private mutating func parseQuoted() -> [UInt8] {
        var result: [UInt8] = []
        index += 1
        while index < bytes.count {
            var byte = bytes[index]
            index += 1
            if byte == .quote { break }
            // Windows paths in old mail have single backslashes; only a quote or a backslash is ever escaped.
            if byte == .backslash, index < bytes.count, bytes[index] == .quote || bytes[index] == .backslash {
                byte = bytes[index]
                index += 1
            }
            if byte != .cr, byte != .lf { result.append(byte) }
        }
        return result
    }

    private mutating func skipToSemicolon() {
        while index < bytes.count, bytes[index] != .semicolon { index += 1 }
    }

    private mutating func skipSpace() {
        while index < bytes.count {
            if bytes[index].isLineWhitespace {
                index += 1
            } else if bytes[index] == .ascii("(") {
                index = AddressListParser.endOfComment(in: bytes, at: index) ?? bytes.count
            } else {
                return
            }
        }
    }
}

/// RFC 2231 §3 and §4: `name*0*=utf-8'en'...; name*1="..."`.
enum ParameterDecoder {
    private struct Section {
        var number: Int
        var isExtended: Bool
        var value: [UInt8]
    }

    static func decode(_ pieces: [(name: [UInt8], value: [UInt8])]) -> [MIMEParameter] {
        var order: [[UInt8]] = []
        var plain: [[UInt8]: [UInt8]] = [:]
        var sections: [[UInt8]: [Section]] = [:]
        for piece in pieces {
            guard let (base, section) = split(piece) else { continue }
            if plain[base] == nil, sections[base] == nil { order.append(base) }
            if let section {
                sections[base, default: []].append(section)
            } else if plain[base] == nil {
                plain[base] = piece.value
            }
        }
        var cache = CharsetCache()
        return order.compactMap { base in
            let name = String(decoding: base, as: UTF8.self)
            // The extended form is the better one where both are given (RFC 6266 §4.3 says so for HTTP).
            if let parts = sections[base], let joined = join(parts, cache: &cache) {
                return MIMEParameter(name: name, value: joined.text.withoutControls, rawValue: joined.raw)
            }
            guard let value = plain[base] else { return nil }
            return MIMEParameter(name: name, value: EncodedWord.decode(value).withoutControls, rawValue: value)
        }
    }

    /// The name without its `*` marks, and what they say; nil for a name that is not well-formed.
    private static func split(_ piece: (name: [UInt8], value: [UInt8])) -> (base: [UInt8], section: Section?)? {
        let parts = piece.name.split(separator: .ascii("*"), omittingEmptySubsequences: false)
        let base = Array(parts[0])
        guard !base.isEmpty else { return nil }
        switch parts.count {
        case 1:
            return (base, nil)
        case 2 where parts[1].isEmpty:
            return (base, Section(number: 0, isExtended: true, value: piece.value))
        case 2, 3:
            guard parts.count == 2 || parts[2].isEmpty, (1...3).contains(parts[1].count), parts[1].allSatisfy(\.isDigit)
            else { return nil }
            let number = parts[1].reduce(0) { $0 * 10 + Int($1 - 0x30) }
            return (base, Section(number: number, isExtended: parts.count == 3, value: piece.value))
        default:
            return nil
        }
    }

    /// Joins sections 0, 1, 2 … up to the first gap; of two with one number the first counts.
    private static func join(_ parts: [Section], cache: inout CharsetCache) -> (text: String, raw: [UInt8])? {
        var byNumber: [Int: Section] = [:]
        for part in parts where byNumber[part.number] == nil { byNumber[part.number] = part }
        guard let first = byNumber[0] else { return nil }
        var charset: String?
        var raw: [UInt8] = []
        var number = 0
        while let section = byNumber[number] {
            var value = section.value[...]
            if number == 0, first.isExtended {
                let marks = value.split(separator: .ascii("'"), maxSplits: 2, omittingEmptySubsequences: false)
                if marks.count == 3 {
                    charset = String(decoding: marks[0], as: UTF8.self)
                    value = marks[2]
                }
            }
            raw += section.isExtended ? percentDecoded(value) : Array(value)
            number += 1
        }
        guard let charset, !charset.isEmpty else { return (EncodedWord.decode(raw), raw) }
        return (cache.decode(raw, charset: charset), raw)
    }

    private static func percentDecoded(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == .ascii("%"), index + 2 < bytes.endIndex, let high = bytes[index + 1].hexValue,
                let low = bytes[index + 2].hexValue
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return result
    }
}

/// Writes parameters.
package enum ParameterEncoder {
    /// Longest piece of one section: with name and marks it stays within a line of 78.
    private static let sectionLength = 50

    /// `name=token`, `name="quoted"`, or RFC 2231 sections where the value is long or not ASCII. The pieces are to be
    /// joined by `; `. Control characters are percent-encoded, so that no value can break a line.
    package static func encode(name: String, value: String) -> [String] {
        let bytes = Array(value.utf8)
        let isPlain = bytes.allSatisfy { $0 < 0x80 && !$0.isControl }
        if isPlain, bytes.count <= sectionLength, !EncodedWord.looksEncoded(bytes) {
            let isToken = !bytes.isEmpty && bytes.allSatisfy(\.isToken)
            return ["\(name)=\(isToken ? value : EmailAddress.quoted(value))"]
        }
        var sections: [[UInt8]] = [[]]
        for byte in bytes {
            let plain = isAttributeCharacter(byte)
            if sections[sections.count - 1].count + (plain ? 1 : 3) > sectionLength { sections.append([]) }
            let last = sections.count - 1
            if plain {
                sections[last].append(byte)
            } else {
                sections[last] += [.ascii("%"), UInt8.hexDigit(byte >> 4), UInt8.hexDigit(byte)]
            }
        }
        let texts = sections.map { String(decoding: $0, as: UTF8.self) }
        if texts.count == 1 { return ["\(name)*=utf-8''\(texts[0])"] }
        return texts.enumerated().map { number, text in
            "\(name)*\(number)*=\(number == 0 ? "utf-8''" : "")\(text)"
        }
    }

    /// RFC 2231 §7 `attribute-char`.
    private static func isAttributeCharacter(_ byte: UInt8) -> Bool {
        byte.isToken && byte != .ascii("*") && byte != .ascii("'") && byte != .ascii("%")
    }
}
