// What goes in circles, and what would: refused at once, without any count. RFC 3834 §2 says what an automatic answer may
// not be; RFC 5321 §6.3 says how a circle is noticed.

import MIME
import Model

enum LoopRule {
    /// Trace fields that a message may have. RFC 5321 §6.3 wants at least 100 for relays that cannot tell; a submission comes
    /// from near.
    static let receivedLimit = 50
    /// How often a message may come by here.
    static let visitLimit = 3

    /// - Throws: `mail_loop`.
    static func judge(_ signs: HeaderSigns) throws(PosternError) {
        if signs.ownReceived > visitLimit {
            throw circle(
                "the message comes by here again: \(signs.ownReceived) of its Received fields are ours, and "
                    + "\(visitLimit) are allowed")
        }
        if signs.received > receivedLimit {
            throw circle("the message has \(signs.received) Received fields, and \(receivedLimit) are allowed")
        }
        if signs.isAutomaticReply, signs.isFromList {
            throw PosternError(
                .mailLoop,
                "an automatic reply that has List-Id or Precedence: list is an answer into a mailing list")
        }
    }

    private static func circle(_ detail: String) -> PosternError {
        PosternError(
            .mailLoop, detail, fix: "Find the forwarding, the alias or the program that sends the message here again.")
    }

    /// What an envelope alone makes a circle of.
    /// - Parameter signs: of its header, which is not harmless.
    /// - Throws: `mail_loop`.
    static func judge(_ envelope: Envelope, _ signs: HeaderSigns) throws(PosternError) {
        guard signs.isAutomaticReply else { return }
        if envelope.isToItself {
            throw PosternError(.mailLoop, "\(envelope.recipient) would reply automatically to itself")
        }
        // RFC 3834 §2: bounces come from there, and nobody reads what goes there.
        if envelope.recipient.localPart.utf8.count == 13, envelope.recipient.localPart.lowercased() == "mailer-daemon" {
            throw PosternError(.mailLoop, "an automatic reply to \(envelope.recipient) answers a bounce")
        }
    }

    /// A message that answers nobody but its own sender. A copy to oneself of an answer to somebody else is none.
    /// - Parameter signs: of its header, which is not harmless.
    /// - Throws: `mail_loop`.
    static func judge(_ envelopes: [Envelope], _ signs: HeaderSigns) throws(PosternError) {
        guard signs.mayBeAnswer, let first = envelopes.first, envelopes.allSatisfy(\.isToItself),
            first.content.isAnswer
        else { return }
        throw PosternError(.mailLoop, "\(first.recipient) would answer itself")
    }
}

extension Envelope {
    /// Whether the recipient is who sends it, by the From field or by the envelope. Letter case makes no other mailbox here.
    var isToItself: Bool { recipient.isSameMailbox(as: content.from.address) || recipient.isSameMailbox(as: sender) }
}

extension EmailAddress {
    fileprivate func isSameMailbox(as other: EmailAddress) -> Bool {
        asciiDomain == other.asciiDomain
            && (localPart == other.localPart || localPart.lowercased() == other.localPart.lowercased())
    }
}

extension Envelope.Content {
    /// Whether it answers another message. Odoo names a message in its own References, so that answers to it find the thread.
    fileprivate var isAnswer: Bool {
        var fields: (inReplyTo: [String], references: [String], messageID: [String]) = ([], [], [])
        func note(_ name: String, _ value: @autoclosure () -> String) {
            switch name.lowercased() {
            case "in-reply-to": fields.inReplyTo.append(value())
            case "references": fields.references.append(value())
            case "message-id": fields.messageID.append(value())
            default: break
            }
        }
        switch body {
        case .blocks: for header in headers { note(header.name, header.value) }
        case .raw(let message):
            // A header that cannot be read was refused long before.
            guard let header = try? HeaderBlock.parse(message.bytes) else { return true }
            for field in header.fields {
                note(header.name(of: field), String(decoding: header.unfoldedValue(of: field), as: UTF8.self))
            }
        }
        func words(_ values: [String]) -> Set<Substring> {
            values.reduce(into: []) { $0.formUnion($1.split { " \t\r\n".contains($0) }) }
        }
        return !words(fields.inReplyTo).isEmpty
            || !words(fields.references).subtracting(words(fields.messageID)).isEmpty
    }
}
