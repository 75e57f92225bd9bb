// One mail transaction (RFC 5321 §3.3) as a machine of its own: MAIL, RCPT…, DATA, pipelined or one by one (RFC 2920).

import NIOCore
import SMTP

struct SMTPClientTransaction: Sendable {
    /// Everything that is sent, checked beforehand.
    struct Envelope: Sendable {
        var sender: SMTPPath
        var senderParameters: [SMTPParameter] = []
        var recipients: [(path: SMTPPath, parameters: [SMTPParameter])]
    }

    enum Action: Hashable {
        /// More replies are due.
        case wait
        /// Commands for one flush.
        case send([SMTPClientCommand])
        /// 354 and somebody to deliver to.
        case sendContent
        /// Every recipient has its status; the session goes on.
        case finished
        /// The peer said something that leaves the session in an unknown state, or 421: hang up.
        case finishedAndClose
        /// The peer spoke out of turn. The recipients without a status have none yet.
        case violation(String)
    }

    private enum Step: Hashable {
        case rset, mail, rcpt(Int), data
    }

    private enum Phase: Hashable {
        case envelope
        case content
        /// The final dot is out; `empty`: it ended an empty message that nobody was to get.
        case finalReply(empty: Bool)
    }

    private enum Progress: Hashable {
        case undecided
        case accepted
        case decided(SMTPRecipientStatus)
    }

    private let envelope: Envelope
    private let isPipelined: Bool
    private let steps: [Step]
    private var sent = 0
    private var answered = 0
    private var phase = Phase.envelope
    private var mailAccepted = false
    private var progress: [Progress]

    /// MAIL has been answered, one way or another: from here on another connection would not be a mere retry.
    private(set) var mailAnswered = false
    /// The peer holds a transaction that RSET has to clear before the next MAIL.
    private(set) var needsReset = false

    /// - Parameter resetFirst: an earlier transaction was left open.
    init(_ envelope: Envelope, isPipelined: Bool, resetFirst: Bool) {
        precondition(!envelope.recipients.isEmpty, "a transaction has at least one recipient")
        self.envelope = envelope
        self.isPipelined = isPipelined
        steps = (resetFirst ? [.rset] : []) + [.mail] + envelope.recipients.indices.map { .rcpt($0) } + [.data]
        progress = Array(repeating: .undecided, count: envelope.recipients.count)
    }

    /// What is waited for now.
    var stage: SMTPStage {
        switch phase {
        case .envelope:
            switch steps[min(answered, steps.count - 1)] {
            case .rset, .mail: .mail
            case .rcpt: .rcpt
            case .data: .data
            }
        case .content: .data
        case .finalReply: .dot
        }
    }

    /// The final dot is out for a message that somebody was to get.
    var mayHaveBeenDelivered: Bool { phase == .finalReply(empty: false) }

    /// Between 354 and the final dot.
    var isSendingContent: Bool { phase == .content }

    /// Once finished, in the order of the envelope's recipients.
    var decidedStatuses: [SMTPRecipientStatus] {
        progress.map { progress in
            guard case .decided(let status) = progress else {
                preconditionFailure("a finished transaction has decided on every recipient")
            }
            return status
        }
    }

    /// In the order of the envelope's recipients, whoever has none yet getting `remaining`.
    func statuses(remaining: SMTPRecipientStatus) -> [SMTPRecipientStatus] {
        progress.map { progress in
            switch progress {
            case .undecided, .accepted: remaining
            case .decided(let status): status
            }
        }
    }

    mutating func start() -> [SMTPClientCommand] {
        precondition(sent == 0, "a transaction starts once")
        return nextCommands()
    }

    mutating func contentWritten() {
        precondition(phase == .content, "content is written after 354")
        phase = .finalReply(empty: false)
    }

    mutating func replyReceived(_ reply: SMTPReply) -> Action {
        // RFC 5321 §3.8: the peer is about to close, whatever was asked.
        if reply.code == 421 {
            decideRemaining(.transient(SMTPFailure(reply, stage: stage)))
            return .finishedAndClose
        }
        switch phase {
        case .envelope: return envelopeReply(reply)
        case .content:
            // A peer that refuses in the middle of the message leaves us out of step: no dot, no next command.
            guard reply.code >= 400 else { return .violation("a reply of \(reply.code) before the message had ended") }
            decideRemaining(SMTPRecipientStatus(refusedBy: reply, stage: .data))
            return .finishedAndClose
        case .finalReply(let empty): return finalReply(reply, empty: empty)
        }
    }
}

extension SMTPClientTransaction {
    private mutating func envelopeReply(_ reply: SMTPReply) -> Action {
        guard answered < sent else { return .violation("a reply of \(reply.code) to no command") }
        let step = steps[answered]
        let isGoAhead = (300..<400).contains(reply.code)
        guard !isGoAhead || step == .data else {
            return .violation("a reply of \(reply.code) to a command that takes no text")
        }
        guard step != .rset || reply.isPositive else { return .violation("a refusal of RSET: \(reply.text)") }
        answered += 1

        switch step {
        case .rset: break
        case .mail:
            mailAnswered = true
            mailAccepted = reply.isPositive
            if !mailAccepted { decideRemaining(SMTPRecipientStatus(refusedBy: reply, stage: .mail)) }
        case .rcpt(let index):
            // After a refused MAIL the refusals of RCPT only follow from it.
            guard mailAccepted else { break }
            progress[index] =
                reply.isPositive ? .accepted : .decided(SMTPRecipientStatus(refusedBy: reply, stage: .rcpt))
        case .data:
            if isGoAhead {
                guard hasAccepted else {
                    // RFC 2920 §3.1: there is no way back but an empty message, which the peer should refuse.
                    phase = .finalReply(empty: true)
                    return .send([.endOfData])
                }
                phase = .content
                return .sendContent
            }
            guard !reply.isPositive else { return .violation("a reply of \(reply.code) to DATA") }
            decideRemaining(SMTPRecipientStatus(refusedBy: reply, stage: .data))
            return finish()
        }

        if answered < sent { return .wait }
        // One by one: nothing more is said once nobody is left to deliver to.
        guard hasAccepted || progress.contains(.undecided) else { return finish() }
        return .send(nextCommands())
    }

    private mutating func finalReply(_ reply: SMTPReply, empty: Bool) -> Action {
        guard reply.code < 300 || reply.code >= 400 else {
            return .violation("a reply of \(reply.code) to the end of the message")
        }
        mailAccepted = false
        if !empty {
            decideRemaining(
                reply.isPositive ? .delivered(reply) : SMTPRecipientStatus(refusedBy: reply, stage: .dot)
            )
        }
        return finish()
    }

    private mutating func finish() -> Action {
        needsReset = mailAccepted
        return .finished
    }

    private var hasAccepted: Bool { progress.contains(.accepted) }

    private mutating func decideRemaining(_ status: SMTPRecipientStatus) {
        progress = statuses(remaining: status).map { .decided($0) }
    }

    private mutating func nextCommands() -> [SMTPClientCommand] {
        let end = isPipelined ? steps.count : sent + 1
        defer { sent = end }
        return steps[sent..<end].map(command)
    }

    private func command(_ step: Step) -> SMTPClientCommand {
        switch step {
        case .rset: .rset
        case .mail: .mail(envelope.sender, envelope.senderParameters)
        case .rcpt(let index): .rcpt(envelope.recipients[index].path, envelope.recipients[index].parameters)
        case .data: .data
        }
    }
}
