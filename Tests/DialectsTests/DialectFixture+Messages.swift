// A message that a dialect read, member by member as fixtures write it. All are optional, `null` says that there is none:
//
//     from, to, cc, bcc, reply_to   "Ada <ada@example.com>" or "ada@example.com"; a list of them, but for from
//     subject, text, html, sender, message_id, campaign_id, pool, raw, send_at (RFC 3339)   texts
//     headers                       [["X-Order", "17"], …]
//     attachments                   [{filename, content_type, content_id, inline, bytes (how many, or base64), text}, …]
//     tags, ips, envelope_recipients    lists of texts
//     priority, metadata            a number; an object
//     sources                       {"subject": "/Subject", "to": ["/To", "/To"]}: where the values stood in the payload
//     has, lacks                    texts that do and do not stand in the finished RFC 5322 message

import JSON
import MIME
import Mapping
import Model
import Testing

extension NativeMessage {
    func expect(_ member: String, _ expected: JSONValue, message: String) {
        switch member {
        case "attachments":
            let expected = expected.arrayValue ?? []
            #expect(attachments.count == expected.count)
            for (attachment, expected) in zip(attachments, expected) { attachment.value.expect(expected) }
        case "sources":
            for source in expected.objectValue?.members ?? [] {
                let places = places(of: source.name)
                let expected = source.value.arrayValue?.compactMap(\.stringValue)
                #expect(places == expected ?? [source.value.stringValue ?? "nowhere"], "source of \(source.name)")
            }
        case "has":
            for text in expected.arrayValue ?? [] { #expect(message.contains(text.stringValue ?? "\0"), "\(text)") }
        case "lacks":
            for text in expected.arrayValue ?? [] { #expect(!message.contains(text.stringValue ?? ""), "\(text)") }
        default:
            let actual = value(of: member)
            #expect(actual != nil, "\(member) is no member of a fixture's message")
            if let actual { #expect(actual == expected, "\(member)") }
        }
    }

    /// Every place that the message names.
    var places: [String] {
        [
            "from", "to", "cc", "bcc", "reply_to", "subject", "text", "html", "attachments", "headers", "sender",
            "envelope_recipients", "priority", "ips", "pool", "tags", "campaign_id", "send_at", "message_id", "raw",
        ].flatMap(places(of:))
    }

    private func value(of member: String) -> JSONValue? {
        switch member {
        case "from": .text(from?.value.fixtureForm)
        case "to": .list(to.map(\.value.fixtureForm))
        case "cc": .list(cc.map(\.value.fixtureForm))
        case "bcc": .list(bcc.map(\.value.fixtureForm))
        case "reply_to": .list(replyTo.map(\.value.fixtureForm))
        case "subject": .text(subject?.value)
        case "text": .text(text?.value)
        case "html": .text(html?.value)
        case "headers": .array(headers.map { .list([$0.value.name, $0.value.value]) })
        case "sender": .text(sender?.value.description)
        case "envelope_recipients": .list(envelopeRecipients.map(\.value.description))
        case "priority": priority.map { .integer(Int64($0.value)) } ?? .null
        case "ips": ips.map { .list($0.value) } ?? .null
        case "pool": .text(pool?.value)
        case "tags": tags.map { .list($0.value) } ?? .null
        case "campaign_id": .text(campaignID?.value)
        case "send_at": .text(sendAt?.value.description)
        case "message_id": .text(messageID?.value)
        case "raw": .text(raw.map { String(decoding: $0.value, as: UTF8.self) })
        case "metadata":
            .object(
                metadata.sorted { $0.key < $1.key }.reduce(into: JSONObject()) { $0[$1.key] = .string($1.value) })
        default: nil
        }
    }

    private func places(of member: String) -> [String] {
        switch member {
        case "from": from.map { [$0.at] } ?? []
        case "to": to.map(\.at)
        case "cc": cc.map(\.at)
        case "bcc": bcc.map(\.at)
        case "reply_to": replyTo.map(\.at)
        case "subject": subject.map { [$0.at] } ?? []
        case "text": text.map { [$0.at] } ?? []
        case "html": html.map { [$0.at] } ?? []
        case "headers": headers.map(\.at)
        case "attachments": attachments.map(\.at)
        case "sender": sender.map { [$0.at] } ?? []
        case "envelope_recipients": envelopeRecipients.map(\.at)
        case "priority": priority.map { [$0.at] } ?? []
        case "ips": ips.map { [$0.at] } ?? []
        case "pool": pool.map { [$0.at] } ?? []
        case "tags": tags.map { [$0.at] } ?? []
        case "campaign_id": campaignID.map { [$0.at] } ?? []
        case "send_at": sendAt.map { [$0.at] } ?? []
        case "message_id": messageID.map { [$0.at] } ?? []
        case "raw": raw.map { [$0.at] } ?? []
        default: ["\(member) has no place"]
        }
    }
}

extension MessageBuilder.Attachment {
    fileprivate func expect(_ expected: JSONValue) {
        for member in expected.objectValue?.members ?? [] {
            switch member.name {
            case "filename": #expect(JSONValue.string(filename) == member.value)
            case "content_type": #expect(JSONValue.string(contentType) == member.value)
            case "content_id": #expect(JSONValue.text(contentID) == member.value)
            case "inline": #expect(JSONValue.bool(isInline) == member.value)
            case "text": #expect(JSONValue.string(String(decoding: bytes, as: UTF8.self)) == member.value)
            case "bytes":
                if let count = member.value.integerValue {
                    #expect(bytes.count == Int(count))
                } else {
                    #expect(bytes == Base64.decode((member.value.stringValue ?? "?").utf8))
                }
            default: Issue.record("\(member.name) is no member of a fixture's attachment")
            }
        }
    }
}

extension JSONValue {
    fileprivate static func text(_ text: String?) -> JSONValue { text.map(JSONValue.string) ?? .null }
    fileprivate static func list(_ texts: [String]) -> JSONValue { .array(texts.map(JSONValue.string)) }
}

extension Mailbox {
    /// `Doe, Jane <jane@example.com>`: without the quotes that a header needs.
    fileprivate var fixtureForm: String { name.map { "\($0) <\(address)>" } ?? address.description }
}
