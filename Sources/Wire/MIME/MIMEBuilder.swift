// Makes messages: CRLF-clean, folded, and the same bytes for the same input every time.

package struct MIMEBuilder: Sendable {
    package struct Attachment: Hashable, Sendable {
        package var filename: String?
        /// `application/pdf`, with parameters where needed. Not `multipart/…`.
        package var contentType: String
        package var bytes: [UInt8]
        /// Set for images and the like that the HTML shows as `cid:…`; with or without angle brackets.
        package var contentID: String?

        package init(filename: String?, contentType: String, bytes: [UInt8], contentID: String? = nil) {
            self.filename = filename
            self.contentType = contentType
            self.bytes = bytes
            self.contentID = contentID
        }
    }

    package var from: Mailbox
    package var sender: Mailbox?
    package var replyTo: [Mailbox] = []
    package var to: [Mailbox] = []
    package var cc: [Mailbox] = []
    package var subject: String?
    package var text: String?
    package var html: String?
    package var attachments: [Attachment] = []
    /// Further fields, written in this order; none of ``reservedHeaders``.
    package var headers: [HeaderField] = []
    /// `left@right`, with or without angle brackets.
    package var messageID: String
    /// Unix seconds.
    package var date: Int64
    /// Boundaries are derived from this. Let it be something that a sender cannot choose, such as the message id.
    package var boundarySeed: String
    /// Whether the next hop takes 8BITMIME: text is then left as it is.
    package var eightBit = false

    package init(from: Mailbox, messageID: String, date: Int64, boundarySeed: String) {
        self.from = from
        self.messageID = messageID
        self.date = date
        self.boundarySeed = boundarySeed
    }

    /// Fields that cannot be given as further headers: the builder writes them itself, the gate does, or no one may.
    /// `Content-*` and `Resent-*` are reserved as a whole; ask ``isReserved(_:)``.
    package static let reservedHeaders: Set<HeaderName> = [
        "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "MIME-Version",
        "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-ID", "Content-Description",
        "Return-Path", "Received", "DKIM-Signature", "Resent-Bcc",
    ]

    package static func isReserved(_ name: HeaderName) -> Bool {
        let lower = name.lowercased.utf8
        return reservedHeaders.contains(name) || lower.starts(with: "content-".utf8)
            || lower.starts(with: "resent-".utf8)
    }

    /// Whether the message can only travel by SMTPUTF8 (RFC 6531): an address in its header needs it.
    package var needsSMTPUTF8: Bool {
        ([from] + [sender].compactMap { $0 } + replyTo + to + cc).contains { $0.address.needsSMTPUTF8 }
    }

    /// The message.
    /// - Throws: ``MIMEError`` `reserved_header`, `invalid_header_value` (subject), `invalid_message_id`,
    ///   `invalid_date`, `invalid_content_type`, `invalid_content_id`, `invalid_filename`.
    package func build() throws(MIMEError) -> [UInt8] {
        let header = try headerFields()
        let body = try MIMEEntity.body(of: self)
        var boundaries = BoundaryMaker(seed: boundarySeed, avoiding: body)
        var output: [UInt8] = []
        output.reserveCapacity(body.estimatedSize + 2048)
        for field in header { HeaderFolding.append(name: field.name, value: field.value, to: &output) }
        body.append(to: &output, boundaries: &boundaries)
        if !output.hasSuffix([.cr, .lf]) { output += [.cr, .lf] }
        return output
    }

    /// Unlike a ``HeaderValue``, a subject is text all through: long words and things that look encoded are encoded.
    private static func encodedSubject(_ subject: String) throws(MIMEError) -> String {
        guard !subject.unicodeScalars.contains(where: { $0.isControl && $0 != "\t" }) else {
            throw MIMEError(.invalidHeaderValue, "A subject cannot have line breaks or control characters.")
        }
        guard subject.utf8.count <= HeaderValue.maximumLength else {
            throw MIMEError(.headerValueTooLong, "A subject cannot be longer than 64 KiB.")
        }
        return EncodedWord.encode(subject)
    }

    /// Names with values as they are written, encoding done.
    private func headerFields() throws(MIMEError) -> [(name: HeaderName, value: String)] {
        guard MailDate.representable.contains(date) else {
            throw MIMEError(.invalidDate, "The date is outside of the years 1900 to 9999.")
        }
        guard let id = MessageID.normalized(messageID) else {
            throw MIMEError(.invalidMessageID, "A message id has the form left@right, in ASCII without spaces.")
        }
        var fields: [(name: HeaderName, value: String)] = [
            ("Date", MailDate.format(unixSeconds: date)),
            ("From", from.headerForm),
        ]
        if let sender { fields.append(("Sender", sender.headerForm)) }
        for (name, mailboxes) in [("Reply-To", replyTo), ("To", to), ("Cc", cc)] as [(HeaderName, [Mailbox])]
        where !mailboxes.isEmpty {
            fields.append((name, mailboxes.map(\.headerForm).joined(separator: ", ")))
        }
        if let subject { fields.append(("Subject", try Self.encodedSubject(subject))) }
        fields.append(("Message-ID", "<\(id)>"))
        fields.append(("MIME-Version", "1.0"))
        for field in headers {
            guard !Self.isReserved(field.name) else {
                throw MIMEError(.reservedHeader, "The header \(field.name) cannot be set as a further header.")
            }
            let text = field.value.text
            fields.append((field.name, text.utf8.isASCII ? text : EncodedWord.encode(text)))
        }
        return fields
    }
}

extension [UInt8] {
    func hasSuffix(_ suffix: [UInt8]) -> Bool {
        count >= suffix.count && self[(count - suffix.count)...].elementsEqual(suffix)
    }
}

/// Boundaries that do not occur in any part, found in one look over the parts.
struct BoundaryMaker {
    private let prefix: [UInt8]
    private var taken: Set<[UInt8]> = []
    private var next: UInt32 = 0

    /// "=_" occurs neither in base64 nor in quoted-printable (RFC 2045 §6.7), so that only unencoded parts matter.
    init(seed: String, avoiding entity: MIMEEntity) {
        prefix = Array("=_".utf8) + Self.hex(Self.hash(seed), digits: 16) + [.dot]
        for body in entity.identityBodies { collect(body) }
    }

    mutating func make() -> [UInt8] {
        while true {
            let suffix = Self.hex(UInt64(next), digits: 8)
            next += 1
            if !taken.contains(suffix) { return prefix + suffix }
        }
    }

    /// Remembers what follows each occurrence of our prefix.
    private mutating func collect(_ body: [UInt8]) {
        body.withUnsafeBufferPointer { buffer in
            var index = 0
            while let hit = buffer.firstOffset(of: prefix[0], in: index..<buffer.count) {
                index = hit + 1
                let end = hit + prefix.count
                guard end <= buffer.count, buffer[hit..<end].elementsEqual(prefix) else { continue }
                taken.insert(Array(buffer[end..<min(end + 8, buffer.count)]))
            }
        }
    }

    /// FNV-1a with a finisher: spreads seeds, keeps no secret.
    private static func hash(_ seed: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in seed.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        hash = (hash ^ (hash >> 30)) &* 0xBF58_476D_1CE4_E5B9
        hash = (hash ^ (hash >> 27)) &* 0x94D0_49BB_1331_11EB
        return hash ^ (hash >> 31)
    }

    private static func hex(_ value: UInt64, digits: Int) -> [UInt8] {
        (0..<digits).map { UInt8.hexDigit(UInt8(truncatingIfNeeded: value >> UInt64(4 * (digits - 1 - $0)))) }
    }
}
