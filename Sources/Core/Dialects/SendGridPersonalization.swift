// One of SendGrid's `personalizations`: whom a message goes to, and what it says otherwise than the document around it.

import JSON
import MIME
import Mapping
import Model

struct SendGridPersonalization {
    private var reader: JSONReader

    init(_ element: JSONValue, pointer: String) { reader = JSONReader(element, pointer: pointer) }

    mutating func message(
        _ common: NativeMessage,
        _ limits: MappingLimits,
        _ problems: inout NativeProblems
    ) -> NativeMessage {
        var message = common
        message.to = addresses("to", &problems)
        message.cc = addresses("cc", &problems)
        message.bcc = addresses("bcc", &problems)
        checkAddresses(message, &problems)
        from(into: &message, &problems)
        subject(into: &message)
        SendGridHeaders.read(&reader, into: &message, limits, &problems)
        message.metadata.merge(SendGridDialect.customArguments(&reader)) { _, own in own }
        if let sendAt = SendGridDialect.sendAt(&reader) { message.sendAt = sendAt }
        for field in ["dynamic_template_data", "substitutions"] {
            reader.refuse(field, SendGridDialect.templates, &problems)
        }
        reader.finish()
        problems.invalid += reader.problems
        return message
    }

    private mutating func addresses(_ name: String, _ problems: inout NativeProblems) -> [Sourced<Mailbox>] {
        guard let elements = reader.array(name) else {
            if name == "to" { _ = reader.required("to", reader.value("to")) }
            return []
        }
        guard elements.count <= 1000 else {
            reader.problem("must not hold more than 1,000 addresses", at: name)
            return []
        }
        if name == "to", elements.isEmpty { reader.problem("must hold at least one address", at: name) }
        return SendGridAddress.mailboxes(elements, at: reader.pointer(to: name), &problems)
    }

    /// SendGrid refuses an address that stands twice in one personalization.
    private mutating func checkAddresses(_ message: NativeMessage, _ problems: inout NativeProblems) {
        var seen: Set<String> = []
        for mailbox in message.to + message.cc + message.bcc
        where !seen.insert(mailbox.value.address.comparisonKey).inserted {
            problems.invalid("stands twice among to, cc and bcc of this personalization", at: mailbox.at)
        }
    }

    /// Another author, of the same domain.
    private mutating func from(into message: inout NativeMessage, _ problems: inout NativeProblems) {
        guard let object = reader.object("from") else { return }
        guard let own = SendGridAddress.mailbox(object, at: reader.pointer(to: "from"), &problems) else { return }
        if let other = message.from, other.value.address.asciiDomain != own.value.address.asciiDomain {
            problems.invalid("must be of the same domain as from", at: own.at)
        }
        message.from = own
    }

    private mutating func subject(into message: inout NativeMessage) {
        if let own = reader.string("subject"), !own.isEmpty {
            message.subject = Sourced(own, at: reader.pointer(to: "subject"))
        } else if message.subject == nil {
            reader.problem("is required here, or for the whole document", at: "subject")
        }
    }
}

/// `{"email": …, "name": …}`
enum SendGridAddress {
    static func mailbox(
        _ object: JSONObject,
        at pointer: String,
        _ problems: inout NativeProblems
    ) -> Sourced<Mailbox>? {
        read(JSONReader(object, pointer: pointer), &problems)
    }

    static func mailboxes(
        _ elements: [JSONValue],
        at pointer: String,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        var mailboxes: [Sourced<Mailbox>] = []
        for (index, element) in elements.enumerated() {
            guard let mailbox = read(JSONReader(element, pointer: "\(pointer)/\(index)"), &problems) else { continue }
            mailboxes.append(mailbox)
        }
        return mailboxes
    }

    private static func read(_ object: JSONReader, _ problems: inout NativeProblems) -> Sourced<Mailbox>? {
        var reader = object
        let email = reader.string("email")
        let name = reader.string("name")
        // An element that is no object has one problem already.
        if reader.problems.isEmpty { _ = reader.required("email", email) }
        reader.finish()
        problems.invalid += reader.problems
        guard let email else { return nil }
        let place = reader.pointer(to: "email")
        return NativeText.mailbox(address: email, name: name, at: place, &problems).map { Sourced($0, at: place) }
    }
}
