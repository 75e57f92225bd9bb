// What a result means for its message, decided in one place.

package enum MailerQVerdict: Hashable, Sendable {
    /// The remote server took it.
    case delivered
    /// MailerQ tries again by itself.
    case deferred(nextAttempt: MailerQTime?)
    /// The remote server refused it for good.
    case bounced
    /// It could not be sent from here, or nobody could be reached.
    case failed
    /// Its time ran out.
    case expired
    /// The result does not say.
    case unknown

    /// The last attempt decides where it is clear, and the queue decides the rest.
    ///
    /// - From the retry queue: deferred, whatever the reply was, for MailerQ has already scheduled the next attempt (its
    ///   response patterns can make any answer temporary). Only an accepted message is delivered from there as well.
    /// - Accepted in state message: delivered, from any queue.
    /// - process/timeout: expired.
    /// - All other stops inside MailerQ (process, suppression, storage, responsive, personalize, rewrite, dns, bind):
    ///   failed.
    /// - A refusal (5yz) in the conversation: bounced; but of our credentials at a smart host (auth…): failed.
    /// - What is left is a temporary answer, a broken connection, or nothing that we know. From the failure queue that is
    ///   final, because only what is not scheduled again goes there: bounced, if a response pattern made the answer
    ///   fatal; failed, if no connection came about or if the attempt says nothing; else expired, for MailerQ publishes
    ///   a temporary answer as a failure when the next attempt would come after `maxdelivertime`.
    /// - From the success queue the same is delivered if there is no attempt in the document, or none that we know
    ///   anything of: nothing but successes goes there. A known attempt that did not succeed contradicts its queue: unknown.
    package init(of last: MailerQAttempt?, from queue: MailerQResultQueue, nextAttempt: MailerQTime?) {
        if let last, last.outcome == .accepted, last.state == .message || last.state == .unknown {
            self = .delivered
        } else if queue == .retry {
            self = .deferred(nextAttempt: nextAttempt)
        } else if let clear = last.flatMap(Self.clear) {
            self = clear
        } else if queue == .failure {
            self = last.map(Self.givenUp) ?? .failed
        } else {
            let saysNothing = last.map { $0.state == .unknown && $0.outcome == .unknown && $0.code == nil } ?? true
            self = saysNothing ? .delivered : .unknown
        }
    }

    private static func clear(_ last: MailerQAttempt) -> MailerQVerdict? {
        switch last.state {
        case .process: last.outcome == .timeout ? .expired : .failed
        case .suppression, .storage, .responsive, .personalize, .rewrite, .dns, .bind: .failed
        case .authplain, .authlogin, .authusername, .authpassword, .authcram, .authresponse:
            last.isRefusal ? .failed : nil
        case .connect, .handshake, .intro, .ehlo, .helo, .starttls, .mailfrom, .rcptto, .data, .message, .idle,
            .unknown:
            last.isRefusal ? .bounced : nil
        }
    }

    private static func givenUp(_ last: MailerQAttempt) -> MailerQVerdict {
        if last.isFatal == true, last.code != nil { return .bounced }
        if last.state == .connect { return .failed }
        if last.state == .unknown, last.outcome == .unknown, last.code == nil { return .failed }
        return .expired
    }
}
