// Line ends, the shared check of all doors (DESIGN §4.10): CRLF and nothing else (RFC 5321 §2.3.8), because a bare
// CR or LF that one server takes for a line end and the next does not is how mail is smuggled.

package struct LineViolation: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Hashable, Sendable {
        case bareCarriageReturn = "bare CR"
        case bareLineFeed = "bare LF"
        case nul = "NUL"
        case lineTooLong = "line too long"
    }

    package let kind: Kind
    /// Offset of the offending byte; of the start of the line for `lineTooLong`.
    package let offset: Int

    package init(kind: Kind, offset: Int) {
        self.kind = kind
        self.offset = offset
    }

    package var description: String { "\(kind.rawValue) at byte \(offset)" }
}

package enum LineDiscipline {
    /// RFC 5322 §2.1.1 and RFC 5321 §4.5.3.1.6, in octets without the CRLF.
    package static let maximumLineLength = 998

    /// The first bare CR, bare LF, NUL or over-long line, by offset.
    /// - Parameter maximumLineLength: nil when the caller does not mind long lines.
    package static func firstViolation(
        in bytes: [UInt8],
        maximumLineLength: Int? = LineDiscipline.maximumLineLength
    ) -> LineViolation? {
        var scanner = LineScanner(maximumLineLength: maximumLineLength)
        return bytes.withUnsafeBufferPointer { scanner.scan($0) } ?? scanner.finish()
    }

    /// Turns every bare LF and bare CR into CRLF; CRLF stays. For doors that take text files (HTTP), never for SMTP.
    /// Returns the same array, uncopied, when there is nothing to do.
    package static func normalizingBareNewlines(_ bytes: [UInt8]) -> [UInt8] {
        guard let first = firstBareNewline(in: bytes) else { return bytes }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + bytes.count / 32 + 16)
        result += bytes[..<first]
        var index = first
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            switch byte {
            case .cr:
                if index < bytes.count, bytes[index] == .lf { index += 1 }
                result.append(.cr)
                result.append(.lf)
            case .lf:
                result.append(.cr)
                result.append(.lf)
            default:
                result.append(byte)
            }
        }
        return result
    }

    /// As ``normalizingBareNewlines(_:)``, for text.
    package static func normalizingBareNewlines(_ text: String) -> [UInt8] {
        normalizingBareNewlines(Array(text.utf8))
    }

    private static func firstBareNewline(in bytes: [UInt8]) -> Int? {
        bytes.withUnsafeBufferPointer { buffer in
            var scanner = LineScanner(maximumLineLength: nil, allowsNUL: true)
            return (scanner.scan(buffer) ?? scanner.finish())?.offset
        }
    }
}

/// The check over bytes that come in pieces. Feed each piece to ``scan(_:)``, then call ``finish()``.
package struct LineScanner: Sendable {
    private let maximumLineLength: Int
    private let allowsNUL: Bool
    /// Bytes seen in earlier pieces.
    private var consumed = 0
    private var lineStart = 0
    private var endsInCarriageReturn = false

    package init(maximumLineLength: Int? = LineDiscipline.maximumLineLength, allowsNUL: Bool = false) {
        self.maximumLineLength = maximumLineLength ?? .max
        self.allowsNUL = allowsNUL
    }

    /// The first violation in this piece, if any; offsets count from the first piece. After a violation the
    /// scanner is not to be used any more.
    package mutating func scan(_ piece: UnsafeBufferPointer<UInt8>) -> LineViolation? {
        let nul = allowsNUL ? nil : piece.firstOffset(of: 0, in: 0..<piece.count)
        let count = nul ?? piece.count
        if let violation = scanLines(piece, count: count) { return violation }
        if let nul {
            // A pending CR is followed by this NUL, not by LF.
            if endsInCarriageReturn { return LineViolation(kind: .bareCarriageReturn, offset: consumed - 1) }
            return LineViolation(kind: .nul, offset: consumed - count + nul)
        }
        return nil
    }

    /// What is wrong with the end: a CR without its LF, or a last line that is too long.
    package func finish() -> LineViolation? {
        if endsInCarriageReturn { return LineViolation(kind: .bareCarriageReturn, offset: consumed - 1) }
        return lineLengthViolation(upTo: consumed)
    }

    private mutating func scanLines(_ piece: UnsafeBufferPointer<UInt8>, count: Int) -> LineViolation? {
        var index = 0
        defer { consumed += count }
        if endsInCarriageReturn, count > 0 {
            guard piece[0] == .lf else {
                return LineViolation(kind: .bareCarriageReturn, offset: consumed - 1)
            }
            endsInCarriageReturn = false
            index = 1
            if let violation = lineLengthViolation(upTo: consumed - 1) { return violation }
            lineStart = consumed + 1
        }
        while index < count {
            let carriageReturn = piece.firstOffset(of: .cr, in: index..<count) ?? count
            if let lineFeed = piece.firstOffset(of: .lf, in: index..<carriageReturn) {
                return lineLengthViolation(upTo: consumed + lineFeed)
                    ?? LineViolation(kind: .bareLineFeed, offset: consumed + lineFeed)
            }
            if let violation = lineLengthViolation(upTo: consumed + carriageReturn) { return violation }
            guard carriageReturn < count else { return nil }
            guard carriageReturn + 1 < count else {
                endsInCarriageReturn = true
                return nil
            }
            guard piece[carriageReturn + 1] == .lf else {
                return LineViolation(kind: .bareCarriageReturn, offset: consumed + carriageReturn)
            }
            index = carriageReturn + 2
            lineStart = consumed + index
        }
        return nil
    }

    private func lineLengthViolation(upTo end: Int) -> LineViolation? {
        end - lineStart > maximumLineLength ? LineViolation(kind: .lineTooLong, offset: lineStart) : nil
    }
}
