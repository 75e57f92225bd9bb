// The structure of a message in one pass (RFC 2046 §5.1). Every line is looked at once, however deep the nesting:
// the boundaries of all open multiparts are on one stack, and a line is compared with them only if it starts with "--".

struct MIMEParser {
    private let bytes: [UInt8]
    private let limits: MIMELimits
    private var nodes: [Node] = []
    private var open: [OpenNode] = []

    /// A part while its end is not known yet. Children are indices into `nodes`.
    private struct Node {
        var headers: HeaderBlock
        var contentType: ContentType
        var transferEncoding: TransferEncoding
        var disposition: ContentDisposition?
        var bodyEnd: Int
        var children: [Int] = []
    }

    private struct OpenNode {
        var node: Int
        /// Nil for anything that is no multipart, and for a multipart whose closing boundary has been seen.
        var boundary: [UInt8]?
    }

    private struct Delimiter {
        /// Where its line begins.
        var start: Int
        /// Where the next line begins.
        var next: Int
        /// Index into `open`.
        var depth: Int
        var isClosing: Bool
    }

    private init(bytes: [UInt8], limits: MIMELimits) {
        self.bytes = bytes
        self.limits = limits
    }

    static func parse(_ bytes: [UInt8], limits: MIMELimits) throws(MIMEError) -> MIMEPart {
        var parser = MIMEParser(bytes: bytes, limits: limits)
        let headers = try HeaderBlock.parse(bytes, limits: limits)
        try parser.openNode(headers, parent: nil)
        try parser.run(from: parser.nodes[parser.nodes.count - 1].headers.bodyStart)
        return parser.makePart(0)
    }

    private mutating func run(from start: Int) throws(MIMEError) {
        var position = start
        while let delimiter = nextDelimiter(from: position) {
            close(above: delimiter.depth, at: delimiter.start)
            position = delimiter.next
            if delimiter.isClosing {
                open[delimiter.depth].boundary = nil
            } else {
                position = try openPart(at: delimiter.next, parent: open[delimiter.depth].node)
            }
        }
        close(above: -1, at: bytes.count, isEnd: true)
    }

    // MARK: Opening and closing

    /// Reads the header of the part at `start`, and of the messages enclosed directly in it; returns where its
    /// body begins.
    private mutating func openPart(at start: Int, parent: Int) throws(MIMEError) -> Int {
        let stack = open
        let headers = try HeaderBlock.parse(bytes, from: start, limits: limits) { buffer, line in
            Self.match(buffer, line: line, open: stack) != nil
        }
        try openNode(headers, parent: parent)
        return nodes[nodes.count - 1].headers.bodyStart
    }

    private mutating func openNode(_ headers: HeaderBlock, parent: Int?) throws(MIMEError) {
        var headers = headers
        var parent = parent
        while true {
            guard nodes.count < limits.partCount else {
                throw MIMEError(.tooManyParts, "The message has too many parts.", offset: headers.start)
            }
            guard open.count < limits.nesting else {
                throw MIMEError(.nestingTooDeep, "The message is nested too deep.", offset: headers.start)
            }
            let node = makeNode(headers, parent: parent)
            nodes.append(node)
            if let parent { nodes[parent].children.append(nodes.count - 1) }
            var boundary = node.contentType.boundary
            if let found = boundary, found.count > limits.boundaryBytes { boundary = nil }
            open.append(OpenNode(node: nodes.count - 1, boundary: boundary))

            // An enclosed message starts right here. One in base64, which RFC 2046 §5.2.1 forbids, stays a leaf:
            // it has no ranges in the original.
            guard node.contentType.isMessage, node.transferEncoding.isIdentity, headers.end == .blankLine else {
                return
            }
            parent = nodes.count - 1
            let stack = open
            headers = try HeaderBlock.parse(bytes, from: headers.bodyStart, limits: limits) { buffer, line in
                Self.match(buffer, line: line, open: stack) != nil
            }
        }
    }

    private func makeNode(_ headers: HeaderBlock, parent: Int?) -> Node {
        let type = headers.unfoldedValue("content-type").flatMap { ContentType(parsing: $0, limits: limits) }
        let isDigest = parent.map { nodes[$0].contentType.mediaType == "multipart/digest" } ?? false
        let encoding = headers.unfoldedValue("content-transfer-encoding").map(TransferEncoding.init(parsing:))
        return Node(
            headers: headers,
            contentType: type ?? (isDigest ? .message : .plainText),
            transferEncoding: encoding ?? .sevenBit,
            disposition: headers.unfoldedValue("content-disposition").flatMap {
                ContentDisposition(parsing: $0, limits: limits)
            },
            bodyEnd: bytes.count
        )
    }

    /// Ends all open nodes deeper than `depth`. The line end before a boundary belongs to the boundary.
    private mutating func close(above depth: Int, at end: Int, isEnd: Bool = false) {
        var contentEnd = end
        if !isEnd, contentEnd > 0, bytes[contentEnd - 1] == .lf {
            contentEnd -= 1
            if contentEnd > 0, bytes[contentEnd - 1] == .cr { contentEnd -= 1 }
        }
        while open.count > depth + 1 {
            let node = open.removeLast().node
            // An empty body begins behind that line end, and with it ends everything around it.
            contentEnd = max(contentEnd, nodes[node].headers.bodyStart)
            nodes[node].bodyEnd = contentEnd
        }
    }

    // MARK: Boundaries

    private func nextDelimiter(from start: Int) -> Delimiter? {
        guard open.contains(where: { $0.boundary != nil }) else { return nil }
        return bytes.withUnsafeBufferPointer { buffer in
            var line = start
            while line < buffer.count {
                if buffer[line] == .dash, let found = Self.match(buffer, line: line, open: open) {
                    return found
                }
                guard let lineFeed = buffer.firstOffset(of: .lf, in: line..<buffer.count) else { return nil }
                line = lineFeed + 1
            }
            return nil
        }
    }

    /// Whether the line at `line` is a boundary of an open multipart, the innermost first.
    private static func match(_ bytes: UnsafeBufferPointer<UInt8>, line: Int, open: [OpenNode]) -> Delimiter? {
        guard line + 2 < bytes.count, bytes[line] == .dash, bytes[line + 1] == .dash else { return nil }
        let lineFeed = bytes.firstOffset(of: .lf, in: line..<bytes.count) ?? bytes.count
        // RFC 2046 §5.1.1: white space may have been added at the end.
        var end = lineFeed
        while end > line + 2, bytes[end - 1].isLineWhitespace { end -= 1 }
        let content = UnsafeBufferPointer(rebasing: bytes[(line + 2)..<end])
        let next = min(lineFeed + 1, bytes.count)
        for depth in open.indices.reversed() {
            guard let boundary = open[depth].boundary else { continue }
            if content.count == boundary.count {
                guard content.elementsEqual(boundary) else { continue }
                return Delimiter(start: line, next: next, depth: depth, isClosing: false)
            }
            if content.count == boundary.count + 2, content[content.count - 1] == .dash,
                content[content.count - 2] == .dash, content.starts(with: boundary)
            {
                return Delimiter(start: line, next: next, depth: depth, isClosing: true)
            }
        }
        return nil
    }

    // MARK: The tree

    /// Recursion is bounded by `limits.nesting`.
    private func makePart(_ index: Int) -> MIMEPart {
        let node = nodes[index]
        let headers = node.headers
        return MIMEPart(
            headers: headers,
            contentType: node.contentType,
            transferEncoding: node.transferEncoding,
            disposition: node.disposition,
            range: headers.start..<node.bodyEnd,
            headerRange: headers.start..<headers.bodyStart,
            bodyRange: headers.bodyStart..<node.bodyEnd,
            children: node.children.map(makePart)
        )
    }
}
