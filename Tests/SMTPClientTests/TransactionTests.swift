// MAIL, RCPT, DATA and the final dot in every combination of answers, pipelined and one by one.

import SMTP
import Testing

@testable import SMTPClient

private let ok = SMTPReply.reply(250, "ok")
private let go = SMTPReply.reply(354, "go")
private let later = SMTPReply.reply(451, "later")
private let never = SMTPReply.reply(550, "never")
private let closing = SMTPReply.reply(421, "closing")

private func path(_ text: String) throws -> SMTPPath { try #require(SMTPPath(text)) }

private func envelope(recipients count: Int) throws -> SMTPClientTransaction.Envelope {
    SMTPClientTransaction.Envelope(
        sender: try path("from@example.com"),
        recipients: try (0..<count).map { (try path("to\($0)@example.net"), []) }
    )
}

@Suite struct TransactionTests {
    /// A peer that answers each command as told, and a whole transaction against it.
    private struct Play {
        var mail: SMTPReply
        var rcpt: [SMTPReply]
        var data: SMTPReply
        var final: SMTPReply
        var isPipelined: Bool

        struct Outcome {
            var statuses: [SMTPRecipientStatus]
            var last: SMTPClientTransaction.Action
            var sent: [SMTPClientCommand] = []
            var sentContent = false
            var needsReset: Bool
        }

        func run() throws -> Outcome {
            var transaction = SMTPClientTransaction(
                try envelope(recipients: rcpt.count),
                isPipelined: isPipelined,
                resetFirst: false
            )
            var outcome = Outcome(statuses: [], last: .wait, needsReset: false)
            var unanswered = transaction.start()
            var recipients = rcpt.makeIterator()
            while true {
                outcome.sent += unanswered
                var replies: [SMTPReply] = []
                for command in unanswered {
                    switch command {
                    case .mail: replies.append(mail)
                    case .rcpt: replies.append(recipients.next() ?? ok)
                    case .data: replies.append(data)
                    case .endOfData: replies.append(final)
                    case .ehlo, .helo, .startTLS, .auth, .authResponse, .authCancel, .rset, .quit:
                        Issue.record("\(command) in a transaction")
                    }
                }
                unanswered = []
                for reply in replies {
                    var action = transaction.replyReceived(reply)
                    if action == .sendContent {
                        outcome.sentContent = true
                        transaction.contentWritten()
                        action = transaction.replyReceived(final)
                    }
                    switch action {
                    case .wait, .sendContent: break
                    case .send(let commands): unanswered = commands
                    case .finished, .finishedAndClose, .violation:
                        outcome.last = action
                        outcome.needsReset = transaction.needsReset
                        outcome.statuses = transaction.statuses(
                            remaining: .transient(SMTPFailure(.closedByPeer, stage: .dot))
                        )
                        return outcome
                    }
                }
                try #require(!unanswered.isEmpty, "the transaction waits for a reply that cannot come")
            }
        }
    }

    /// What RFC 5321 says the result must be, worked out the other way round: from the recipient's point of view.
    private func expected(_ play: Play, recipient: Int) -> (isDelivered: Bool, isPermanent: Bool) {
        var closed = false
        func verdict(_ reply: SMTPReply) -> (Bool, Bool)? {
            if reply.code == 421 { closed = true }
            return reply.code < 400 ? nil : (false, reply.code >= 500)
        }
        if let refused = verdict(play.mail) { return refused }
        for (index, reply) in play.rcpt.enumerated() {
            let refused = verdict(reply)
            if index == recipient, let refused { return refused }
            if closed { return (false, false) }
        }
        if let refused = verdict(play.data) { return refused }
        if let refused = verdict(play.final) { return refused }
        return (true, false)
    }

    @Test("every combination of answers comes to the verdict that each recipient must have", arguments: [true, false])
    func combinations(isPipelined: Bool) throws {
        let answers = [ok, later, never, closing]
        for mail in answers {
            for first in answers {
                for second in answers {
                    for data in [go, later, never, closing] {
                        for final in answers {
                            let play = Play(
                                mail: mail,
                                rcpt: [first, second],
                                data: data,
                                final: final,
                                isPipelined: isPipelined
                            )
                            let outcome = try play.run()
                            for recipient in 0..<2 {
                                let wanted = expected(play, recipient: recipient)
                                #expect(outcome.statuses[recipient].isDelivered == wanted.isDelivered, "\(play)")
                                #expect(outcome.statuses[recipient].isPermanent == wanted.isPermanent, "\(play)")
                            }
                            let anyAccepted = mail == ok && (first == ok || second == ok)
                            #expect(!outcome.sentContent || anyAccepted, "content for nobody: \(play)")
                            if outcome.last == .finished {
                                #expect(!outcome.needsReset || mail == ok, "\(play)")
                            }
                        }
                    }
                }
            }
        }
    }

    @Test("one by one, nothing is said beyond the first useless point")
    func stopsEarly() throws {
        let refusedMail = try Play(mail: never, rcpt: [ok], data: go, final: ok, isPipelined: false).run()
        #expect(refusedMail.sent.count == 1)
        #expect(!refusedMail.needsReset)
        let refusedAll = try Play(mail: ok, rcpt: [never, later], data: go, final: ok, isPipelined: false).run()
        #expect(refusedAll.sent.count == 3)
        #expect(refusedAll.needsReset)
    }

    @Test(
        "pipelined, a 354 for nobody is answered by the empty message, whatever comes of it",
        arguments: [ok, never, later]
    )
    func emptyMessage(final: SMTPReply) throws {
        for play in [
            Play(mail: ok, rcpt: [never], data: go, final: final, isPipelined: true),
            Play(mail: never, rcpt: [never], data: go, final: final, isPipelined: true),
            Play(mail: never, rcpt: [ok], data: go, final: final, isPipelined: true),
        ] {
            let outcome = try play.run()
            #expect(outcome.sent.last == .endOfData)
            #expect(!outcome.sentContent)
            #expect(outcome.last == .finished)
            #expect(!outcome.needsReset)
            #expect(outcome.statuses[0].failure?.reply == never)
        }
    }

    @Test("a refused DATA leaves a transaction to clear")
    func refusedData() throws {
        let outcome = try Play(mail: ok, rcpt: [ok], data: later, final: ok, isPipelined: true).run()
        #expect(outcome.last == .finished)
        #expect(outcome.needsReset)
    }

    @Test(
        "any 2yz and 3yz will do where one is due",
        arguments: [SMTPReply.reply(251, "x"), .reply(252, "x"), .reply(299, "x")]
    )
    func otherCodes(accepted: SMTPReply) throws {
        let play = Play(mail: accepted, rcpt: [accepted], data: .reply(399, "go"), final: accepted, isPipelined: true)
        #expect(try play.run().statuses == [.delivered(accepted)])
    }

    @Test("a positive reply of the wrong kind is a broken protocol, never a delivery")
    func wrongKind() throws {
        for play in [
            Play(mail: go, rcpt: [ok], data: go, final: ok, isPipelined: true),
            Play(mail: ok, rcpt: [go], data: go, final: ok, isPipelined: true),
            Play(mail: ok, rcpt: [ok], data: ok, final: ok, isPipelined: true),
            Play(mail: ok, rcpt: [ok], data: go, final: go, isPipelined: true),
        ] {
            for isPipelined in [true, false] {
                var play = play
                play.isPipelined = isPipelined
                let outcome = try play.run()
                guard case .violation = outcome.last else {
                    Issue.record("\(outcome.last)")
                    continue
                }
                #expect(outcome.statuses[0].isTransient)
            }
        }
    }

    @Test("552 to RCPT is too many recipients, 552 to the message is too big a message")
    func tooMany() throws {
        let full = SMTPReply(552, EnhancedCode(5, 5, 3), "too many")
        let rcpt = try Play(mail: ok, rcpt: [ok, full], data: go, final: ok, isPipelined: true).run()
        #expect(rcpt.statuses[0].isDelivered)
        #expect(rcpt.statuses[1].isTransient)
        let big = try Play(mail: ok, rcpt: [ok], data: go, final: full, isPipelined: true).run()
        #expect(big.statuses[0].isPermanent)
    }

    @Test("a demand for authentication does not bounce mail", arguments: [UInt16(530), 534, 535, 538])
    func configurationFaults(code: UInt16) throws {
        let reply = SMTPReply(code, EnhancedCode(5, 7, 0), "Authentication required")
        let outcome = try Play(mail: reply, rcpt: [ok], data: never, final: ok, isPipelined: true).run()
        #expect(outcome.statuses[0].isTransient)
        #expect(outcome.statuses[0].failure?.enhanced == EnhancedCode(4, 7, 0))
    }

    @Test("RSET comes first where the last transaction was left open, and must be accepted")
    func reset() throws {
        var transaction = SMTPClientTransaction(try envelope(recipients: 1), isPipelined: true, resetFirst: true)
        #expect(transaction.start().first == .rset)
        #expect(transaction.replyReceived(ok) == .wait)
        #expect(!transaction.mailAnswered)
        #expect(transaction.replyReceived(ok) == .wait)
        #expect(transaction.mailAnswered)

        var refused = SMTPClientTransaction(try envelope(recipients: 1), isPipelined: false, resetFirst: true)
        #expect(refused.start() == [.rset])
        guard case .violation = refused.replyReceived(never) else { return #expect(Bool(false)) }
    }

    @Test("only a lost reply to the final dot of a message for somebody is ambiguous")
    func ambiguity() throws {
        var transaction = SMTPClientTransaction(try envelope(recipients: 1), isPipelined: true, resetFirst: false)
        _ = transaction.start()
        #expect(!transaction.mayHaveBeenDelivered)
        _ = transaction.replyReceived(ok)
        _ = transaction.replyReceived(ok)
        #expect(transaction.replyReceived(go) == .sendContent)
        #expect(!transaction.mayHaveBeenDelivered)
        transaction.contentWritten()
        #expect(transaction.mayHaveBeenDelivered)
    }

    @Test("a refusal before the message has ended closes; an early yes is no delivery")
    func early() throws {
        for (reply, isRefusal) in [(never, true), (later, true), (ok, false), (go, false)] {
            var transaction = SMTPClientTransaction(try envelope(recipients: 1), isPipelined: true, resetFirst: false)
            _ = transaction.start()
            for reply in [ok, ok, go] { _ = transaction.replyReceived(reply) }
            let action = transaction.replyReceived(reply)
            if isRefusal {
                #expect(action == .finishedAndClose)
                #expect(transaction.decidedStatuses[0].failure?.reply == reply)
            } else {
                guard case .violation = action else { return #expect(Bool(false)) }
            }
        }
    }
}
