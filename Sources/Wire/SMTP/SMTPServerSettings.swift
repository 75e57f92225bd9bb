// What one connection's session offers and demands, decided before it begins.

package struct SMTPServerSettings: Sendable {
    /// Our name in the greeting and the EHLO reply.
    package var hostname: String
    /// The words behind the name in the greeting; `ESMTP` should be the first.
    package var greeting: String
    /// Who may authenticate.
    package var authentication: Authentication
    /// Mail is only taken after AUTH (530 5.7.0 before).
    package var requiresAuthentication: Bool
    /// STARTTLS is offered. Whether a certificate is at hand is only asked when the command comes.
    package var offersStartTLS: Bool
    /// Offer DSN (RFC 3461), which promises to send or pass on success reports. Its parameters are understood anyway.
    package var offersDSN: Bool
    /// Offer BINARYMIME (RFC 3030): messages without lines, which cannot be passed on to everyone.
    package var offersBinaryMIME: Bool
    package var limits: SMTPServerLimits

    package enum Authentication: Hashable, Sendable {
        case notOffered
        case underTLS
        /// In clear as well, as is fit for loopback only.
        case always
    }

    package init(
        hostname: String,
        greeting: String = "ESMTP",
        authentication: Authentication = .underTLS,
        requiresAuthentication: Bool = true,
        offersStartTLS: Bool = true,
        offersDSN: Bool = false,
        offersBinaryMIME: Bool = false,
        limits: SMTPServerLimits = SMTPServerLimits()
    ) {
        self.hostname = hostname
        self.greeting = greeting
        self.authentication = authentication
        self.requiresAuthentication = requiresAuthentication
        self.offersStartTLS = offersStartTLS
        self.offersDSN = offersDSN
        self.offersBinaryMIME = offersBinaryMIME
        self.limits = limits
    }
}
