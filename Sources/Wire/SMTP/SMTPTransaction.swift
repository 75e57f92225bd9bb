// The envelope of one mail transaction as the client gave it: who it is from, who it is for, and the parameters
// of the extensions. Plain values, so that what takes the mail needs to know nothing of the conversation.

/// What `BODY=` promises of the message (RFC 6152, RFC 3030 §2).
package enum SMTPBodyType: String, Hashable, Sendable {
    case sevenBit = "7BIT"
    case eightBitMIME = "8BITMIME"
    /// Lines have no meaning; only possible with BDAT, and only where the server offers BINARYMIME.
    case binaryMIME = "BINARYMIME"
}

/// How much of the message a failure report should carry, `RET=` (RFC 3461 §4.3).
package enum SMTPReturnContent: String, Hashable, Sendable {
    case full = "FULL"
    case headers = "HDRS"
}

/// When the sender wants to be told, `NOTIFY=` (RFC 3461 §4.1).
package struct SMTPNotify: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// No report of any kind; never together with the others.
    package static let never = SMTPNotify(rawValue: 1)
    package static let success = SMTPNotify(rawValue: 2)
    package static let failure = SMTPNotify(rawValue: 4)
    package static let delay = SMTPNotify(rawValue: 8)
}

/// The sender of a transaction with the parameters of its `MAIL` command (RFC 5321 §3.3).
package struct SMTPReversePath: Hashable, Sendable {
    /// What stood between the angle brackets, without source route; `""` is the null sender of a report.
    package var address: String
    /// `SIZE=`, octets (RFC 1870).
    package var size: Int?
    package var body: SMTPBodyType
    /// The client asked for SMTPUTF8 (RFC 6531 §3.4): addresses and header may hold UTF-8.
    package var smtputf8: Bool
    package var ret: SMTPReturnContent?
    /// `ENVID=` as sent, still in xtext (RFC 3461 §4.4).
    package var envid: String?
    /// `AUTH=` without xtext; `""` for `<>`, which means "not vouched for" (RFC 4954 §5).
    package var auth: String?

    package init(
        address: String,
        size: Int? = nil,
        body: SMTPBodyType = .sevenBit,
        smtputf8: Bool = false,
        ret: SMTPReturnContent? = nil,
        envid: String? = nil,
        auth: String? = nil
    ) {
        self.address = address
        self.size = size
        self.body = body
        self.smtputf8 = smtputf8
        self.ret = ret
        self.envid = envid
        self.auth = auth
    }
}

/// One recipient with the parameters of its `RCPT` command.
package struct SMTPRecipient: Hashable, Sendable {
    /// What stood between the angle brackets, without source route. `postmaster` may stand without a domain.
    package var address: String
    /// `nil` when the client left it to us, which means failures and perhaps delays (RFC 3461 §4.1).
    package var notify: SMTPNotify?
    /// `ORCPT=` as sent: type, semicolon, xtext (RFC 3461 §4.2).
    package var orcpt: String?

    package init(address: String, notify: SMTPNotify? = nil, orcpt: String? = nil) {
        self.address = address
        self.notify = notify
        self.orcpt = orcpt
    }
}

/// A mail transaction: one reverse path, its recipients, and how the session stood when it began.
package struct SMTPTransaction: Hashable, Sendable {
    package var reversePath: SMTPReversePath
    /// Those that were accepted, in order.
    package var recipients: [SMTPRecipient]
    /// For the `with` clause of a `Received` field: `ESMTPSA`, `UTF8SMTPS`, … (RFC 3848, RFC 6531 §4.3).
    package var protocolName: String

    package var usedSMTPUTF8: Bool { reversePath.smtputf8 }

    package init(reversePath: SMTPReversePath, recipients: [SMTPRecipient] = [], protocolName: String) {
        self.reversePath = reversePath
        self.recipients = recipients
        self.protocolName = protocolName
    }

    /// The registered name of the protocol in use (RFC 3848 §3, RFC 6531 §4.3).
    package static func protocolName(isESMTP: Bool, usesUTF8: Bool, isTLS: Bool, isAuthenticated: Bool) -> String {
        guard isESMTP else { return "SMTP" }
        return (usesUTF8 ? "UTF8SMTP" : "ESMTP") + (isTLS ? "S" : "") + (isAuthenticated ? "A" : "")
    }
}
