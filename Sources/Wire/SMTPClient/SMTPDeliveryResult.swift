// What became of one attempt, recipient by recipient, with the evidence.

package import SMTP

package struct SMTPDeliveryResult: Sendable {
    /// In the order of `SMTPOutgoing.recipients`.
    package let outcomes: [SMTPRecipientOutcome]
    package let transcript: SMTPTranscript
    /// `host [address]:port`, or `host:port` where no connection was made.
    package let peer: String
    /// Such as `TLS 1.3, certificate verified`; nil when the message went in clear or not at all.
    package let tls: String?
}

package struct SMTPRecipientOutcome: Hashable, Sendable {
    package let recipient: String
    package let status: SMTPRecipientStatus
}

package enum SMTPRecipientStatus: Hashable, Sendable {
    /// The peer has taken responsibility; its last reply (often with its queue id).
    case delivered(SMTPReply)
    /// Worth another try later.
    case transient(SMTPFailure)
    /// Another try would end the same way.
    case permanent(SMTPFailure)
}

/// How far an attempt had come.
package enum SMTPStage: String, CaseIterable, Hashable, Sendable {
    /// Before anything was said: our own checks of message and addresses.
    case local
    case connect, greeting, ehlo, tls, auth, mail, rcpt, data
    /// The message was sent, and this is about the answer to the final dot.
    case dot
}

package struct SMTPFailure: Hashable, Sendable, CustomStringConvertible {
    /// What the peer said, when it was the peer that refused.
    package let reply: SMTPReply?
    /// A sentence for people: ours, followed by the peer's words where there are any.
    package let reason: String
    /// The peer's code where it gave one of the right class, else our best one. Category 4 or 5.
    package let enhanced: EnhancedCode
    package let stage: SMTPStage
    /// The final reply was lost: the peer may have taken the message, and another try may make a second copy
    /// (RFC 5321 §6.1).
    package let ambiguous: Bool

    package init(
        reply: SMTPReply? = nil,
        reason: String,
        enhanced: EnhancedCode,
        stage: SMTPStage,
        ambiguous: Bool = false
    ) {
        self.reply = reply
        self.reason = reason
        self.enhanced = enhanced
        self.stage = stage
        self.ambiguous = ambiguous
    }

    package var description: String { "\(stage.rawValue): \(enhanced) \(reason)" }
}

extension SMTPRecipientStatus {
    package var failure: SMTPFailure? {
        switch self {
        case .delivered: nil
        case .transient(let failure), .permanent(let failure): failure
        }
    }
}
