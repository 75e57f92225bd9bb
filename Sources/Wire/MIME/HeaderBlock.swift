// The header of a message as byte ranges into the original: one scan, one allocation, nothing copied.
// It is on the way of every message that comes in by SMTP.

package struct HeaderBlock: Sendable {
    /// One field. Offsets are into the bytes that were parsed.
    package struct Field: Hashable, Sendable {
        private let start: UInt32
        private let nameEnd: UInt32
        private let colon: UInt32
        private let valueEnd: UInt32
        private let end: UInt32

        init(start: Int, nameEnd: Int, colon: Int, valueEnd: Int, end: Int) {
            self.start = UInt32(truncatingIfNeeded: start)
            self.nameEnd = UInt32(truncatingIfNeeded: nameEnd)
            self.colon = UInt32(truncatingIfNeeded: colon)
            self.valueEnd = UInt32(truncatingIfNeeded: valueEnd)
            self.end = UInt32(truncatingIfNeeded: end)
        }

        /// The name, without the colon and without the obsolete white space before it.
        package var nameRange: Range<Int> { Int(start)..<Int(nameEnd) }
        /// The raw value: everything between the colon and the last line end, folds included.
        package var valueRange: Range<Int> { Int(colon) + 1..<Int(valueEnd) }
        /// The whole field with its line end.
        package var range: Range<Int> { Int(start)..<Int(end) }
    }

    /// What ended the header.
    package enum End: Hashable, Sendable {
        /// The empty line that RFC 5322 §2.1 asks for.
        case blankLine
        /// The bytes ended; there is no body.
        case endOfInput
        /// A line that is no header field; the body starts there. Readers differ about such messages.
        case malformedLine(offset: Int)
        /// A boundary line of an enclosing multipart.
        case delimiter
    }

    /// The bytes that were parsed; all ranges are into these.
    package let bytes: [UInt8]
    /// All fields from top to bottom.
    package let fields: [Field]
    /// Where the header begins.
    package let start: Int
    /// Where the body begins, behind the empty line.
    package let bodyStart: Int
    package let end: End

    /// Finds all header fields from `start` up to the first empty line. Lines may end in CRLF or LF: whether LF
    /// is acceptable is for ``LineDiscipline`` to say.
    /// - Throws: ``MIMEError`` `header_too_large`, `header_line_too_long`, `too_many_headers`, `message_too_large`.
    package static func parse(
        _ bytes: [UInt8],
        from start: Int = 0,
        limits: MIMELimits = .default
    ) throws(MIMEError) -> HeaderBlock {
        try parse(bytes, from: start, limits: limits) { _, _ in false }
    }

    /// - Parameter isDelimiter: asked for each line that begins with `--`.
    @inline(__always)
    static func parse(
        _ bytes: [UInt8],
        from start: Int,
        limits: MIMELimits,
        isDelimiter: (UnsafeBufferPointer<UInt8>, Int) -> Bool
    ) throws(MIMEError) -> HeaderBlock {
        precondition(start >= 0 && start <= bytes.count, "start is outside of the message")
        guard bytes.count <= UInt32.max else {
            throw MIMEError(.messageTooLarge, "A message cannot be larger than 4 GiB.")
        }
        var scanner = HeaderScanner(start: start, limits: limits)
        try bytes.withUnsafeBufferPointer { (buffer) throws(MIMEError) in
            try scanner.scan(buffer, isDelimiter: isDelimiter)
        }
        return HeaderBlock(
            bytes: bytes,
            fields: scanner.fields,
            start: start,
            bodyStart: scanner.bodyStart,
            end: scanner.end
        )
    }

    // MARK: Look-ups, without regard to case

    /// The topmost field of that name.
    package func first(_ name: String) -> Field? {
        fields.first { isNamed($0, name) }
    }

    /// All fields of that name from top to bottom.
    package func all(_ name: String) -> [Field] {
        fields.filter { isNamed($0, name) }
    }

    package func count(of name: String) -> Int {
        fields.reduce(0) { $0 + (isNamed($1, name) ? 1 : 0) }
    }

    package func isNamed(_ field: Field, _ name: String) -> Bool {
        let range = field.nameRange
        guard range.count == name.utf8.count else { return false }
        return bytes[range].equalsIgnoringCase(name.utf8)
    }

    // MARK: Values

    /// The name as it is written.
    package func name(of field: Field) -> String {
        String(decoding: bytes[field.nameRange], as: UTF8.self)
    }

    /// The value without folds and without white space at its ends, still encoded.
    package func unfoldedValue(of field: Field) -> [UInt8] {
        let value = bytes[field.valueRange].trimmingWhitespace()
        guard value.contains(.lf) else { return Array(value) }
        return value.filter { $0 != .cr && $0 != .lf }
    }

    /// The value for people: unfolded, encoded words decoded (RFC 2047), 8-bit text read as UTF-8 or else as
    /// windows-1252, control characters replaced.
    package func decodedText(of field: Field) -> String {
        EncodedWord.decode(unfoldedValue(of: field)).withoutControls
    }

    /// Decoded text of the topmost field of that name.
    package func decodedText(_ name: String) -> String? {
        first(name).map { decodedText(of: $0) }
    }

    package func unfoldedValue(_ name: String) -> [UInt8]? {
        first(name).map { unfoldedValue(of: $0) }
    }

    /// The addresses of all fields of that name; `[]` when there is none.
    package func addresses(
        _ name: String,
        limits: MIMELimits = .default
    ) throws(MIMEError) -> [AddressListEntry] {
        var entries: [AddressListEntry] = []
        for field in fields where isNamed(field, name) {
            entries += try AddressList.parse(unfoldedValue(of: field), limits: limits)
            guard entries.count <= limits.addressesPerList else {
                throw MIMEError(.tooManyAddresses, "The header has too many addresses.", offset: field.range.lowerBound)
            }
        }
        return entries
    }
}

/// The scan itself: memchr from line end to line end.
struct HeaderScanner {
    private let limits: MIMELimits
    private let start: Int
    private(set) var fields: [HeaderBlock.Field] = []
    private(set) var bodyStart: Int
    private(set) var end = HeaderBlock.End.endOfInput

    init(start: Int, limits: MIMELimits) {
        self.start = start
        self.bodyStart = start
        self.limits = limits
        fields.reserveCapacity(32)
    }

    @inline(__always)
    mutating func scan(
        _ bytes: UnsafeBufferPointer<UInt8>,
        isDelimiter: (UnsafeBufferPointer<UInt8>, Int) -> Bool
    ) throws(MIMEError) {
        var position = start
        while position < bytes.count {
            let byte = bytes[position]
            if byte == .lf { return finish(.blankLine, at: position + 1) }
            if byte == .cr, position + 1 < bytes.count, bytes[position + 1] == .lf {
                return finish(.blankLine, at: position + 2)
            }
            if byte == .dash, position + 1 < bytes.count, bytes[position + 1] == .dash, isDelimiter(bytes, position) {
                return finish(.delimiter, at: position)
            }
            var nameEnd = position
            while nameEnd < bytes.count, bytes[nameEnd].isFieldNameByte { nameEnd += 1 }
            var colon = nameEnd
            while colon < bytes.count, bytes[colon].isWSP { colon += 1 }
            guard nameEnd > position, colon < bytes.count, bytes[colon] == .colon else {
                return finish(.malformedLine(offset: position), at: position)
            }
            guard fields.count < limits.headerCount else {
                throw MIMEError(.tooManyHeaders, "The header has too many fields.", offset: position)
            }
            let (lineFeed, next) = try endOfField(bytes, from: position, behind: colon + 1)
            let hasCarriageReturn = lineFeed < bytes.count && lineFeed > colon + 1 && bytes[lineFeed - 1] == .cr
            fields.append(
                HeaderBlock.Field(
                    start: position,
                    nameEnd: nameEnd,
                    colon: colon,
                    valueEnd: hasCarriageReturn ? lineFeed - 1 : lineFeed,
                    end: next
                )
            )
            position = next
        }
        finish(.endOfInput, at: bytes.count)
    }

    /// The offset of the field's last line feed (or of the end of the bytes), and of what follows it.
    @inline(__always)
    private func endOfField(
        _ bytes: UnsafeBufferPointer<UInt8>,
        from fieldStart: Int,
        behind colon: Int
    ) throws(MIMEError) -> (lineFeed: Int, next: Int) {
        var lineStart = fieldStart
        var cursor = colon
        while true {
            let lineFeed = bytes.firstOffset(of: .lf, in: cursor..<bytes.count) ?? bytes.count
            // One octet is the CR.
            guard lineFeed - lineStart - 1 <= limits.headerLineBytes else {
                throw MIMEError(.headerLineTooLong, "A header line is too long.", offset: lineStart)
            }
            let next = min(lineFeed + 1, bytes.count)
            guard next - start <= limits.headerBytes else {
                throw MIMEError(.headerTooLarge, "The header is too large.", offset: fieldStart)
            }
            guard next < bytes.count, bytes[next].isWSP else { return (lineFeed, next) }
            lineStart = next
            cursor = next
        }
    }

    private mutating func finish(_ end: HeaderBlock.End, at bodyStart: Int) {
        self.end = end
        self.bodyStart = bodyStart
    }
}
