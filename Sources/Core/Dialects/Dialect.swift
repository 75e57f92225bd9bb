// Every form in which mail can be handed in by HTTP. A dialect is one type, and one line here.

package import Mapping

package enum Dialect: String, Sendable, CaseIterable {
    case canonical, simple, mime
    case sendy, odoo, ses, sendgrid, mailgun, postmark, resend

    /// How a native payload is read; `nil` for Postern's own forms.
    package var native: (any NativeDialect.Type)? {
        switch self {
        case .canonical, .simple, .mime: nil
        case .sendy: SendyDialect.self
        case .odoo: OdooDialect.self
        case .ses: SESDialect.self
        case .sendgrid: SendGridDialect.self
        case .mailgun: MailgunDialect.self
        case .postmark: PostmarkDialect.self
        case .resend: ResendDialect.self
        }
    }
}
