// Foreign text for a terminal. A subject or a peer's reply can hold escape sequences that move the cursor, rename the
// window or turn the text around; here they become something to read.

enum Visible {
    /// One line without any control: `\n`, `\t`, `\r` by name, others as `\u{1b}`.
    static func text(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        var visible = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": visible += "\\n"
            case "\r": visible += "\\r"
            case "\t": visible += "\\t"
            case _ where isUnsafe(scalar): visible += "\\u{\(String(scalar.value, radix: 16))}"
            default: visible.unicodeScalars.append(scalar)
            }
        }
        return visible
    }

    /// Lines stay lines, whether they end in LF or CRLF.
    static func lines(_ text: String) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).flatMap {
            $0.split(separator: "\r\n", omittingEmptySubsequences: false)
        }.map { Self.text(String($0)) }.joined(separator: "\n")
    }

    /// Controls (C0, DEL, C1), and format characters that reorder or hide text. The joiners that emoji and several
    /// scripts need do neither.
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value < 0x20 || scalar.value == 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return true
        case .format: return scalar.value != 0x200C && scalar.value != 0x200D
        default: return false
        }
    }
}
