// The little Unicode that mail needs and the standard library can give without ICU.

@_spi(_Unicode) import Swift

extension String {
    /// Canonical composition (NFC). The normaliser lives in the standard library as SPI; FoundationEssentials
    /// uses the same one, and full Foundation would bring ICU for this one line.
    var canonicallyComposed: String {
        if utf8.isASCII { return self }
        var result = String.UnicodeScalarView()
        for scalar in _nfc { result.append(scalar) }
        return String(result)
    }

    /// Text for people: no control character survives (C0, DEL, C1 become U+FFFD; TAB, CR and LF a space).
    var withoutControls: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        var result = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            switch scalar {
            case "\t", "\r", "\n": result.append(" ")
            case _ where scalar.isControl: result.append("\u{FFFD}")
            default: result.append(scalar)
            }
        }
        return String(result)
    }
}

extension Unicode.Scalar {
    var isControl: Bool { value < 0x20 || (0x7F...0x9F).contains(value) }

    /// Characters that steer the display of their neighbours; they have no place in an address.
    var isBidiControl: Bool {
        switch value {
        case 0x061C, 0x200E, 0x200F, 0x202A...0x202E, 0x2066...0x2069: return true
        default: return false
        }
    }
}
