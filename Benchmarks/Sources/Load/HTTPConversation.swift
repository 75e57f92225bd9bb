// One keep-alive HTTP/1.1 connection as a machine: a request, its whole response, the next request.

package struct HTTPConversation: Conversation {
    private enum State {
        case ready
        case statusLine, headers
        case body(left: Int)
        case chunkSize, chunk(left: Int), trailer
    }

    package static let peerSpeaksFirst = false
    private let expected: Int
    private var state = State.ready
    private var status = 0
    private var contentLength = 0
    private var isChunked = false
    private var closes = false
    /// The line under way, kept only across reads and for error texts; at most ``longestLine`` octets.
    private var line: [UInt8] = []
    /// The start of a body that came with an unexpected status, for the report.
    private var excerpt: [UInt8] = []

    private static let longestLine = 8_192
    private static let longestExcerpt = 300

    /// `expected` is the status that counts as accepted.
    package init(expected: Int) { self.expected = expected }

    package mutating func begin() -> Outgoing {
        state = .statusLine
        contentLength = 0
        isChunked = false
        excerpt.removeAll()
        return .message
    }

    package mutating func end() -> Outgoing? { nil }

    package mutating func next(_ bytes: UnsafeRawBufferPointer, from index: inout Int) -> Action {
        while index < bytes.count {
            switch state {
            case .ready:
                return .refused("bytes that nobody asked for")
            case .statusLine, .headers, .chunkSize, .trailer:
                guard readLine(bytes, from: &index) else {
                    return line.count > Self.longestLine ? .refused("a header line without end") : .wait
                }
                let ended = endedByLine()
                line.removeAll(keepingCapacity: true)
                if ended { return complete() }
            case .body(let left):
                let taken = take(left, bytes, from: &index)
                state = .body(left: left - taken)
                if taken == left { return complete() }
            case .chunk(let left):
                let taken = take(left, bytes, from: &index)
                state = taken == left ? .chunkSize : .chunk(left: left - taken)
            }
        }
        return .wait
    }

    /// Adds to `line` up to the next LF; true when the line is whole.
    private mutating func readLine(_ bytes: UnsafeRawBufferPointer, from index: inout Int) -> Bool {
        while index < bytes.count, line.count <= Self.longestLine {
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\n") {
                if line.last == UInt8(ascii: "\r") { line.removeLast() }
                return true
            }
            line.append(byte)
        }
        return false
    }

    /// Judges a whole line; true when the response is complete with it.
    private mutating func endedByLine() -> Bool {
        switch state {
        case .statusLine:
            // "HTTP/1.1 202 Accepted"
            status = line.count >= 12 ? line[9..<12].reduce(0) { $0 * 10 + Int($1 & 0x0F) } : 0
            state = .headers
        case .headers where line.isEmpty:
            if isChunked {
                state = .chunkSize
            } else {
                state = .body(left: contentLength)
                return contentLength == 0
            }
        case .headers:
            readHeader()
        case .chunkSize:
            let size = line.prefix { $0 != UInt8(ascii: ";") }.reduce(0) { $0 * 16 + (hexDigit($1) ?? 0) }
            // The two octets are the CRLF behind the chunk's data.
            state = size == 0 ? .trailer : .chunk(left: size + 2)
        case .trailer:
            return line.isEmpty
        case .ready, .body, .chunk:
            preconditionFailure("these states do not read lines")
        }
        return false
    }

    private mutating func readHeader() {
        if let value = line.valueOfHeader("content-length") {
            contentLength = value.reduce(0) { $0 * 10 + Int($1 & 0x0F) }
        } else if let value = line.valueOfHeader("transfer-encoding") {
            isChunked = value.equalsIgnoringCase("chunked")
        } else if let value = line.valueOfHeader("connection") {
            closes = value.equalsIgnoringCase("close")
        }
    }

    private mutating func take(_ wanted: Int, _ bytes: UnsafeRawBufferPointer, from index: inout Int) -> Int {
        let taken = min(wanted, bytes.count - index)
        if status != expected, excerpt.count < Self.longestExcerpt {
            excerpt += bytes[index..<(index + min(taken, Self.longestExcerpt))]
        }
        index += taken
        return taken
    }

    private mutating func complete() -> Action {
        state = .ready
        guard status == expected else { return .refused("\(status) \(String(decoding: excerpt, as: UTF8.self))") }
        return closes ? .refused("the peer closes the connection after each response") : .accepted
    }
}

private func hexDigit(_ byte: UInt8) -> Int? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
}

extension [UInt8] {
    /// The value of a header line, if its name is `name` (given in lower case), without the blanks around it.
    fileprivate func valueOfHeader(_ name: StaticString) -> ArraySlice<UInt8>? {
        let length = name.utf8CodeUnitCount
        guard count > length, self[length] == UInt8(ascii: ":"), self[..<length].equalsIgnoringCase(name) else {
            return nil
        }
        var value = self[(length + 1)...]
        while value.first == UInt8(ascii: " ") { value.removeFirst() }
        while value.last == UInt8(ascii: " ") { value.removeLast() }
        return value
    }
}

extension ArraySlice<UInt8> {
    /// `other` is in lower case; only ASCII letters are folded.
    fileprivate func equalsIgnoringCase(_ other: StaticString) -> Bool {
        guard count == other.utf8CodeUnitCount else { return false }
        return other.withUTF8Buffer { expected in
            zip(self, expected).allSatisfy { byte, wanted in
                ((UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte) == wanted
            }
        }
    }
}
