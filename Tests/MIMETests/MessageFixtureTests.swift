// Whole messages and what must be read out of each: Fixtures/*.eml with a .json of the same name beside it.

import FoundationEssentials
import MIME
import Testing

/// What a fixture's JSON may say; what it leaves out is not looked at.
private struct Expected: Decodable {
    struct Part: Decodable {
        var type: String
        var encoding: String
        /// The raw body.
        var body: String?
        /// The decoded text.
        var text: String?
        var children: [Part]?
    }

    struct Attachment: Decodable {
        var type: String
        var filename: String?
        var contentID: String?
        /// Base64 of the decoded content.
        var content: String?
    }

    var subject: String?
    var from: [String]?
    var sender: String?
    var replyTo: [String]?
    var to: [String]?
    var cc: [String]?
    var date: Int64?
    var messageID: String?
    var references: [String]?
    var text: String?
    var html: String?
    var attachments: [Attachment]
    var root: Part?
}

@Suite struct MessageFixtureTests {
    private static let folder = #filePath.split(separator: "/").dropLast().reduce("/") { $0 + $1 + "/" }
    static let names = [
        "plain", "rfc5322-folding", "rfc5322-obsolete", "rfc2046-mixed", "rfc2046-digest", "rfc2049-complex",
        "related-inline", "bounce", "boundary-prefixes", "same-boundary", "unclosed", "lf-only", "broken", "eight-bit",
        "header-only", "filenames",
    ]

    private func load(_ name: String) throws -> (bytes: [UInt8], expected: Expected) {
        let path = Self.folder + "Fixtures/" + name
        let eml = try #require(FileManager.default.contents(atPath: path + ".eml"))
        let json = try #require(FileManager.default.contents(atPath: path + ".json"))
        return (Array(eml), try JSONDecoder().decode(Expected.self, from: json))
    }

    @Test("every fixture is tested")
    func complete() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder + "Fixtures")
        #expect(Set(files) == Set(Self.names.flatMap { [$0 + ".eml", $0 + ".json"] }))
    }

    @Test("header, text and attachments are read", arguments: names)
    func content(name: String) throws {
        let (bytes, expected) = try load(name)
        let message = try MIMEMessage.parse(bytes)
        #expect(message.subject == expected.subject)
        #expect(message.date?.unixSeconds == expected.date)
        #expect(message.messageID == expected.messageID)
        if let sender = expected.sender { #expect(message.sender?.description == sender) }
        for (mailboxes, wanted) in [
            (message.from, expected.from), (message.replyTo, expected.replyTo), (message.to, expected.to),
            (message.cc, expected.cc),
        ] {
            if let wanted { #expect(mailboxes.map(\.description) == wanted) }
        }
        if let references = expected.references { #expect(message.references == references) }
        if let text = expected.text { #expect(message.text == text) }
        #expect(message.html == expected.html)
        #expect(message.attachments.count == expected.attachments.count)
        for (part, wanted) in zip(message.attachments, expected.attachments) {
            #expect(part.contentType.mediaType == wanted.type)
            #expect(part.filename == wanted.filename)
            #expect(part.contentID == wanted.contentID)
            if let content = wanted.content { #expect(string(Base64.encode(message.decodedBody(of: part))) == content) }
        }
    }

    @Test("the tree is right, down to the ranges", arguments: names)
    func structure(name: String) throws {
        let (bytes, expected) = try load(name)
        guard let root = expected.root else { return }
        let message = try MIMEMessage.parse(bytes)
        #expect(message.root.range == 0..<bytes.count)
        compare(message.root, root, in: bytes)
    }

    private func compare(_ part: MIMEPart, _ expected: Expected.Part, in bytes: [UInt8]) {
        #expect(part.contentType.mediaType == expected.type)
        #expect(part.transferEncoding == TransferEncoding(rawValue: expected.encoding) ?? .unknown)
        if let body = expected.body { #expect(string(bytes[part.bodyRange]) == body) }
        if let text = expected.text { #expect(part.text(in: bytes) == text) }
        #expect(part.children.count == expected.children?.count ?? 0)
        for (child, wanted) in zip(part.children, expected.children ?? []) { compare(child, wanted, in: bytes) }
    }

    @Test("cut off anywhere, a message still parses and its ranges nest", arguments: names)
    func truncated(name: String) throws {
        let (bytes, _) = try load(name)
        for count in 0...bytes.count {
            let message = try MIMEMessage.parse(Array(bytes[..<count]))
            #expect(rangesNest(message.root))
        }
    }
}

/// Children lie in their parent's body, in order and apart.
func rangesNest(_ part: MIMEPart) -> Bool {
    var position = part.bodyRange.lowerBound
    guard part.headerRange.upperBound == part.bodyRange.lowerBound, part.bodyRange.upperBound == part.range.upperBound
    else { return false }
    for child in part.children {
        guard child.range.lowerBound >= position, child.range.upperBound <= part.bodyRange.upperBound, rangesNest(child)
        else {
            return false
        }
        position = child.range.upperBound
    }
    return true
}
