// Charsets to UTF-8: the common ones here, all others by glibc's iconv.

import Glibc

package enum Charset {
    /// Text from bytes in the named charset. Never fails: bytes that are not valid become U+FFFD, an unknown name
    /// is read as UTF-8 where that is valid and as windows-1252 where it is not.
    package static func decode(_ bytes: some Collection<UInt8>, charset name: String?) -> String {
        var cache = CharsetCache()
        return cache.decode(Array(bytes), charset: name)
    }

    /// Whether text in this charset can be read.
    package static func isKnown(_ name: String) -> Bool {
        let canonical = canonicalName(name)
        return builtIn.contains(canonical) || CharsetDecoder(canonical) != nil
    }

    static let builtIn: Set<String> = ["UTF-8", "US-ASCII", "WINDOWS-1252"]

    /// Upper case, with the names that mail uses turned into the names that glibc knows; a superset where mail
    /// programs say the subset and mean more (as the WHATWG Encoding Standard lists).
    static func canonicalName(_ name: String) -> String {
        let upper = String(
            decoding: name.utf8.map { byte in
                byte.isLetter ? byte & 0xDF : byte
            }, as: UTF8.self)
        return aliases[upper] ?? upper
    }

    private static let aliases: [String: String] = [
        "UTF8": "UTF-8", "UTF-8MB4": "UTF-8", "UNICODE-1-1-UTF-8": "UTF-8", "X-UNKNOWN": "US-ASCII",
        "ASCII": "US-ASCII", "ANSI_X3.4-1968": "US-ASCII", "ISO646-US": "US-ASCII", "UNKNOWN-8BIT": "US-ASCII",
        "ISO-8859-1": "WINDOWS-1252", "ISO8859-1": "WINDOWS-1252", "ISO_8859-1": "WINDOWS-1252",
        "LATIN1": "WINDOWS-1252", "LATIN-1": "WINDOWS-1252", "L1": "WINDOWS-1252", "CP1252": "WINDOWS-1252",
        "ISO-8859-9": "CP1254", "LATIN5": "CP1254", "ISO-8859-11": "CP874", "TIS-620": "CP874",
        "WINDOWS-874": "CP874", "ISO-8859-8-I": "ISO-8859-8", "ISO-8859-8-E": "ISO-8859-8",
        "ISO-8859-6-I": "ISO-8859-6", "ISO-8859-6-E": "ISO-8859-6",
        "GB2312": "GB18030", "GBK": "GB18030", "X-GBK": "GB18030", "GB_2312-80": "GB18030", "CP936": "GB18030",
        "SHIFT_JIS": "CP932", "SHIFT-JIS": "CP932", "X-SJIS": "CP932", "SJIS": "CP932", "WINDOWS-31J": "CP932",
        "MS_KANJI": "CP932", "X-EUC-JP": "EUC-JP",
        "EUC-KR": "CP949", "KS_C_5601-1987": "CP949", "KS_C_5601": "CP949", "KSC5601": "CP949",
        "WINDOWS-949": "CP949", "X-WINDOWS-949": "CP949",
        "BIG5": "BIG5-HKSCS", "X-BIG5": "BIG5-HKSCS", "BIG-5": "BIG5-HKSCS",
        "UNICODE-1-1-UTF-7": "UTF-7", "X-MAC-ROMAN": "MACINTOSH", "X-MAC-CYRILLIC": "MAC-CYRILLIC",
    ]

    /// A name may reach `iconv_open` only if it is one: no "//TRANSLIT" suffix, no path, none of glibc's internal
    /// charsets, not the empty name (which means the locale's).
    static func isSafeName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= 40, name != "INTERNAL", name != "WCHAR_T" else { return false }
        return name.utf8.allSatisfy {
            $0.isLetter || $0.isDigit || $0 == .dash || $0 == .ascii("_") || $0 == .dot || $0 == .colon
                || $0 == .ascii("+") || $0 == .ascii("(") || $0 == .ascii(")")
        }
    }

    // MARK: Built in

    static func decodeUTF8OrWindows1252(_ bytes: [UInt8]) -> String {
        String(validating: bytes, as: UTF8.self) ?? decodeWindows1252(bytes)
    }

    static func decodeWindows1252(_ bytes: [UInt8]) -> String {
        guard !bytes.isASCII else { return String(decoding: bytes, as: UTF8.self) }
        var scalars = String.UnicodeScalarView()
        for byte in bytes {
            let high: UInt16 = (0x80..<0xA0).contains(byte) ? windows1252[Int(byte - 0x80)] : UInt16(byte)
            scalars.append(Unicode.Scalar(high) ?? "\u{FFFD}")
        }
        return String(scalars)
    }

    private static let windows1252: [UInt16] = [
        0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0xFFFD,
        0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A,
        0x0153, 0xFFFD, 0x017E, 0x0178,
    ]
}

/// The decoders of one job. Opening one may load a module, so that a header which names a new charset in each of
/// its thousand encoded words would be costly: at most ``maximum`` are opened, the rest counts as unknown.
struct CharsetCache {
    static let maximum = 16
    private var decoders: [String: CharsetDecoder?] = [:]

    mutating func decode(_ bytes: [UInt8], charset name: String?) -> String {
        var canonical = name.map(Charset.canonicalName) ?? "US-ASCII"
        switch canonical {
        case "UTF-8": return String(decoding: bytes, as: UTF8.self)
        case "US-ASCII": return Charset.decodeUTF8OrWindows1252(bytes)
        case "WINDOWS-1252": return Charset.decodeWindows1252(bytes)
        case "UTF-16" where !(bytes.starts(with: [0xFE, 0xFF]) || bytes.starts(with: [0xFF, 0xFE])):
            // RFC 2781 §4.3: without a byte order mark it is big-endian; glibc would take the host's order.
            canonical = "UTF-16BE"
        default: break
        }
        guard let decoder = decoder(canonical) else { return Charset.decodeUTF8OrWindows1252(bytes) }
        return decoder.decode(bytes)
    }

    private mutating func decoder(_ canonical: String) -> CharsetDecoder? {
        if let known = decoders[canonical] { return known }
        guard decoders.count < Self.maximum else { return nil }
        let decoder = CharsetDecoder(canonical)
        decoders[canonical] = .some(decoder)
        return decoder
    }
}

/// Owns one iconv handle and closes it.
final class CharsetDecoder {
    private let handle: iconv_t

    /// Nil when glibc does not know the charset.
    init?(_ canonicalName: String) {
        guard Charset.isSafeName(canonicalName) else { return nil }
        let handle = iconv_open("UTF-8", canonicalName)
        // iconv_open answers (iconv_t)-1 for failure.
        guard let handle, handle != iconv_t(bitPattern: -1) else { return nil }
        self.handle = handle
    }

    deinit { iconv_close(handle) }

    func decode(_ bytes: [UInt8]) -> String {
        iconv(handle, nil, nil, nil, nil)
        var output: [UInt8] = []
        output.reserveCapacity(bytes.count + bytes.count / 2)
        var input = bytes
        input.withUnsafeMutableBytes { input in
            withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
                convert(input, through: buffer, to: &output)
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    private func convert(
        _ input: UnsafeMutableRawBufferPointer,
        through buffer: UnsafeMutableBufferPointer<CChar>,
        to output: inout [UInt8]
    ) {
        var source: UnsafeMutablePointer<CChar>? = input.baseAddress?.assumingMemoryBound(to: CChar.self)
        var sourceLeft = input.count
        while true {
            var target: UnsafeMutablePointer<CChar>? = buffer.baseAddress
            var targetLeft = buffer.count
            let leftBefore = sourceLeft
            // With nothing left to read, the call writes what a stateful charset still holds back.
            let flushing = sourceLeft == 0
            let result =
                flushing
                ? iconv(handle, nil, nil, &target, &targetLeft)
                : iconv(handle, &source, &sourceLeft, &target, &targetLeft)
            let reason = errno
            let written = buffer.count - targetLeft
            output += UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<written])
            guard result == -1 else {
                if flushing { return }
                continue
            }
            switch reason {
            case E2BIG where written > 0 || sourceLeft < leftBefore:
                continue
            case EILSEQ where sourceLeft > 0:
                output += [0xEF, 0xBF, 0xBD]
                source = source?.advanced(by: 1)
                sourceLeft -= 1
            case EINVAL where sourceLeft > 0:
                // A character is cut off at the end.
                output += [0xEF, 0xBF, 0xBD]
                sourceLeft = 0
            default:
                return
            }
        }
    }
}
