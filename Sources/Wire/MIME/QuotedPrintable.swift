// Quoted-printable (RFC 2045 §6.7).

package enum QuotedPrintable {
    /// RFC 2045 §6.7 rule 5: lines of at most 76 characters.
    package static let lineLength = 76

    /// Encodes text whose lines end in CRLF; those stay line ends. A CR or LF on its own is encoded.
    package static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + bytes.count / 4)
        var column = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            let next = index + 1 < bytes.count ? bytes[index + 1] : nil
            if byte == .cr, next == .lf {
                result += [.cr, .lf]
                column = 0
                index += 2
                continue
            }
            let endsLine = next == nil || (next == .cr && index + 2 < bytes.count && bytes[index + 2] == .lf)
            let width = needsEscape(byte, startsLine: column == 0, endsLine: endsLine, next: next) ? 3 : 1
            // The last character of a line may use the column of the "=" that it does not need.
            if column + width > (endsLine ? lineLength : lineLength - 1) {
                result += [.equals, .cr, .lf]
                column = 0
                continue
            }
            if width == 3 {
                result += [.equals, UInt8.hexDigit(byte >> 4), UInt8.hexDigit(byte)]
            } else {
                result.append(byte)
            }
            column += width
            index += 1
        }
        return result
    }

    private static func needsEscape(_ byte: UInt8, startsLine: Bool, endsLine: Bool, next: UInt8?) -> Bool {
        switch byte {
        case .equals: return true
        case .space, .tab: return endsLine
        // A line "." ends SMTP data, and "From " starts a message in mbox files: some hop always gets it wrong.
        case .dot: return startsLine
        case .ascii("F"): return startsLine && next == .ascii("r")
        default: return byte < 0x20 || byte > 0x7E
        }
    }

    /// Decodes, forgiving as RFC 2045 §6.7 advises: white space at line ends is dropped, an `=` that escapes nothing
    /// stays as it is. Line ends come out as they went in.
    package static func decode(_ bytes: some Collection<UInt8>) -> [UInt8] {
        let result = bytes.withContiguousStorageIfAvailable { decode($0) }
        return result ?? Array(bytes).withUnsafeBufferPointer { decode($0) }
    }

    private static func decode(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: bytes.count) { output, count in
            var out = 0
            var index = 0
            while index < bytes.count {
                let byte = bytes[index]
                switch byte {
                case .equals:
                    if index + 2 < bytes.count, let high = bytes[index + 1].hexValue,
                        let low = bytes[index + 2].hexValue
                    {
                        output[out] = high << 4 | low
                        out += 1
                        index += 3
                    } else if let next = lineEnd(bytes, at: endOfSpace(bytes, from: index + 1)) {
                        index = next
                    } else {
                        output[out] = byte
                        out += 1
                        index += 1
                    }
                case .space, .tab:
                    let end = endOfSpace(bytes, from: index)
                    if lineEnd(bytes, at: end) == nil {
                        for position in index..<end {
                            output[out] = bytes[position]
                            out += 1
                        }
                    }
                    index = end
                default:
                    output[out] = byte
                    out += 1
                    index += 1
                }
            }
            count = out
        }
    }

    private static func endOfSpace(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
        var index = start
        while index < bytes.count, bytes[index].isWSP { index += 1 }
        return index
    }

    /// The offset behind the line end at `index` (the end of the bytes counts as one); nil when there is none.
    private static func lineEnd(_ bytes: UnsafeBufferPointer<UInt8>, at index: Int) -> Int? {
        guard index < bytes.count else { return bytes.count }
        if bytes[index] == .lf { return index + 1 }
        if bytes[index] == .cr, index + 1 < bytes.count, bytes[index + 1] == .lf { return index + 2 }
        return nil
    }
}
