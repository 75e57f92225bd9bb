// What RFC 5322 §3.6 asks of the header of a message that someone hands in.

/// One thing that is wrong with a header.
package enum HeaderProblem: Hashable, Sendable, CustomStringConvertible {
    /// A field that must be there is not.
    case missing(String)
    /// A field that may stand once stands several times. `offset` is that of the second.
    case repeated(String, count: Int, offset: Int)
    /// A line in the header is neither a field nor the continuation of one.
    case malformedLine(offset: Int)

    package var description: String {
        switch self {
        case .missing(let name): return "The header has no \(name) field."
        case .repeated(let name, let count, _): return "The header has \(count) \(name) fields; it may have one."
        case .malformedLine(let offset): return "The header has a line that is no header field (at byte \(offset))."
        }
    }
}

package enum SubmissionHeaders {
    /// Fields that may stand at most once; `From` must.
    private static let single: [(name: String, folded: [UInt8])] = [
        "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject", "Date",
        "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
    ].map { ($0, $0.utf8.map(\.asciiLowercased)) }

    /// All problems, malformed lines first, then in the order of RFC 5322 §3.6. Empty means the header may pass.
    package static func check(_ block: HeaderBlock) -> [HeaderProblem] {
        var counts = [Int](repeating: 0, count: single.count)
        var second = [Int](repeating: 0, count: single.count)
        block.bytes.withUnsafeBufferPointer { bytes in
            for field in block.fields {
                let name = UnsafeBufferPointer(rebasing: bytes[field.nameRange])
                guard let index = single.firstIndex(where: { $0.folded.equalsIgnoringCase(name) }) else { continue }
                counts[index] += 1
                if counts[index] == 2 { second[index] = field.range.lowerBound }
            }
        }
        var problems: [HeaderProblem] = []
        if case .malformedLine(let offset) = block.end { problems.append(.malformedLine(offset: offset)) }
        if counts[0] == 0 { problems.append(.missing("From")) }
        for (index, count) in counts.enumerated() where count > 1 {
            problems.append(.repeated(single[index].name, count: count, offset: second[index]))
        }
        return problems
    }
}
