// Base64 (RFC 4648, RFC 2045 §6.8): strict where we ask for it (credentials), forgiving where mail needs it.

package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let invalid: UInt8 = 0xFF
    private static let values: [UInt8] = {
        var table = [UInt8](repeating: invalid, count: 256)
        for (value, byte) in alphabet.enumerated() { table[Int(byte)] = UInt8(value) }
        return table
    }()

    /// RFC 2045 §6.8: lines of at most 76 characters.
    package static let lineLength = 76

    /// Encodes on one line.
    package static func encode(_ bytes: some Collection<UInt8>) -> [UInt8] {
        encode(bytes, lineLength: nil)
    }

    /// Encodes in lines of 76 characters, each with its CRLF.
    package static func encodeLines(_ bytes: some Collection<UInt8>) -> [UInt8] {
        encode(bytes, lineLength: lineLength)
    }

    private static func encode(_ bytes: some Collection<UInt8>, lineLength: Int?) -> [UInt8] {
        let result = bytes.withContiguousStorageIfAvailable { encode($0, lineLength: lineLength) }
        return result ?? Array(bytes).withUnsafeBufferPointer { encode($0, lineLength: lineLength) }
    }

    private static func encode(_ bytes: UnsafeBufferPointer<UInt8>, lineLength: Int?) -> [UInt8] {
        let characters = (bytes.count + 2) / 3 * 4
        let lines = lineLength.map { (characters + $0 - 1) / $0 } ?? 0
        return [UInt8](unsafeUninitializedCapacity: characters + 2 * lines) { output, count in
            alphabet.withUnsafeBufferPointer { alphabet in
                var out = 0
                var column = 0
                func put(_ word: UInt32, _ digits: Int) {
                    for position in 0..<4 {
                        let value = Int(word >> UInt32(18 - 6 * position)) & 0x3F
                        output[out + position] = position < digits ? alphabet[value] : .equals
                    }
                    out += 4
                    column += 4
                    guard let lineLength, column >= lineLength else { return }
                    endLine()
                }
                func endLine() {
                    output[out] = .cr
                    output[out + 1] = .lf
                    out += 2
                    column = 0
                }
                var index = 0
                while index + 2 < bytes.count {
                    put(UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]), 4)
                    index += 3
                }
                switch bytes.count - index {
                case 1: put(UInt32(bytes[index]) << 16, 2)
                case 2: put(UInt32(bytes[index]) << 16 | UInt32(bytes[index + 1]) << 8, 3)
                default: break
                }
                if lineLength != nil, column > 0 { endLine() }
                count = out
            }
        }
    }

    /// Strict: the alphabet, right padding, zero bits behind the data; white space and line ends are skipped.
    /// Nil for anything else. For SASL and other protocol values.
    package static func decode(_ bytes: some Sequence<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.underestimatedCount / 4 * 3 + 3)
        var word: UInt32 = 0
        var digits = 0
        var padding = 0
        for byte in bytes where !byte.isLineWhitespace {
            if byte == .equals {
                padding += 1
                continue
            }
            let value = values[Int(byte)]
            guard value != invalid, padding == 0 else { return nil }
            word = word << 6 | UInt32(value)
            digits += 1
            if digits == 4 {
                appendGroup(word, digits: 4, to: &result)
                (word, digits) = (0, 0)
            }
        }
        switch (digits, padding) {
        case (0, 0):
            return result
        case (2, 2) where word & 0x0F == 0, (3, 1) where word & 0x03 == 0:
            appendGroup(word << UInt32(6 * (4 - digits)), digits: digits, to: &result)
            return result
        default:
            return nil
        }
    }

    /// As RFC 2045 §6.8 asks of mail readers: what is not of the alphabet is skipped, missing padding is no
    /// error, and padding in the middle ends one run and starts the next.
    package static func decodeLeniently(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let result = bytes.withContiguousStorageIfAvailable { decodeLeniently($0) }
        return result ?? Array(bytes).withUnsafeBufferPointer { decodeLeniently($0) }
    }

    private static func decodeLeniently(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes.count / 4 * 3 + 3) { output, count in
            values.withUnsafeBufferPointer { values in
                var out = 0
                var index = 0
                var word: UInt32 = 0
                var digits = 0
                while index < bytes.count {
                    // Four good characters at once: almost all of any body.
                    if digits == 0, index + 4 <= bytes.count {
                        let a = values[Int(bytes[index])]
                        let b = values[Int(bytes[index + 1])]
                        let c = values[Int(bytes[index + 2])]
                        let d = values[Int(bytes[index + 3])]
                        if (a | b | c | d) & 0x80 == 0 {
                            output[out] = a << 2 | b >> 4
                            output[out + 1] = b << 4 | c >> 2
                            output[out + 2] = c << 6 | d
                            out += 3
                            index += 4
                            continue
                        }
                    }
                    let byte = bytes[index]
                    let value = values[Int(byte)]
                    index += 1
                    if value != invalid {
                        word = word << 6 | UInt32(value)
                        digits += 1
                    }
                    guard digits == 4 || (byte == .equals && digits > 0) || index == bytes.count else { continue }
                    if digits > 1 {
                        word <<= UInt32(6 * (4 - digits))
                        for position in 0..<(digits - 1) {
                            output[out] = UInt8(truncatingIfNeeded: word >> UInt32(16 - 8 * position))
                            out += 1
                        }
                    }
                    (word, digits) = (0, 0)
                }
                count = out
            }
        }
    }

    private static func appendGroup(_ word: UInt32, digits: Int, to result: inout [UInt8]) {
        for position in 0..<(digits - 1) {
            result.append(UInt8(truncatingIfNeeded: word >> UInt32(16 - 8 * position)))
        }
    }
}
