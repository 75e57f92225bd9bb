// What a refusal means for the message: by the code's first digit, with the exceptions that the RFCs or sense ask for.

import SMTP

extension SMTPRecipientStatus {
    /// The verdict on `reply`, a 4yz or 5yz to MAIL, RCPT, DATA or the final dot (RFC 5321 §4.2.1: first digit decides).
    init(refusedBy reply: SMTPReply, stage: SMTPStage) {
        self =
            reply.isTransientFailure || Self.isTemporaryInSpiteOfItsCode(reply, stage: stage)
            ? .transient(SMTPFailure(reply, stage: stage))
            : .permanent(SMTPFailure(reply, stage: stage, category: 5))
    }

    private static func isTemporaryInSpiteOfItsCode(_ reply: SMTPReply, stage: SMTPStage) -> Bool {
        switch reply.code {
        // RFC 5321 §4.5.3.1.10: an old form of "too many recipients"; the others wait for the next transaction.
        case 552: stage == .rcpt
        // RFC 4954 §6: who we are, or how we came, is not good enough. A fault of our configuration, which an operator
        // mends; the message is not to blame and waits.
        case 530, 534, 535, 538: stage == .mail
        default: false
        }
    }
}

extension SMTPFailure {
    /// - Parameters:
    ///   - category: 4 or 5, the class of the enhanced code.
    ///   - context: our own words before the peer's.
    init(_ reply: SMTPReply, stage: SMTPStage, category: UInt16 = 4, context: String? = nil) {
        let enhanced: EnhancedCode =
            if let given = reply.enhanced, given.category == category {
                given
            } else if reply.code == 552, stage == .rcpt {
                EnhancedCode(category, 5, 3)
            } else {
                // Same fault, our class (a peer's 530 5.7.0 that we do not take as final is 4.7.0 here).
                EnhancedCode(category, reply.enhanced?.subject ?? 0, reply.enhanced?.detail ?? 0)
            }
        self.init(
            reply: reply,
            reason: context.map { "\($0): \(reply.text)" } ?? reply.text,
            enhanced: enhanced,
            stage: stage
        )
    }
}
