// Changing a message on its way through, byte for byte: fields out, fields in at the top, all else untouched.

/// Which fields to take out of a header and which to put at its top.
package struct HeaderEdit: Sendable {
    /// Names of fields to take out, without regard to case. A name that ends in `*` is a prefix: `x-mq-*`.
    package var removing: [String]
    /// Fields to put before the first one, in this order.
    package var prepending: [HeaderField]

    package init(removing: [String] = [], prepending: [HeaderField] = []) {
        self.removing = removing
        self.prepending = prepending
    }

    /// The edited message. `block` is the header of a whole message, not of a part in it.
    package func apply(to block: HeaderBlock) -> [UInt8] {
        let bytes = block.bytes
        let rendered = prepending.map(\.rendered)
        let patterns = removing.map(Pattern.init)
        var result: [UInt8] = []
        result.reserveCapacity(rendered.reduce(bytes.count) { $0 + $1.count })
        for field in rendered { result += field }
        if !rendered.isEmpty, block.fields.isEmpty, block.start < bytes.count, bytes[block.start].isWSP {
            // A body without a header that begins with a space must not become the continuation of our field.
            result += [.cr, .lf]
        }
        // Runs of kept bytes are copied at once.
        var kept = 0
        for field in block.fields where patterns.contains(where: { $0.matches(bytes[field.nameRange]) }) {
            result += bytes[kept..<field.range.lowerBound]
            kept = field.range.upperBound
        }
        result += bytes[kept...]
        return result
    }

    private struct Pattern {
        var name: [UInt8]
        var isPrefix: Bool

        init(_ text: String) {
            isPrefix = text.utf8.last == .ascii("*")
            name = Array(isPrefix ? text.utf8.dropLast() : text.utf8[...])
        }

        func matches(_ field: ArraySlice<UInt8>) -> Bool {
            isPrefix ? field.prefix(name.count).equalsIgnoringCase(name) : field.equalsIgnoringCase(name)
        }
    }
}
