// SendGrid's form: what `POST /v3/mail/send` takes. Each of `personalizations` is one message; what stands beside them
// is common to all.

import JSON
import MIME
package import Mapping
package import Model

package enum SendGridDialect: NativeDialect {
    package static let name = "sendgrid"
    /// Messages of one call, as at SendGrid.
    package static let personalizationLimit = 1000

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        guard case .json(let document) = payload else {
            throw PosternError(.unsupportedMediaType, "SendGrid's payload is JSON, not a form")
        }
        var problems = NativeProblems()
        var reader = JSONReader(document)
        let common = common(&reader, context.limits, &problems)
        let elements = personalizations(&reader)
        refuse(&reader, &problems)
        reader.finish()
        problems.invalid += reader.problems
        var messages: [NativeMessage] = []
        for (index, element) in elements.enumerated() {
            let pointer = "\(reader.pointer(to: "personalizations"))/\(index)"
            var personalization = SendGridPersonalization(element, pointer: pointer)
            messages.append(personalization.message(common, context.limits, &problems))
        }
        try problems.check()
        try messages.checkBytes(context)
        return messages
    }

    /// A message without recipients, but with all that the document says of every message.
    private static func common(
        _ reader: inout JSONReader,
        _ limits: MappingLimits,
        _ problems: inout NativeProblems
    ) -> NativeMessage {
        var message = NativeMessage()
        if let object = reader.required("from", reader.object("from")) {
            message.from = SendGridAddress.mailbox(object, at: reader.pointer(to: "from"), &problems)
        }
        message.replyTo = replyTo(&reader, &problems)
        message.subject = reader.string("subject").flatMap {
            $0.isEmpty ? nil : Sourced($0, at: reader.pointer(to: "subject"))
        }
        SendGridContent.read(&reader, into: &message, &problems)
        message.attachments = SendGridContent.attachments(&reader, atMost: limits.attachments, &problems)
        message.checkAttachments(limits, &problems)
        SendGridHeaders.read(&reader, into: &message, limits, &problems)
        message.metadata = customArguments(&reader)
        message.tags = categories(&reader)
        message.sendAt = sendAt(&reader)
        message.pool = reader.string("ip_pool_name").flatMap {
            $0.isEmpty ? nil : Sourced($0, at: reader.pointer(to: "ip_pool_name"))
        }
        return message
    }

    private static func personalizations(_ reader: inout JSONReader) -> [JSONValue] {
        guard let elements = reader.required("personalizations", reader.array("personalizations")) else { return [] }
        guard (1...personalizationLimit).contains(elements.count) else {
            reader.problem(
                "must hold from 1 to \(personalizationLimit) personalizations, and holds \(elements.count)",
                at: "personalizations")
            return []
        }
        return elements
    }

    private static func replyTo(
        _ reader: inout JSONReader,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        let single = reader.object("reply_to")
        let list = reader.array("reply_to_list") ?? []
        if let single {
            if !list.isEmpty { reader.problem("cannot be given beside reply_to", at: "reply_to_list") }
            return SendGridAddress.mailbox(single, at: reader.pointer(to: "reply_to"), &problems).map { [$0] } ?? []
        }
        guard list.count <= 1000 else {
            reader.problem("must not hold more than 1,000 addresses", at: "reply_to_list")
            return []
        }
        return SendGridAddress.mailboxes(list, at: reader.pointer(to: "reply_to_list"), &problems)
    }

    /// Categories are tags; SendGrid takes each of them once.
    private static func categories(_ reader: inout JSONReader) -> Sourced<[String]>? {
        guard let categories = reader.strings("categories"), !categories.isEmpty else { return nil }
        if categories.count > 10 { reader.problem("must not hold more than 10 categories", at: "categories") }
        if Set(categories).count < categories.count { reader.problem("names a category twice", at: "categories") }
        return Sourced(categories, at: reader.pointer(to: "categories"))
    }

    /// What SendGrid keeps with a message and hands back with its events.
    static func customArguments(_ reader: inout JSONReader) -> [String: String] {
        guard let object = reader.object("custom_args") else { return [:] }
        var arguments: [String: String] = [:]
        for member in object.members {
            guard let text = member.value.stringValue else {
                let place = "\(reader.pointer(to: "custom_args"))/\(JSONReader.escape(member.name))"
                reader.adopt([JSONProblem(pointer: place, message: "expected a string, found \(member.value.kind)")])
                continue
            }
            arguments[member.name] = text
        }
        return arguments
    }

    /// Unix seconds. SendGrid goes 72 hours ahead; the limit here is the one of all dialects.
    static func sendAt(_ reader: inout JSONReader) -> Sourced<Timestamp>? {
        guard let seconds = reader.integer("send_at") else { return nil }
        guard MailDate.representable.contains(seconds), seconds > 0 else {
            reader.problem("is not a time in Unix seconds", at: "send_at")
            return nil
        }
        return Sourced(Timestamp(milliseconds: seconds * 1000), at: reader.pointer(to: "send_at"))
    }
}
