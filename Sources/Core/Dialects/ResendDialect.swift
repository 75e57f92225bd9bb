// Resend's form: what `POST /emails` takes, and `/emails/batch` as a list.

import JSON
import MIME
package import Mapping
package import Model

package enum ResendDialect: NativeDialect {
    package static let name = "resend"
    /// Messages of one call, and addresses in one field, as at Resend.
    package static let batchLimit = 100
    private static let addressLimit = 50

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        var problems = NativeProblems()
        let messages = try payload.documents(limit: batchLimit).map { document, pointer in
            message(JSONReader(document, pointer: pointer), context.limits, &problems)
        }
        try problems.check()
        return messages
    }

    private static func message(
        _ document: JSONReader,
        _ limits: MappingLimits,
        _ problems: inout NativeProblems
    ) -> NativeMessage {
        var reader = document
        var message = NativeMessage()
        if let text = reader.required("from", reader.sourced("from")) {
            message.from = NativeText.mailbox(text.value, at: text.at, &problems).map { Sourced($0, at: text.at) }
        }
        message.to = addresses("to", &reader, &problems)
        message.cc = addresses("cc", &reader, &problems)
        message.bcc = addresses("bcc", &reader, &problems)
        message.replyTo = addresses("reply_to", &reader, &problems)
        message.subject = reader.sourced("subject")
        message.html = reader.sourced("html")
        message.text = reader.sourced("text")
        for (name, value) in reader.texts("headers") {
            if let header = NativeText.header(name: name, value: value.value, at: value.at, &problems) {
                message.headers.append(header)
            }
        }
        message.attachments = attachments(&reader, &problems)
        tags(&reader, limits, &message)
        message.sendAt = time(&reader, &problems)
        reader.refuse("template", "templates are not kept or rendered here: send the finished message", &problems)
        reader.refuse("topic_id", "subscriptions to topics are not kept here", &problems)
        reader.finish()
        problems.invalid += reader.problems
        return message
    }

    /// One text, which may be a list with commas, or an array of texts.
    private static func addresses(
        _ name: String,
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        let place = reader.pointer(to: name)
        var mailboxes: [Sourced<Mailbox>] = []
        switch reader.value(name) {
        case nil: return []
        case .string(let text): mailboxes = NativeText.mailboxes(text, at: place, &problems)
        case .array(let elements) where elements.count > addressLimit: break
        case .array:
            for (index, text) in (reader.strings(name) ?? []).enumerated() {
                mailboxes += NativeText.mailboxes(text, at: "\(place)/\(index)", &problems)
            }
        case .some(let value):
            problems.invalid("expected a string or an array of strings, found \(value.kind)", at: place)
        }
        if mailboxes.count > addressLimit || reader.value(name)?.arrayValue.map({ $0.count > addressLimit }) == true {
            problems.invalid("must not hold more than \(addressLimit) addresses", at: place)
        }
        return mailboxes
    }

    /// Pairs: each is an entry of the metadata, and a tag `name:value` where it is no longer than tags are.
    private static func tags(_ reader: inout JSONReader, _ limits: MappingLimits, _ message: inout NativeMessage) {
        guard let elements = reader.array("tags") else { return }
        let place = reader.pointer(to: "tags")
        var tags: [String] = []
        for (index, element) in elements.enumerated() {
            var tag = JSONReader(element, pointer: "\(place)/\(index)")
            let name = tag.required("name", tag.string("name"))
            let value = tag.required("value", tag.string("value"))
            if let name, !name.isTagText("_-") { tag.problem(tagRule, at: "name") }
            if let value, !value.isTagText("_-") { tag.problem(tagRule, at: "value") }
            if let name, message.metadata[name] != nil { tag.problem("stands twice", at: "name") }
            tag.finish()
            reader.adopt(tag.problems)
            guard let name, let value else { continue }
            if name.utf8.count + value.utf8.count < limits.tagBytes { tags.append("\(name):\(value)") }
            message.metadata[name] = value
        }
        if !tags.isEmpty { message.tags = Sourced(tags, at: place) }
    }

    private static let tagRule = "has 1 to 256 of the characters a-z, A-Z, 0-9, _ and -"

    /// Resend reads words as well (`in 1 min`); what they mean is not guessed at here.
    private static func time(_ reader: inout JSONReader, _ problems: inout NativeProblems) -> Sourced<Timestamp>? {
        guard let text = reader.sourced("scheduled_at"), !text.value.isEmpty else { return nil }
        if let time = Timestamp(text.value) { return Sourced(time, at: text.at) }
        let example = "such as 2026-11-20T18:00:00Z"
        let year = text.value.utf8.prefix(5)
        if year.count == 5, year.last == UInt8(ascii: "-"),
            year.dropLast().allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        {
            problems.invalid("is not a time in ISO 8601 with its zone, \(example)", at: text.at)
        } else {
            problems.unsupported("times in words are not read here: give ISO 8601, \(example)", at: text.at)
        }
        return nil
    }
}
