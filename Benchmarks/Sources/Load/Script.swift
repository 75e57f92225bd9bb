// The bytes that a conversation sends: pieces that never change, and payloads of which each is told from all others by
// eight digits, patched in place so that a message costs no allocation.

/// The fixed pieces of a conversation.
package struct Script: Sendable {
    let pieces: [[UInt8]]

    init(pieces: [String] = []) { self.pieces = pieces.map { Array($0.utf8) } }

    package static let empty = Script()
}

/// What goes out as `Outgoing.message`.
package struct Payload: Sendable {
    /// One buffer, or several that are sent in turn.
    private var variants: [[UInt8]]
    /// Where the eight digits of the serial number begin in each variant; nil where the payload has none.
    private let serialOffset: Int?

    static let serialDigits = 8
    /// Stands in a template where the serial number goes.
    static let placeholder = "########"

    /// `template` holds ``placeholder`` once.
    init(template: String) {
        let bytes = Array(template.utf8)
        let mark = Array(Self.placeholder.utf8)
        serialOffset = bytes.indices.first { bytes[$0...].starts(with: mark) }
        variants = [bytes]
    }

    init(variants: [String]) {
        precondition(!variants.isEmpty, "a payload needs at least one variant")
        self.variants = variants.map { Array($0.utf8) }
        serialOffset = nil
    }

    var size: Int { variants[0].count }

    /// The bytes of the message with this number, valid inside `body` only.
    mutating func withBytes<Result>(serial: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let variant = serial % variants.count
        if let serialOffset {
            var rest = serial
            for digit in (0..<Self.serialDigits).reversed() {
                variants[variant][serialOffset + digit] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
        }
        return variants[variant].withUnsafeBytes(body)
    }
}
