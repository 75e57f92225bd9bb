// What SendGrid's form can ask for and Postern does not do, each by its name.

import JSON
import Mapping

extension SendGridDialect {
    static let templates = "templates are not kept or rendered here, nor are texts replaced: send the finished message"

    static func refuse(_ reader: inout JSONReader, _ problems: inout NativeProblems) {
        for field in ["template_id", "sections", "substitutions", "dynamic_template_data"] {
            reader.refuse(field, templates, &problems)
        }
        reader.refuse("batch_id", "batches are not kept here: cancel a scheduled message by its id", &problems)
        reader.refuse("asm", "unsubscribe groups are not kept here", &problems)
        mailSettings(&reader, &problems)
        trackingSettings(&reader, &problems)
    }

    private static func mailSettings(_ reader: inout JSONReader, _ problems: inout NativeProblems) {
        guard var settings = reader.reader("mail_settings") else { return }
        let bypass = "no check is passed over for one message"
        for name in [
            "bypass_list_management", "bypass_spam_management", "bypass_bounce_management",
            "bypass_unsubscribe_management",
        ] {
            setting(name, bypass, switches: ["enable"], in: &settings, &problems)
        }
        setting(
            "footer", "footers are not added here", switches: ["enable"], others: ["text", "html"], in: &settings,
            &problems)
        setting(
            "sandbox_mode", "there is no sandbox: POST /v1/map/sendgrid shows what a payload becomes",
            switches: ["enable"], in: &settings, &problems)
        setting(
            "bcc", "no copies are added: name the address in bcc", switches: ["enable"], others: ["email"],
            in: &settings, &problems)
        setting(
            "spam_check", "content is not scored here", switches: ["enable"], others: ["threshold", "post_to_url"],
            in: &settings, &problems)
        settings.finish()
        problems.invalid += settings.problems
    }

    private static func trackingSettings(_ reader: inout JSONReader, _ problems: inout NativeProblems) {
        guard var settings = reader.reader("tracking_settings") else { return }
        setting(
            "click_tracking", "clicks are not tracked here", switches: ["enable", "enable_text"], in: &settings,
            &problems)
        setting(
            "open_tracking", "opens are not tracked here", switches: ["enable"], others: ["substitution_tag"],
            in: &settings, &problems)
        setting(
            "subscription_tracking", "unsubscribe links are not added here", switches: ["enable"],
            others: ["text", "html", "substitution_tag"], in: &settings, &problems)
        setting(
            "ganalytics", "links are not rewritten here", switches: ["enable"],
            others: ["utm_source", "utm_medium", "utm_term", "utm_content", "utm_campaign"], in: &settings, &problems)
        settings.finish()
        problems.invalid += settings.problems
    }

    /// A setting is on where one of its switches is; what else it says matters only then.
    private static func setting(
        _ name: String,
        _ feature: String,
        switches: [String],
        others: [String] = [],
        in settings: inout JSONReader,
        _ problems: inout NativeProblems
    ) {
        guard var setting = settings.reader(name) else { return }
        for name in others { _ = setting.value(name) }
        for name in switches where setting.bool(name) == true {
            problems.unsupported(feature, at: setting.pointer(to: name))
        }
        setting.finish()
        problems.invalid += setting.problems
    }
}
