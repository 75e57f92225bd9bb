// How many columns a terminal gives to a text. An approximation of East Asian Width (UAX #11): tables should line up,
// no more.

enum TextWidth {
    static func columns(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + columns($1) }
    }

    /// The text, cut so that it needs no more than `limit` columns; an ellipsis says that something is missing.
    static func clipped(_ text: String, to limit: Int) -> String {
        guard columns(text) > limit else { return text }
        var clipped = ""
        var used = 1
        for character in text {
            used += columns(character)
            guard used <= limit else { break }
            clipped.append(character)
        }
        return clipped + "…"
    }

    private static func columns(_ character: Character) -> Int {
        character.unicodeScalars.reduce(0) { max($0, columns($1)) }
    }

    private static func columns(_ scalar: Unicode.Scalar) -> Int {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
            0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x20000...0x3FFFD:
            return 2
        default: return scalar.properties.isEmojiPresentation ? 2 : 1
        }
    }
}
