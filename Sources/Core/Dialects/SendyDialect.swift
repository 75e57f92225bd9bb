// Sendy's names for a campaign (`/api/campaigns/create.php`), as a form or as JSON, with the recipients beside it: the lists
// live in Sendy, so that whoever sends here names each one.

import Forms
import JSON
import MIME
package import Mapping
package import Model

package enum SendyDialect: NativeDialect {
    package static let name = "sendy"

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        var problems = NativeProblems()
        var fields = SendyFields(payload, &problems)
        let message = message(&fields, &problems)
        fields.finish(&problems)
        try problems.check()
        return [message]
    }

    private static func message(_ fields: inout SendyFields, _ problems: inout NativeProblems) -> NativeMessage {
        var message = NativeMessage()
        let name = fields.text("from_name", &problems)
        if let address = fields.required("from_email", &problems) {
            message.from = NativeText.mailbox(address: address.value, name: name?.value, at: address.at, &problems)
                .map { Sourced($0, at: address.at) }
        }
        message.fromNameAt = name?.at
        message.to = recipients(&fields, &problems)
        if let text = fields.text("reply_to", &problems) {
            message.replyTo = NativeText.mailboxes(text.value, at: text.at, &problems)
        }
        message.subject = fields.text("subject", &problems)
        message.text = fields.text("plain_text", &problems)
        message.html = fields.text("html_text", &problems)
        // The campaign's name for its owner; readers never see it.
        message.campaignID = fields.text("title", &problems)
        if let brand = fields.text("brand_id", &problems) { message.metadata["brand_id"] = brand.value }
        for (name, value) in fields.headers(&problems) {
            if let header = NativeText.header(name: name, value: value.value, at: value.at, &problems) {
                message.headers.append(header)
            }
        }
        message.sendAt = time(&fields, &problems)
        refuse(&fields, &problems)
        for text in [message.subject, message.text, message.html] {
            guard let text, let tag = mergeTag(in: text.value) else { continue }
            problems.unsupported("\(tag) is filled in by Sendy itself: send the finished text", at: text.at)
        }
        return message
    }

    /// `to` is a list of addresses; `email` with `name` is one subscriber, in Sendy's own names.
    private static func recipients(
        _ fields: inout SendyFields,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        var recipients: [Sourced<Mailbox>] = []
        for text in fields.texts("to", &problems) {
            recipients += NativeText.mailboxes(text.value, at: text.at, &problems)
        }
        let name = fields.text("name", &problems)
        if let email = fields.text("email", &problems) {
            if let mailbox = NativeText.mailbox(address: email.value, name: name?.value, at: email.at, &problems) {
                recipients.append(Sourced(mailbox, at: email.at))
            }
        } else if let name {
            problems.invalid("is the name to an email, and there is none", at: name.at)
        }
        return recipients
    }

    private static func time(_ fields: inout SendyFields, _ problems: inout NativeProblems) -> Sourced<Timestamp>? {
        guard let text = fields.text("schedule_date_time", &problems) else { return nil }
        if let time = Timestamp(text.value) { return Sourced(time, at: text.at) }
        problems.unsupported(
            "times in words are not read here: give RFC 3339 with its zone, such as 2026-11-20T18:00:00Z", at: text.at)
        return nil
    }

    private static func refuse(_ fields: inout SendyFields, _ problems: inout NativeProblems) {
        if let key = fields.text("api_key", &problems) {
            problems.invalid(
                "a key does not belong into the body: send it as Authorization: Bearer ak_…, and leave api_key out",
                at: key.at)
        }
        for name in [
            "list_ids", "list", "segment_ids", "exclude_list_ids", "exclude_segments_ids", "exclude_segment_ids",
        ] {
            fields.refuse(name, "lists and segments live in Sendy: name the recipients in to or email", &problems)
        }
        if let value = fields.text("send_campaign", &problems), !["1", "true"].contains(value.value) {
            problems.unsupported("drafts are not kept here: what is handed in is sent", at: value.at)
        }
        fields.refuse("schedule_timezone", "give the zone with the time, in schedule_date_time", &problems)
        fields.refuse("track_opens", "opens are not tracked here", &problems)
        fields.refuse("track_clicks", "clicks are not tracked here", &problems)
        fields.refuse("query_string", "links are not rewritten here", &problems)
    }

    /// The first of Sendy's own tags in a text, such as `[unsubscribe]` or `[Name,fallback=there]`.
    private static func mergeTag(in text: String) -> String? {
        let text = Array(text.utf8)
        var next = text[...]
        while let start = next.firstIndex(where: { $0 == UInt8(ascii: "[") || $0 == UInt8(ascii: "<") }) {
            next = text[(start + 1)...]
            if let tag = tags.first(where: { next.starts(with: $0.utf8.dropFirst()) && text[start] == $0.utf8.first }) {
                return tag
            }
            guard text[start] == UInt8(ascii: "[") else { continue }
            let word = next.prefix(64).prefix { !"[],".utf8.contains($0) }
            if text[word.endIndex...].starts(with: ",fallback=".utf8) {
                return "[\(String(decoding: word, as: UTF8.self)),fallback=…]"
            }
        }
        return nil
    }

    private static let tags = [
        "[unsubscribe]", "<unsubscribe", "[webversion]", "<webversion", "[reconsent]", "<reconsent", "[Name]",
        "[Email]", "[currentdaynumber]", "[currentday]", "[currentmonthnumber]", "[currentmonth]", "[currentyear]",
    ]
}
