// Odoo's `mail.mail` and `mail.message` as JSON, as one record or a list, and the webhook that a server action posts about one
// (`_model`, `_id`, `_action` and the chosen fields).

import JSON
import MIME
package import Mapping
package import Model

package enum OdooDialect: NativeDialect {
    package static let name = "odoo"
    /// Records of one call.
    private static let batchLimit = 500

    package static func read(
        _ payload: NativePayload,
        _ context: MappingContext
    ) throws(PosternError) -> [NativeMessage] {
        var problems = NativeProblems()
        let messages = try payload.documents(limit: batchLimit).map { document, pointer in
            var record = OdooRecord(document, pointer: pointer)
            let message = message(&record, &problems)
            problems.invalid += record.finish()
            return message
        }
        try problems.check()
        return messages
    }

    private static func message(_ record: inout OdooRecord, _ problems: inout NativeProblems) -> NativeMessage {
        var message = NativeMessage()
        if let text = record.text("email_from") {
            message.from = NativeText.mailbox(text.value, at: text.at, &problems).map { Sourced($0, at: text.at) }
        } else if record.reader.problems.isEmpty {
            record.problem("is required", at: "email_from")
        }
        message.to = addresses("email_to", &record, &problems) + addresses("outgoing_email_to", &record, &problems)
        message.cc = addresses("email_cc", &record, &problems)
        message.replyTo = addresses("reply_to", &record, &problems)
        message.subject = record.text("subject")
        // A mail has both; it sends body_html, and body is what the chatter shows.
        let chatter = record.text("body")
        message.html = record.text("body_html") ?? chatter
        message.text = record.text("body_plaintext")
        headers(&record, &message, &problems)
        message.attachments = attachments(&record, &problems)
        message.sendAt = time(&record)
        if let id = record.text("message_id") { message.messageID = messageID(id, &problems) }
        origin(&record, &message)
        state(&record)
        refuse(&record, &problems)
        record.passOver(bookkeeping)
        return message
    }

    private static func addresses(
        _ name: String,
        _ record: inout OdooRecord,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        guard let list = record.text(name) else { return [] }
        return NativeText.mailboxes(list.value, at: list.at, &problems)
    }

    static func messageID(_ text: Sourced<String>, _ problems: inout NativeProblems) -> Sourced<String>? {
        if let id = MIME.MessageID.normalized(text.value) { return Sourced(id, at: text.at) }
        problems.invalid("a Message-ID has the form <left@right>", at: text.at)
        return nil
    }

    /// Odoo's datetimes are in UTC and do not say so.
    private static func time(_ record: inout OdooRecord) -> Sourced<Timestamp>? {
        guard let text = record.text("scheduled_date") else { return nil }
        guard let time = Timestamp(text.value + "Z") ?? Timestamp(text.value) else {
            record.problem("is not a time, such as 2026-11-20 18:00:00 in UTC", at: "scheduled_date")
            return nil
        }
        return Sourced(time, at: text.at)
    }

    /// The document that the mail is about, and the webhook that told of it: kept with the message.
    private static func origin(_ record: inout OdooRecord, _ message: inout NativeMessage) {
        for name in ["model", "_model", "_action"] {
            if let text = record.text(name) { message.metadata[name] = text.value }
        }
        for name in ["res_id", "_id"] {
            if let id = record.id(name) { message.metadata[name] = String(id) }
        }
        if let model = message.metadata["model"], let id = message.metadata["res_id"] {
            message.tracking = Sourced(
                Envelope.Tracking(context: "\(model)/\(id)"), at: record.pointer(to: "model"))
        }
    }

    /// A record that Odoo itself would not send is not sent here either.
    private static func state(_ record: inout OdooRecord) {
        guard let state = record.text("state")?.value, !["outgoing", "exception"].contains(state) else { return }
        record.problem("is \"\(state.prefix(32))\": only outgoing mail is sent, and what failed before", at: "state")
    }

    private static func refuse(_ record: inout OdooRecord, _ problems: inout NativeProblems) {
        for name in ["recipient_ids", "partner_ids", "notified_partner_ids"] {
            for related in record.many(name) {
                problems.unsupported(
                    "partners are records that only Odoo knows: write their addresses into email_to", at: related.place)
            }
        }
        record.refuse("mail_server_id", "the vault's route decides the way out, not a server of Odoo", &problems)
        record.refuse("mailing_id", "mailings live in Odoo: send their mails one by one", &problems)
    }

    /// What Odoo keeps about a record for itself.
    private static let bookkeeping = [
        "id", "display_name", "create_date", "create_uid", "write_date", "write_uid", "__last_update", "date",
        "mail_message_id", "mail_message_id_int", "parent_id", "child_ids", "record_name", "message_type",
        "mail_activity_type_id", "subtype_id", "is_internal", "author_id", "author_guest_id", "author_avatar",
        "reply_to_force_new", "no_auto_thread", "record_alias_domain_id", "record_company_id", "incoming_email_to",
        "incoming_email_cc", "is_notification", "notification", "notification_ids", "needaction", "has_error",
        "starred", "starred_partner_ids", "is_current_user_or_guest_author", "preview", "description",
        "tracking_value_ids", "reaction_ids", "rating_ids", "rating_value", "mail_ids", "to_delete", "auto_delete",
        "failure_type",
        "failure_reason", "fetchmail_server_id", "restricted_attachment_count", "email_layout_xmlid",
        "email_add_signature", "mail_post_method", "use_default_to",
    ]
}
