// The JSON of SES's API v2 SendEmail. Every member is read by name; what is left over is a problem.

import JSON
import MIME
import Mapping
import Model

struct SESDocumentReader {
    private var reader: JSONReader
    private var own = NativeProblems()

    init(_ document: JSONValue) { reader = JSONReader(document) }

    /// The problems of the document's form and of its values.
    var problems: NativeProblems {
        var problems = own
        problems.invalid = reader.problems + own.invalid
        return problems
    }

    mutating func message(_ context: MappingContext) -> NativeMessage {
        var message = NativeMessage()
        let from = SESText.mailbox(text("FromEmailAddress"), &own)
        let recipients = destination()
        let replyTo = SESText.mailboxes(texts("ReplyToAddresses", in: &reader), &own)
        let bounces = SESText.mailbox(text("FeedbackForwardingEmailAddress"), &own)
            .map { Sourced($0.value.address, at: $0.at) }
        for name in ["FromEmailAddressIdentityArn", "FeedbackForwardingEmailAddressIdentityArn"] {
            SESText.check(arn: text(name), &own)
        }
        refuseFeatures()
        var tags = tags(context)
        message.sender = bounces
        guard let object = reader.required("Content", reader.object("Content")) else {
            reader.finish()
            return message
        }
        var content = JSONReader(object, pointer: reader.pointer(to: "Content"))
        let simple = content.reader("Simple")
        let raw = content.reader("Raw")
        if content.value("Template") != nil {
            own.unsupported(SESFeature.templates, at: content.pointer(to: "Template"))
        } else if (simple == nil) == (raw == nil), content.problems.isEmpty {
            content.problem("needs exactly one of Simple, Raw and Template")
        }
        content.finish()
        reader.adopt(content.problems)
        if let simple {
            if from == nil, text("FromEmailAddress") == nil { reader.problem("is required", at: "FromEmailAddress") }
            message.from = from
            (message.to, message.cc, message.bcc) = recipients
            message.replyTo = replyTo
            read(simple, into: &message, context)
        } else if let raw {
            let all = recipients.to + recipients.cc + recipients.bcc
            message.envelopeRecipients = all.map { Sourced($0.value.address, at: $0.at) }
            var inner = raw
            let finished = SESRawMessage(source: from, replyTo: replyTo, bounces: bounces)
            if let data = inner.required("Data", inner.string("Data")) {
                finished.read(
                    Sourced(data, at: inner.pointer(to: "Data")), into: &message, &tags,
                    longestTag: context.limits.tagBytes, &own)
            }
            inner.finish()
            reader.adopt(inner.problems)
        }
        tags.give(to: &message)
        reader.finish()
        return message
    }

    private mutating func refuseFeatures() {
        if reader.value("ListManagementOptions") != nil {
            own.unsupported(SESFeature.listManagement, at: reader.pointer(to: "ListManagementOptions"))
        }
        if text("TenantName") != nil { own.unsupported(SESFeature.tenants, at: reader.pointer(to: "TenantName")) }
        if text("EndpointId") != nil { own.unsupported(SESFeature.endpoints, at: reader.pointer(to: "EndpointId")) }
        guard var overrides = reader.reader("ConfigurationOverrides") else { return }
        if var tracking = overrides.reader("Tracking") {
            for (name, feature) in [
                ("OpenTrackingEnabled", SESFeature.openTracking), ("ClickTrackingEnabled", SESFeature.clickTracking),
            ] {
                switch tracking.string(name) {
                case .none, "DISABLED": break
                case "ENABLED": own.unsupported(feature, at: tracking.pointer(to: name))
                case .some: tracking.problem("must be ENABLED or DISABLED", at: name)
                }
            }
            tracking.finish()
            overrides.adopt(tracking.problems)
        }
        overrides.finish()
        reader.adopt(overrides.problems)
    }

    private mutating func destination() -> (
        to: [Sourced<Mailbox>], cc: [Sourced<Mailbox>], bcc: [Sourced<Mailbox>]
    ) {
        guard var inner = reader.reader("Destination") else { return ([], [], []) }
        let lists = ["ToAddresses", "CcAddresses", "BccAddresses"].map { name in
            SESText.mailboxes(texts(name, in: &inner), &own)
        }
        inner.finish()
        reader.adopt(inner.problems)
        return (lists[0], lists[1], lists[2])
    }

    private mutating func tags(_ context: MappingContext) -> SESTags {
        var tags = SESTags()
        if let name = text("ConfigurationSetName") { tags.set(configurationSet: name, &own) }
        let list = reader.pointer(to: "EmailTags")
        let elements = reader.array("EmailTags") ?? []
        guard elements.count <= context.limits.tags else {
            reader.problem("must not hold more than \(context.limits.tags) tags", at: "EmailTags")
            return tags
        }
        for (index, element) in elements.enumerated() {
            var inner = JSONReader(element, pointer: "\(list)/\(index)")
            let name = inner.required("Name", inner.string("Name"))
            let value = inner.required("Value", inner.string("Value"))
            inner.finish()
            reader.adopt(inner.problems)
            guard let name, let value else { continue }
            tags.add(
                Sourced(name, at: inner.pointer(to: "Name")), Sourced(value, at: inner.pointer(to: "Value")), in: list,
                longest: context.limits.tagBytes, &own)
        }
        return tags
    }

    // MARK: Simple

    private mutating func read(
        _ simple: JSONReader,
        into message: inout NativeMessage,
        _ context: MappingContext
    ) {
        var simple = simple
        message.subject = content("Subject", in: &simple, isRequired: true).map(SESText.subject)
        if let object = simple.required("Body", simple.object("Body")) {
            var body = JSONReader(object, pointer: simple.pointer(to: "Body"))
            message.text = content("Text", in: &body)
            message.html = content("Html", in: &body)
            if message.text == nil, message.html == nil, body.problems.isEmpty {
                body.problem("needs Text or Html")
            }
            body.finish()
            simple.adopt(body.problems)
        }
        message.headers = headers(&simple)
        message.attachments = attachments(&simple, atMost: context.limits.attachments)
        simple.finish()
        reader.adopt(simple.problems)
    }

    private mutating func content(
        _ name: String,
        in outer: inout JSONReader,
        isRequired: Bool = false
    ) -> Sourced<String>? {
        let object = outer.object(name)
        if isRequired { _ = outer.required(name, object) }
        guard let object else { return nil }
        var inner = JSONReader(object, pointer: outer.pointer(to: name))
        let data = inner.required("Data", inner.string("Data"))
        let charset = inner.string("Charset").map { Sourced($0, at: inner.pointer(to: "Charset")) }
        SESText.check(charset: charset.flatMap { $0.value.isEmpty ? nil : $0 }, &own)
        inner.finish()
        outer.adopt(inner.problems)
        return data.map { Sourced($0, at: inner.pointer(to: "Data")) }
    }

    private mutating func headers(_ simple: inout JSONReader) -> [Sourced<Envelope.Header>] {
        guard let elements = simple.array("Headers") else { return [] }
        guard elements.count <= SESLimits.headers else {
            simple.problem("must not hold more than \(SESLimits.headers) headers", at: "Headers")
            return []
        }
        var headers: [Sourced<Envelope.Header>] = []
        for (index, element) in elements.enumerated() {
            var inner = JSONReader(element, pointer: "\(simple.pointer(to: "Headers"))/\(index)")
            let name = inner.required("Name", inner.string("Name"))
            let value = inner.required("Value", inner.string("Value"))
            inner.finish()
            simple.adopt(inner.problems)
            guard let name, let value else { continue }
            guard name.utf8.count <= SESLimits.headerName, value.utf8.count <= SESLimits.headerValue,
                name.utf8.count + value.utf8.count <= SESLimits.header
            else {
                own.invalid(
                    "a header has a name of 126 and a value of 995 characters at most, and 996 together",
                    at: inner.pointer)
                continue
            }
            guard value.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
                own.invalid("must be printable ASCII", at: inner.pointer(to: "Value"))
                continue
            }
            if let header = NativeText.header(name: name, value: value, at: inner.pointer, &own) {
                headers.append(header)
            }
        }
        return headers
    }

    private mutating func attachments(
        _ simple: inout JSONReader,
        atMost most: Int
    ) -> [Sourced<MessageBuilder.Attachment>] {
        let elements = simple.array("Attachments") ?? []
        guard elements.count <= most else {
            simple.problem("must not hold more than \(most) attachments", at: "Attachments")
            return []
        }
        var attachments: [Sourced<MessageBuilder.Attachment>] = []
        for (index, element) in elements.enumerated() {
            var inner = JSONReader(element, pointer: "\(simple.pointer(to: "Attachments"))/\(index)")
            if let attachment = attachment(&inner) { attachments.append(Sourced(attachment, at: inner.pointer)) }
            inner.finish()
            simple.adopt(inner.problems)
        }
        return attachments
    }

    private mutating func attachment(_ inner: inout JSONReader) -> MessageBuilder.Attachment? {
        let filename = inner.required("FileName", inner.string("FileName"))
        let content = inner.required("RawContent", inner.string("RawContent"))
        let type = inner.string("ContentType").flatMap { $0.isEmpty ? nil : $0 }
        let contentID = inner.string("ContentId").flatMap { $0.isEmpty ? nil : $0 }
        let disposition = inner.string("ContentDisposition") ?? "ATTACHMENT"
        if !["ATTACHMENT", "INLINE"].contains(disposition) {
            inner.problem("must be ATTACHMENT or INLINE", at: "ContentDisposition")
        }
        // How a part is encoded on its way is not of its content: base64 holds anything.
        if let encoding = inner.string("ContentTransferEncoding"),
            !["BASE64", "QUOTED_PRINTABLE", "SEVEN_BIT"].contains(encoding)
        {
            inner.problem("must be BASE64, QUOTED_PRINTABLE or SEVEN_BIT", at: "ContentTransferEncoding")
        }
        if let description = inner.string("ContentDescription"), !description.isEmpty {
            own.unsupported(SESFeature.contentDescription, at: inner.pointer(to: "ContentDescription"))
        }
        for (name, value, most) in [
            ("FileName", filename, SESLimits.fileName), ("ContentType", type, SESLimits.contentType),
            ("ContentId", contentID, SESLimits.contentID),
        ] where (value?.utf8.count ?? 0) > most {
            inner.problem("must not have more than \(most) characters", at: name)
        }
        if contentID != nil, disposition == "ATTACHMENT" {
            own.unsupported(SESFeature.attachedContentID, at: inner.pointer(to: "ContentId"))
        }
        guard let filename, let content,
            let bytes = NativeText.base64(content, at: inner.pointer(to: "RawContent"), &own)
        else { return nil }
        return MessageBuilder.Attachment(
            filename: filename, contentType: type ?? ContentTypeGuess.type(of: filename), bytes: bytes,
            isInline: disposition == "INLINE", contentID: contentID)
    }

    // MARK: Members

    /// A text that is there and not empty.
    private mutating func text(_ name: String) -> Sourced<String>? {
        reader.string(name).flatMap { $0.isEmpty ? nil : Sourced($0, at: reader.pointer(to: name)) }
    }

    private func texts(_ name: String, in outer: inout JSONReader) -> [Sourced<String>] {
        let place = outer.pointer(to: name)
        return (outer.strings(name) ?? []).enumerated().map { Sourced($1, at: "\(place)/\($0)") }
    }
}

/// SES's own bounds, in characters of ASCII.
enum SESLimits {
    static let headers = 15
    static let headerName = 126
    static let headerValue = 995
    static let header = 996
    static let fileName = 255
    static let contentType = 78
    static let contentID = 78
}
