// Byte classes of the mail grammars. Mail is parsed as bytes; `Character` would make one of CR LF.

import Glibc

extension UInt8 {
    static var tab: UInt8 { 0x09 }
    static var lf: UInt8 { 0x0A }
    static var cr: UInt8 { 0x0D }
    static var space: UInt8 { 0x20 }
    static var quote: UInt8 { 0x22 }
    static var dash: UInt8 { 0x2D }
    static var dot: UInt8 { 0x2E }
    static var colon: UInt8 { 0x3A }
    static var semicolon: UInt8 { 0x3B }
    static var equals: UInt8 { 0x3D }
    static var question: UInt8 { 0x3F }
    static var at: UInt8 { 0x40 }
    static var backslash: UInt8 { 0x5C }

    static func ascii(_ scalar: Unicode.Scalar) -> UInt8 { UInt8(ascii: scalar) }

    @inline(__always) var isWSP: Bool { self == .space || self == .tab }
    @inline(__always) var isLineWhitespace: Bool { isWSP || self == .cr || self == .lf }
    @inline(__always) var isDigit: Bool { self &- 0x30 < 10 }
    @inline(__always) var isLetter: Bool { (self | 0x20) &- 0x61 < 26 }
    @inline(__always) var isControl: Bool { self < 0x20 || self == 0x7F }

    /// RFC 5322 §3.6.8 `ftext`: printable ASCII but the colon.
    @inline(__always) var isFieldNameByte: Bool { self > 0x20 && self < 0x7F && self != .colon }

    /// RFC 5322 §3.2.3 `atext`.
    var isAtomText: Bool {
        if isLetter || isDigit { return true }
        switch self {
        case .ascii("!"), .ascii("#"), .ascii("$"), .ascii("%"), .ascii("&"), .ascii("'"), .ascii("*"), .ascii("+"),
            .ascii("-"), .ascii("/"), .ascii("="), .ascii("?"), .ascii("^"), .ascii("_"), .ascii("`"), .ascii("{"),
            .ascii("|"), .ascii("}"), .ascii("~"):
            return true
        default:
            return false
        }
    }

    /// RFC 2045 §5.1 `token`: printable ASCII but space and tspecials.
    var isToken: Bool {
        guard self > 0x20, self < 0x7F else { return false }
        switch self {
        case .ascii("("), .ascii(")"), .ascii("<"), .ascii(">"), .ascii("@"), .ascii(","), .semicolon, .colon,
            .backslash, .quote, .ascii("/"), .ascii("["), .ascii("]"), .question, .equals:
            return false
        default:
            return true
        }
    }

    @inline(__always) var asciiLowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

    /// Value of a hexadecimal digit in either case.
    @inline(__always) var hexValue: UInt8? {
        switch self {
        case 0x30...0x39: return self - 0x30
        case 0x41...0x46: return self - 0x41 + 10
        case 0x61...0x66: return self - 0x61 + 10
        default: return nil
        }
    }

    /// The upper-case hexadecimal digit of the low four bits.
    static func hexDigit(_ nibble: UInt8) -> UInt8 {
        let value = nibble & 0x0F
        return value < 10 ? 0x30 + value : 0x41 + value - 10
    }
}

extension Sequence<UInt8> {
    var isASCII: Bool { allSatisfy { $0 < 0x80 } }
}

extension Collection<UInt8> {
    /// Compares without regard to ASCII case.
    func equalsIgnoringCase(_ other: some Collection<UInt8>) -> Bool {
        count == other.count && zip(self, other).allSatisfy { $0.asciiLowercased == $1.asciiLowercased }
    }
}

extension [UInt8] {
    func asciiLowercased() -> [UInt8] { map(\.asciiLowercased) }

    /// The bytes without white space (and line ends) at both ends.
    func trimmingWhitespace() -> ArraySlice<UInt8> { self[...].trimmingWhitespace() }
}

extension ArraySlice<UInt8> {
    func trimmingWhitespace() -> ArraySlice<UInt8> {
        var low = startIndex
        var high = endIndex
        while low < high, self[low].isLineWhitespace { low += 1 }
        while high > low, self[high - 1].isLineWhitespace { high -= 1 }
        return self[low..<high]
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// First offset of `byte` in `range`, by libc's vectorised `memchr`.
    @inline(__always)
    func firstOffset(of byte: UInt8, in range: Range<Int>) -> Int? {
        guard !range.isEmpty, let base = baseAddress else { return nil }
        guard let hit = memchr(base + range.lowerBound, CInt(byte), range.count) else { return nil }
        return UnsafeRawPointer(hit) - UnsafeRawPointer(base)
    }
}
