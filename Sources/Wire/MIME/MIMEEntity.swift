// The parts of a message that is being made: what goes into which multipart, and in which transfer encoding.

indirect enum MIMEEntity {
    /// `body` is in its transfer encoding already.
    case leaf(fields: [(HeaderName, String)], encoding: TransferEncoding, body: [UInt8])
    case multipart(subtype: String, parameters: String, children: [MIMEEntity])

    // MARK: Structure (RFC 2046 §5.1)

    /// mixed( alternative( text, related( html, inline… ) ), attachments… ), without the levels that are not needed.
    static func body(of builder: MIMEBuilder) throws(MIMEError) -> MIMEEntity {
        let isInline = { (attachment: MIMEBuilder.Attachment) in builder.html != nil && attachment.contentID != nil }
        var alternatives: [MIMEEntity] = []
        if builder.text != nil || builder.html == nil {
            alternatives.append(text(builder.text ?? "", subtype: "plain", eightBit: builder.eightBit))
        }
        if let html = builder.html {
            let page = text(html, subtype: "html", eightBit: builder.eightBit)
            var related = [page]
            for inline in builder.attachments where isInline(inline) {
                related.append(try file(inline, inline: true, eightBit: builder.eightBit))
            }
            alternatives.append(
                related.count == 1
                    ? page : .multipart(subtype: "related", parameters: "; type=\"text/html\"", children: related)
            )
        }
        var parts = [
            alternatives.count == 1
                ? alternatives[0] : .multipart(subtype: "alternative", parameters: "", children: alternatives)
        ]
        for attachment in builder.attachments where !isInline(attachment) {
            parts.append(try file(attachment, inline: false, eightBit: builder.eightBit))
        }
        return parts.count == 1 ? parts[0] : .multipart(subtype: "mixed", parameters: "", children: parts)
    }

    private static func text(_ text: String, subtype: String, eightBit: Bool) -> MIMEEntity {
        let lines = LineDiscipline.normalizingBareNewlines(text)
        let (encoding, body) = encode(text: lines, eightBit: eightBit)
        let charset = lines.isASCII ? "us-ascii" : "utf-8"
        let fields: [(HeaderName, String)] = [
            ("Content-Type", "text/\(subtype); charset=\(charset)"),
            ("Content-Transfer-Encoding", encoding.rawValue),
        ]
        return .leaf(fields: fields, encoding: encoding, body: body)
    }

    private static func file(
        _ attachment: MIMEBuilder.Attachment,
        inline: Bool,
        eightBit: Bool
    ) throws(MIMEError) -> MIMEEntity {
        guard var type = ContentType(parsing: attachment.contentType), !type.isMultipart else {
            throw MIMEError(.invalidContentType, "An attachment needs a content type, and not a multipart.")
        }
        var encoding = TransferEncoding.base64
        var body: [UInt8]
        if type.isMessage, let identity = identityEncoding(of: attachment.bytes, eightBit: eightBit) {
            encoding = identity
            body = attachment.bytes
        } else {
            // RFC 2046 §5.2.1: an enclosed message must not be encoded, so that one which would need it is a file.
            if type.isMessage { type = ContentType(type: "application", subtype: "octet-stream") }
            body = Base64.encodeLines(attachment.bytes)
        }
        var disposition = [inline ? "inline" : "attachment"]
        if let filename = attachment.filename {
            guard !filename.isEmpty, filename.utf8.count <= 255, !filename.unicodeScalars.contains(where: \.isControl)
            else {
                throw MIMEError(.invalidFilename, "A filename has 1 to 255 octets and no control characters.")
            }
            disposition += ParameterEncoder.encode(name: "filename", value: filename)
        }
        var fields: [(HeaderName, String)] = [
            ("Content-Type", type.description),
            ("Content-Transfer-Encoding", encoding.rawValue),
            ("Content-Disposition", disposition.joined(separator: "; ")),
        ]
        if let contentID = attachment.contentID {
            guard let id = normalizedContentID(contentID) else {
                throw MIMEError(.invalidContentID, "A content id has 1 to 250 characters, ASCII without spaces.")
            }
            fields.append(("Content-ID", "<\(id)>"))
        }
        return .leaf(fields: fields, encoding: encoding, body: body)
    }

    /// A content id should look like a message id (RFC 2392), but callers write `logo` and mean it.
    private static func normalizedContentID(_ text: String) -> String? {
        var bytes = Array(text.utf8)[...]
        if bytes.first == .ascii("<"), bytes.last == .ascii(">") { bytes = bytes.dropFirst().dropLast() }
        guard (1...250).contains(bytes.count), bytes.allSatisfy({ $0.isAtomText || $0 == .dot || $0 == .at }) else {
            return nil
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: Transfer encoding

    /// 7bit or 8bit where the lines allow it, else the smaller of quoted-printable and base64.
    private static func encode(text: [UInt8], eightBit: Bool) -> (TransferEncoding, [UInt8]) {
        if let identity = identityEncoding(of: text, eightBit: eightBit), !hasFromLine(text) { return (identity, text) }
        let escapes = text.reduce(0) {
            $0 + ($1 > 0x7E || $1 == .equals || ($1 < 0x20 && !$1.isLineWhitespace) ? 1 : 0)
        }
        // Quoted-printable costs two more octets an escape, base64 a third of everything.
        return escapes * 6 <= text.count
            ? (.quotedPrintable, QuotedPrintable.encode(text)) : (.base64, Base64.encodeLines(text))
    }

    /// Whether the bytes can go as they are: clean lines of at most 998 octets, and 8-bit only where it is allowed.
    private static func identityEncoding(of bytes: [UInt8], eightBit: Bool) -> TransferEncoding? {
        guard LineDiscipline.firstViolation(in: bytes) == nil else { return nil }
        if bytes.isASCII { return .sevenBit }
        return eightBit ? .eightBit : nil
    }

    /// mbox software on the way turns "From " at the start of a line into ">From ", and breaks the signature.
    private static func hasFromLine(_ bytes: [UInt8]) -> Bool {
        let mark = Array("From ".utf8)
        return bytes.withUnsafeBufferPointer { buffer in
            var line = 0
            while line < buffer.count {
                if buffer[line] == mark[0], buffer[line...].starts(with: mark) { return true }
                guard let lineFeed = buffer.firstOffset(of: .lf, in: line..<buffer.count) else { return false }
                line = lineFeed + 1
            }
            return false
        }
    }

    // MARK: Output

    var identityBodies: [[UInt8]] {
        switch self {
        case .leaf(_, let encoding, let body): return encoding.isIdentity ? [body] : []
        case .multipart(_, _, let children): return children.flatMap(\.identityBodies)
        }
    }

    var estimatedSize: Int {
        switch self {
        case .leaf(_, _, let body): return body.count + 512
        case .multipart(_, _, let children): return children.reduce(256) { $0 + $1.estimatedSize }
        }
    }

    /// Appends header fields, the empty line and the body.
    func append(to output: inout [UInt8], boundaries: inout BoundaryMaker) {
        switch self {
        case .leaf(let fields, _, let body):
            for (name, value) in fields { HeaderFolding.append(name: name, value: value, to: &output) }
            output += [.cr, .lf]
            output += body
        case .multipart(let subtype, let parameters, let children):
            let boundary = boundaries.make()
            let text = String(decoding: boundary, as: UTF8.self)
            let value = "multipart/\(subtype); boundary=\"\(text)\"\(parameters)"
            HeaderFolding.append(name: "Content-Type", value: value, to: &output)
            for child in children {
                output += [.cr, .lf, .dash, .dash] + boundary + [.cr, .lf]
                child.append(to: &output, boundaries: &boundaries)
            }
            output += [.cr, .lf, .dash, .dash] + boundary + [.dash, .dash, .cr, .lf]
        }
    }
}
