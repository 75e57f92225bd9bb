// A reading position in one command line. Grammar code moves it over bytes and never sees Characters.

import NIOCore

struct SMTPCursor {
    private(set) var rest: ByteBufferView

    init(_ bytes: ByteBufferView) { self.rest = bytes }

    var isAtEnd: Bool { rest.isEmpty }
    var peek: UInt8? { rest.first }

    /// Takes the next byte if it is this one.
    mutating func skip(_ byte: UInt8) -> Bool {
        guard rest.first == byte else { return false }
        rest = rest.dropFirst()
        return true
    }

    /// Takes these ASCII letters in any case, or nothing.
    mutating func skip(word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard rest.count >= count else { return false }
        let matches = word.withUTF8Buffer { expected in
            zip(rest, expected).allSatisfy { $0.asciiUppercased == $1.asciiUppercased }
        }
        if matches { rest = rest.dropFirst(count) }
        return matches
    }

    mutating func skipSpaces() {
        rest = rest.drop { $0 == .space }
    }

    /// Takes everything up to the next space.
    mutating func readWord() -> ByteBufferView {
        read(while: { $0 != .space })
    }

    /// Takes the longest run of bytes that satisfy the condition.
    mutating func read(while condition: (UInt8) -> Bool) -> ByteBufferView {
        let run = rest.prefix(while: condition)
        rest = rest.dropFirst(run.count)
        return run
    }
}

extension UInt8 {
    static let nul = UInt8(ascii: "\0")
    static let cr = UInt8(ascii: "\r")
    static let lf = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let dot = UInt8(ascii: ".")

    var asciiUppercased: UInt8 { isASCIILowercase ? self & 0xDF : self }
    private var isASCIILowercase: Bool { self >= UInt8(ascii: "a") && self <= UInt8(ascii: "z") }

    var isASCII: Bool { self < 0x80 }
    var isDigit: Bool { self >= UInt8(ascii: "0") && self <= UInt8(ascii: "9") }
    var isLetterOrDigit: Bool {
        let upper = asciiUppercased
        return isDigit || (upper >= UInt8(ascii: "A") && upper <= UInt8(ascii: "Z"))
    }

    /// RFC 5322 §3.2.3 `atext`.
    var isAtomText: Bool {
        switch self {
        case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "/"),
            UInt8(ascii: "="), UInt8(ascii: "?"), UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"),
            UInt8(ascii: "{"), UInt8(ascii: "|"), UInt8(ascii: "}"), UInt8(ascii: "~"):
            true
        default: isLetterOrDigit
        }
    }
}
