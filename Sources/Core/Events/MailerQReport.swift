// MailerQ's results as reports of ours, or the reason why one belongs to no message.

import JSON
package import MailerQ
package import Model

/// What a result from a queue came to.
package enum MailerQReport: Sendable {
    case report(DeliveryReport)
    /// It is a result, but not of a message that we could name.
    case orphan(reason: String)

    package init(_ result: MailerQResult) {
        guard let reference = result.reference else {
            self = .orphan(reason: "the result carries no reference of ours")
            return
        }
        guard let message = MessageID(reference.message), let vault = VaultID(reference.vault) else {
            self = .orphan(reason: "the reference of the result names no message")
            return
        }
        let verdict: DeliveryReport.Verdict
        switch result.verdict {
        case .delivered: verdict = .delivered
        case .deferred: verdict = .pending
        case .bounced: verdict = .bounced
        case .failed: verdict = .failed
        case .expired: verdict = .expired
        case .unknown:
            self = .orphan(reason: "the result does not say what became of the message")
            return
        }
        let last = result.attempts.last?.index
        self = .report(
            DeliveryReport(
                message: message, vault: vault, handOver: reference.handover,
                attempts: result.attempts.map { attempt in
                    Self.attempt(attempt, next: attempt.index == last ? result.nextAttempt : nil)
                },
                verdict: verdict))
    }

    private static func attempt(_ attempt: MailerQAttempt, next: MailerQTime?) -> DeliveryReport.Attempt {
        var writer = JSONWriter(capacity: 512)
        writer.object { writer in
            if let reply = attempt.description { writer.member("reply", reply) }
            if let code = attempt.code { writer.member("code", code) }
            if let status = attempt.status { writer.member("enhanced_code", status) }
            writer.member("stage", attempt.state.rawValue)
            writer.member("result", attempt.outcome.rawValue)
            if let peer = attempt.mta { writer.member("peer", peer) }
            if let address = attempt.remoteIP { writer.member("remote_ip", address) }
            if let address = attempt.localIP { writer.member("local_ip", address) }
            if let cipher = attempt.cipher { writer.member("tls", cipher) }
            if let isVerified = attempt.isVerified { writer.member("certificate_verified", isVerified) }
            if let time = attempt.time { writer.member("attempted_at", Timestamp(time).description) }
            if let next { writer.member("next_attempt_at", Timestamp(next).description) }
        }
        return DeliveryReport.Attempt(
            number: attempt.index, at: attempt.time.map(Timestamp.init), code: attempt.code,
            enhancedCode: attempt.status, reply: attempt.description.map(Foreign.init),
            detail: Foreign(writer.text))
    }
}

extension Timestamp {
    fileprivate init(_ time: MailerQTime) { self.init(milliseconds: time.unixSeconds * 1000) }
}
