// The query form of SES's API v1: `Destination.ToAddresses.member.1=…`. Every parameter of SendEmail and SendRawEmail
// is read by name; what is left over is a problem.

import Forms
import JSON
import MIME
import Mapping

struct SESQueryReader {
    private let form: Form
    private var known: Set<String> = []
    var problems = NativeProblems()

    init(_ form: Form) { self.form = form }

    mutating func message(_ context: MappingContext) -> NativeMessage {
        var message = NativeMessage()
        // Of the request, not of the message: who signs it, and when, in the manner of old clients.
        for name in ["AWSAccessKeyId", "Timestamp"] { known.insert(name) }
        if let version = text("Version"), version.value != "2010-12-01" {
            problems.invalid("must be 2010-12-01", at: version.at)
        }
        switch text("Action")?.value {
        case "SendEmail": readEmail(into: &message, context)
        case "SendRawEmail": readRawEmail(into: &message, context)
        case "SendTemplatedEmail", "SendBulkTemplatedEmail":
            problems.unsupported(SESFeature.templates, at: "Action")
            return message
        case .some:
            problems.invalid("must be SendEmail or SendRawEmail", at: "Action")
            return message
        case .none:
            problems.invalid("is required: SendEmail or SendRawEmail", at: "Action")
            return message
        }
        for name in form.names where !known.contains(name) { problems.invalid("unknown field", at: name) }
        return message
    }

    private mutating func readEmail(into message: inout NativeMessage, _ context: MappingContext) {
        message.from = SESText.mailbox(required("Source"), &problems)
        message.to = mailboxes("Destination.ToAddresses")
        message.cc = mailboxes("Destination.CcAddresses")
        message.bcc = mailboxes("Destination.BccAddresses")
        message.replyTo = mailboxes("ReplyToAddresses")
        message.subject = content("Message.Subject").map(SESText.subject)
        if message.subject == nil { missing("Message.Subject.Data") }
        message.text = content("Message.Body.Text")
        message.html = content("Message.Body.Html")
        if message.text == nil, message.html == nil {
            problems.invalid("is required, or Message.Body.Html.Data", at: "Message.Body.Text.Data")
        }
        // An empty structure is written as its bare name.
        for name in ["Destination", "Message.Body"] { empty(name) }
        message.sender = SESText.mailbox(nonempty("ReturnPath"), &problems).map { Sourced($0.value.address, at: $0.at) }
        for name in ["SourceArn", "ReturnPathArn"] { SESText.check(arn: nonempty(name), &problems) }
        tags(context).give(to: &message)
    }

    private mutating func readRawEmail(into message: inout NativeMessage, _ context: MappingContext) {
        let raw = SESRawMessage(source: SESText.mailbox(nonempty("Source"), &problems))
        message.envelopeRecipients = mailboxes("Destinations").map { Sourced($0.value.address, at: $0.at) }
        for name in ["FromArn", "SourceArn", "ReturnPathArn"] { SESText.check(arn: nonempty(name), &problems) }
        var tags = tags(context)
        if let data = required("RawMessage.Data") {
            raw.read(data, into: &message, &tags, longestTag: context.limits.tagBytes, &problems)
        }
        tags.give(to: &message)
    }

    private mutating func tags(_ context: MappingContext) -> SESTags {
        var tags = SESTags()
        if let name = nonempty("ConfigurationSetName") { tags.set(configurationSet: name, &problems) }
        empty("Tags")
        let members = members(of: "Tags", suffixes: [".Name", ".Value"])
        guard members.count <= context.limits.tags else {
            problems.invalid("must not hold more than \(context.limits.tags) tags", at: "Tags")
            known.formUnion(form.names.filter { $0.hasPrefix("Tags.") })
            return tags
        }
        for member in members {
            guard let name = required("\(member).Name"), let value = required("\(member).Value") else { continue }
            tags.add(name, value, in: name.at, longest: context.limits.tagBytes, &problems)
        }
        return tags
    }

    // MARK: Parameters

    private mutating func text(_ name: String) -> Sourced<String>? {
        known.insert(name)
        let values = form.values(name)
        guard let first = values.first else { return nil }
        guard values.count == 1, case .text(let text) = first else {
            problems.invalid("must be given once, as text", at: name)
            return nil
        }
        return Sourced(text, at: name)
    }

    private mutating func nonempty(_ name: String) -> Sourced<String>? {
        text(name).flatMap { $0.value.isEmpty ? nil : $0 }
    }

    private mutating func required(_ name: String) -> Sourced<String>? {
        let value = nonempty(name)
        if value == nil { missing(name) }
        return value
    }

    private mutating func missing(_ name: String) {
        guard !problems.invalid.contains(where: { $0.pointer == name }) else { return }
        problems.invalid("is required", at: name)
    }

    /// A parameter that only exists to say that there is nothing.
    private mutating func empty(_ name: String) {
        if nonempty(name) != nil { problems.invalid("unknown field", at: name) }
    }

    /// A text with its charset.
    private mutating func content(_ name: String) -> Sourced<String>? {
        empty(name)
        SESText.check(charset: nonempty("\(name).Charset"), &problems)
        return text("\(name).Data")
    }

    private mutating func mailboxes(_ name: String) -> [Sourced<Mailbox>] {
        // Clients write an empty list as its bare name.
        empty(name)
        let texts = members(of: name, suffixes: [""]).compactMap { text($0) }
        return SESText.mailboxes(texts, &problems)
    }

    /// `name.member.1`, `name.member.2` … in the order of their numbers, whatever the order they came in.
    private func members(of name: String, suffixes: [String]) -> [String] {
        let start = "\(name).member."
        var numbers: Set<Int> = []
        for field in form.names where field.hasPrefix(start) {
            for suffix in suffixes where field.hasSuffix(suffix) {
                let digits = field.dropFirst(start.count).dropLast(suffix.count)
                guard (1...5).contains(digits.utf8.count), let number = Int(digits), "\(number)" == digits, number > 0
                else { continue }
                numbers.insert(number)
            }
        }
        return numbers.sorted().map { "\(start)\($0)" }
    }
}
