// Encoded words (RFC 2047): text in header fields that is not ASCII.

package enum EncodedWord {
    /// RFC 2047 §2, in octets.
    package static let maximumLength = 75
    /// The length that we write: short enough to stand beside `Subject:` in a line of 76 (§2).
    private static let writtenLength = 64

    private struct Word {
        var charset: String
        var bytes: [UInt8]
        var end: Int
    }

    // MARK: Decoding

    /// Decodes an unfolded value. Encoded words side by side are one text, also when a character is split between
    /// them. Other 8-bit text is read as UTF-8, or else as windows-1252. What is not well-formed stays as it is.
    /// Beyond RFC 2047, words are also decoded inside quoted strings and without space around them: mail programs
    /// write them there.
    package static func decode(_ bytes: [UInt8]) -> String {
        guard looksEncoded(bytes) else { return Charset.decodeUTF8OrWindows1252(bytes) }
        var decoder = Decoder()
        var index = 0
        var literalStart = 0
        while index < bytes.count {
            guard bytes[index] == .equals, let word = parse(bytes, at: index) else {
                index += 1
                continue
            }
            decoder.appendLiteral(bytes[literalStart..<index])
            decoder.append(word)
            index = word.end
            literalStart = index
        }
        decoder.appendLiteral(bytes[literalStart...])
        return decoder.finish()
    }

    package static func decode(_ text: String) -> String { decode(Array(text.utf8)) }

    /// Whether there is anything that a reader could take for an encoded word.
    static func looksEncoded(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { buffer in
            var index = 0
            while let hit = buffer.firstOffset(of: .question, in: index..<buffer.count) {
                if hit > 0, buffer[hit - 1] == .equals { return true }
                index = hit + 1
            }
            return false
        }
    }

    /// The offset behind the encoded word that starts at `index`; nil when none does.
    static func end(in bytes: [UInt8], at index: Int) -> Int? {
        shape(bytes, at: index)?.end
    }

    private struct Decoder {
        private var text = ""
        private var cache = CharsetCache()
        private var charset: String?
        private var pending: [UInt8] = []

        mutating func appendLiteral(_ literal: ArraySlice<UInt8>) {
            // White space between two encoded words is not text (§6.2); the next word tells.
            guard charset == nil || !literal.allSatisfy(\.isLineWhitespace) else {
                heldSpace = literal
                return
            }
            flush()
            text += Charset.decodeUTF8OrWindows1252(Array(literal))
        }

        private var heldSpace: ArraySlice<UInt8> = []

        mutating func append(_ word: Word) {
            heldSpace = []
            if charset != word.charset { flush() }
            charset = word.charset
            pending += word.bytes
        }

        private mutating func flush() {
            guard let name = charset else { return }
            text += cache.decode(pending, charset: name)
            pending = []
            charset = nil
        }

        mutating func finish() -> String {
            flush()
            text += String(decoding: heldSpace, as: UTF8.self)
            return text
        }
    }

    private struct Shape {
        var charset: Range<Int>
        var encoding: UInt8
        var text: Range<Int>
        var end: Int
    }

    /// `=?charset?encoding?text?=`. Looks no further than the fourth "?": many false starts cost no more than one.
    private static func shape(_ bytes: [UInt8], at start: Int) -> Shape? {
        guard start + 1 < bytes.count, bytes[start] == .equals, bytes[start + 1] == .question else { return nil }
        var index = start + 2
        while index < bytes.count, bytes[index].isToken { index += 1 }
        let charset = (start + 2)..<index
        guard !charset.isEmpty, charset.count <= 80, index + 2 < bytes.count, bytes[index] == .question,
            bytes[index + 2] == .question
        else { return nil }
        let encoding = bytes[index + 1].asciiLowercased
        guard encoding == .ascii("q") || encoding == .ascii("b") else { return nil }
        let textStart = index + 3
        index = textStart
        // Spaces are not allowed inside, but written by some; control characters end the try.
        while index < bytes.count, bytes[index] != .question, !bytes[index].isControl { index += 1 }
        guard index + 1 < bytes.count, bytes[index] == .question, bytes[index + 1] == .equals else { return nil }
        return Shape(charset: charset, encoding: encoding, text: textStart..<index, end: index + 2)
    }

    private static func parse(_ bytes: [UInt8], at start: Int) -> Word? {
        guard let shape = shape(bytes, at: start) else { return nil }
        // RFC 2231 §5: a language may follow the charset.
        let name = bytes[shape.charset].prefix { $0 != .ascii("*") }
        let text = bytes[shape.text]
        return Word(
            charset: String(decoding: name, as: UTF8.self),
            bytes: shape.encoding == .ascii("b") ? Base64.decodeLeniently(text) : decodeQ(text),
            end: shape.end
        )
    }

    /// §4.2: quoted-printable, with `_` for a space.
    private static func decodeQ(_ text: ArraySlice<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var index = text.startIndex
        while index < text.endIndex {
            let byte = text[index]
            if byte == .equals, index + 2 < text.endIndex, let high = text[index + 1].hexValue,
                let low = text[index + 2].hexValue
            {
                result.append(high << 4 | low)
                index += 3
            } else {
                result.append(byte == .ascii("_") ? .space : byte)
                index += 1
            }
        }
        return result
    }

    // MARK: Encoding

    /// Text for a header: ASCII stays as it is, unless it looks encoded or has words that cannot be folded; else
    /// everything from the first word that needs it to the last becomes UTF-8 encoded words, with a space (a place
    /// to fold) between them. Reading it gives the same text again.
    /// - Parameter phrase: keeps to the characters that a display name may have (§5 rule 3), and encodes all of it.
    package static func encode(_ text: String, phrase: Bool = false) -> String {
        let bytes = Array(text.utf8)
        if phrase { return encodeRun(text[...], phrase: true) }
        let words = bytes.split(separator: .space, omittingEmptySubsequences: false)
        let needing = words.filter { word in
            word.count > maximumLength || !word.isASCII || looksEncoded(Array(word)) || word.contains { $0.isControl }
        }
        guard let first = needing.first, let last = needing.last else { return text }
        let utf8 = text.utf8
        let start = utf8.index(utf8.startIndex, offsetBy: first.startIndex)
        let end = utf8.index(utf8.startIndex, offsetBy: last.endIndex)
        return text[..<start] + encodeRun(text[start..<end], phrase: false) + text[end...]
    }

    private static let prefixB = Array("=?utf-8?B?".utf8)
    private static let prefixQ = Array("=?utf-8?Q?".utf8)
    private static let suffix: [UInt8] = [.question, .equals]

    private static func encodeRun(_ text: Substring, phrase: Bool) -> String {
        let escaped = text.utf8.reduce(0) { $0 + (isPlainInQ($1, phrase: phrase) || $1 == .space ? 0 : 1) }
        let useQ = escaped * 2 <= text.utf8.count - escaped
        let room = writtenLength - prefixB.count - suffix.count
        let capacity = useQ ? room : room / 4 * 3

        var result: [UInt8] = []
        var chunk: [UInt8] = []
        var used = 0
        func flush() {
            guard !chunk.isEmpty else { return }
            if !result.isEmpty { result.append(.space) }
            result += useQ ? prefixQ + encodeQ(chunk, phrase: phrase) : prefixB + Base64.encode(chunk)
            result += suffix
            chunk = []
            used = 0
        }
        // §5 rule 3: each word must be whole characters.
        for scalar in text.unicodeScalars {
            let bytes = Array(String(scalar).utf8)
            let cost = bytes.reduce(0) {
                $0 + (useQ && !isPlainInQ($1, phrase: phrase) && $1 != .space ? 3 : 1)
            }
            if used + cost > capacity { flush() }
            chunk += bytes
            used += cost
        }
        flush()
        return String(decoding: result, as: UTF8.self)
    }

    private static func encodeQ(_ bytes: [UInt8], phrase: Bool) -> [UInt8] {
        var result: [UInt8] = []
        for byte in bytes {
            if byte == .space {
                result.append(.ascii("_"))
            } else if isPlainInQ(byte, phrase: phrase) {
                result.append(byte)
            } else {
                result += [.equals, UInt8.hexDigit(byte >> 4), UInt8.hexDigit(byte)]
            }
        }
        return result
    }

    private static func isPlainInQ(_ byte: UInt8, phrase: Bool) -> Bool {
        if byte.isLetter || byte.isDigit { return true }
        switch byte {
        case .ascii("!"), .ascii("*"), .ascii("+"), .ascii("-"), .ascii("/"): return true
        case .equals, .question, .ascii("_"): return false
        default: return !phrase && byte > 0x20 && byte < 0x7F
        }
    }
}
