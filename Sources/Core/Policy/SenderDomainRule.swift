// A vault sends from its own domains only: the envelope's sender and the From header both have to be of one.

package import MIME
import Mapping
package import Model

package struct SenderDomainRule: PolicyRule {
    package init() {}

    package func judge(_ envelope: Envelope, _ context: PolicyContext) throws(PosternError) {
        try check(envelope.sender, as: "the envelope's sender", context, isVaults: isVaults(envelope, context))
        if envelope.content.from.address != envelope.sender {
            try check(envelope.content.from.address, as: "the From address", context)
        }
    }

    /// Judges one address, which a door may know before the message (SMTP's `MAIL`).
    /// - Parameter isVaults: the vault chose the address, so that the caller's own domains do not bind it.
    package func check(
        _ address: EmailAddress,
        as role: String,
        _ context: PolicyContext,
        isVaults: Bool = false
    ) throws(PosternError) {
        let allowed = try context.settings.require(Settings.allowedSenderDomains)
        let domain = address.asciiDomain
        guard allowed.contains(where: { $0.matches(asciiDomain: domain) }) else {
            throw PosternError(
                .senderDomainNotAllowed, "\(role) is of \(domain), which is not in the vault's allowed_sender_domains")
        }
        if !isVaults, let narrower = context.caller.senderDomains {
            guard narrower.contains(where: { $0.matches(asciiDomain: domain) }) else {
                throw PosternError(
                    .senderDomainNotAllowed, "\(role) is of \(domain), which \(context.caller.label) may not send from",
                    fix: "Send from a domain of the key, or use a key that is not narrowed to other domains.")
            }
        }
    }

    /// Whether the envelope's sender is what `default_envelope_strategy` gives for this very recipient.
    private func isVaults(_ envelope: Envelope, _ context: PolicyContext) -> Bool {
        guard context.caller.senderDomains != nil, let address = context.settings.value(Settings.envelopeAddress) else {
            return false
        }
        switch context.settings.value(Settings.defaultEnvelopeStrategy) {
        case .fixed: return envelope.sender == address
        case .verp: return envelope.sender == VariableEnvelope.address(address, for: envelope.recipient)
        case .from, nil: return false
        }
    }
}
