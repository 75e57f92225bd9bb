// Finished messages for places that take nothing but UTF-8, such as a string in JSON: parts in other charsets, sent as 8bit,
// are put into a transfer encoding, as a relay to a server without 8BITMIME would do (RFC 6152 §3).

import MIME

enum UTF8Message {
    private struct Edit {
        var range: Range<Int>
        var replacement: [UInt8]
    }

    /// The message itself if it is UTF-8 already. Otherwise only what is not UTF-8 becomes another text for the same content:
    /// bodies in quoted-printable or base64, header fields in UTF-8. What cannot be mended stays as it is.
    static func make(_ bytes: [UInt8]) -> [UInt8] {
        guard !isUTF8(bytes[...]), let message = try? MIMEMessage.parse(bytes) else { return bytes }
        var edits: [Edit] = []
        for part in message.root.all {
            let encodesBody = part.isLeaf && !isUTF8(bytes[part.bodyRange])
            for field in part.headers.fields where !isUTF8(bytes[field.range]) {
                if encodesBody, part.headers.isNamed(field, "content-transfer-encoding") { continue }
                edits.append(Edit(range: field.range, replacement: rewritten(field, of: part.headers)))
            }
            if encodesBody { edits += encoding(part, of: bytes) }
        }
        // Without this field readers would take no notice of an encoding.
        if message.headers.first("mime-version") == nil {
            edits.append(Edit(range: 0..<0, replacement: Array("MIME-Version: 1.0\r\n".utf8)))
        }
        return applying(edits, to: bytes)
    }

    /// - Returns: what encodes the body, and says so in the header.
    private static func encoding(_ part: MIMEPart, of bytes: [UInt8]) -> [Edit] {
        let content = part.decodedBody(in: bytes)
        let name = part.isText ? "quoted-printable" : "base64"
        let body = part.isText ? QuotedPrintable.encode(content) : Base64.encodeLines(content)
        let field = Array("Content-Transfer-Encoding: \(name)\r\n".utf8)
        let old = part.headers.all("content-transfer-encoding")
        var edits = old.map { Edit(range: $0.range, replacement: []) }
        let start = part.headerRange.lowerBound
        edits.append(Edit(range: start..<start, replacement: field))
        edits.append(Edit(range: part.bodyRange, replacement: body))
        return edits
    }

    /// The field's bytes as text, nothing else changed: quotes, folds and angle brackets keep their places.
    private static func rewritten(_ field: HeaderBlock.Field, of header: HeaderBlock) -> [UInt8] {
        Array(Charset.decode(header.bytes[field.range], charset: "windows-1252").utf8)
    }

    private static func applying(_ edits: [Edit], to bytes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + bytes.count / 2)
        var kept = 0
        // What is put in stands before what it takes the place of.
        for edit in edits.sorted(by: {
            ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
        }) {
            result += bytes[kept..<edit.range.lowerBound]
            result += edit.replacement
            kept = edit.range.upperBound
        }
        return result + bytes[kept...]
    }

    private static func isUTF8(_ bytes: ArraySlice<UInt8>) -> Bool { String(validating: bytes, as: UTF8.self) != nil }
}
