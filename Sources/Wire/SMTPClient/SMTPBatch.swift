// The part of a message that goes in one transaction, and how it fits what a certain peer can do.

import NIOCore
import SMTP

/// A message that passed the checks needing no peer.
struct SMTPCheckedMessage: Sendable {
    var sender: SMTPPath
    var content: SMTPContent
    var needsSMTPUTF8: Bool
    var envid: String?
    var ret: SMTPReturnContent?
    var notify: SMTPNotify?
}

struct SMTPBatch: Sendable {
    struct Recipient: Sendable {
        var path: SMTPPath
        var original: String?
    }

    var message: SMTPCheckedMessage
    var recipients: [Recipient]

    /// What can be asked of the peer, and who is refused before asking.
    struct Fitting: Sendable {
        /// One a recipient of the batch; nil stands for "in the envelope, at the next place".
        var refused: [SMTPRecipientStatus?]
        /// Nil when nobody is left.
        var envelope: SMTPClientTransaction.Envelope?
    }

    func fitted(to capabilities: SMTPCapabilities) -> Fitting {
        if let refusal = refusal(by: capabilities) {
            return Fitting(refused: recipients.map { _ in .permanent(refusal) }, envelope: nil)
        }
        let refused: [SMTPRecipientStatus?] = recipients.map { recipient in
            recipient.path.isInternationalized && !capabilities.utf8
                ? .permanent(.noSMTPUTF8("the address \(recipient.path.text)")) : nil
        }
        let asked = zip(recipients, refused).filter { $0.1 == nil }.map(\.0)
        guard !asked.isEmpty else { return Fitting(refused: refused, envelope: nil) }

        let needsUTF8 =
            message.needsSMTPUTF8 || message.sender.isInternationalized
            || asked.contains { $0.path.isInternationalized }
        let envelope = SMTPClientTransaction.Envelope(
            sender: message.sender,
            senderParameters: senderParameters(capabilities, needsUTF8: needsUTF8),
            recipients: asked.map { ($0.path, capabilities.dsn ? recipientParameters($0) : []) }
        )
        return Fitting(refused: refused, envelope: envelope)
    }

    /// Why this peer can take the message for nobody.
    private func refusal(by capabilities: SMTPCapabilities) -> SMTPFailure? {
        if let maximum = capabilities.maximumSize, message.content.size > maximum {
            // RFC 1870 §6.1; the same code as the peer would give.
            return SMTPFailure(
                reason: "the message has \(message.content.size) bytes, and the server takes \(maximum) at most",
                enhanced: EnhancedCode(5, 3, 4),
                stage: .local
            )
        }
        if message.sender.isInternationalized && !capabilities.utf8 {
            return .noSMTPUTF8("the sender \(message.sender.text)")
        }
        if message.needsSMTPUTF8 && !capabilities.utf8 {
            return .noSMTPUTF8("the message's header")
        }
        if message.content.has8Bit && !capabilities.eightBitMIME {
            // RFC 6152 §3: re-encode or give it up. Re-encoding would break signatures; the builder can make 7-bit mail.
            return SMTPFailure(
                reason: "the message has 8-bit content, and the server does not offer 8BITMIME",
                enhanced: EnhancedCode(5, 6, 3),
                stage: .local
            )
        }
        return nil
    }

    private func senderParameters(_ capabilities: SMTPCapabilities, needsUTF8: Bool) -> [SMTPParameter] {
        var parameters: [SMTPParameter] = []
        if capabilities.size { parameters.append(.size(message.content.size)) }
        if message.content.has8Bit { parameters.append(.body8Bit) }
        if needsUTF8 { parameters.append(.utf8) }
        if capabilities.dsn {
            if let ret = message.ret { parameters.append(.ret(ret)) }
            if let envid = message.envid { parameters.append(.envid(envid)) }
        }
        return parameters
    }

    private func recipientParameters(_ recipient: Recipient) -> [SMTPParameter] {
        var parameters: [SMTPParameter] = []
        if let notify = message.notify { parameters.append(.notify(notify)) }
        if let original = recipient.original.flatMap(SMTPParameter.orcpt) { parameters.append(original) }
        return parameters
    }
}

extension SMTPFailure {
    /// RFC 6531 §3.5: X.6.7, non-ASCII addresses not permitted.
    fileprivate static func noSMTPUTF8(_ what: String) -> SMTPFailure {
        SMTPFailure(
            reason: "\(what) needs SMTPUTF8, and the server does not offer it",
            enhanced: EnhancedCode(5, 6, 7),
            stage: .local
        )
    }
}
