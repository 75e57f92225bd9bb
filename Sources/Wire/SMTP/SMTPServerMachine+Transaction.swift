// The mail transaction: MAIL, RCPT, DATA and BDAT, up to the reply that makes a message ours (RFC 5321 §3.3).

package import NIOCore

extension SMTPServerMachine {
    mutating func mail(_ reversePath: SMTPReversePath) -> Action {
        guard hello != nil else { return refuse(.sayHelloFirst) }
        guard case .idle = state else { return refuse(.nestedMail) }
        if settings.requiresAuthentication && !isAuthenticated {
            return refuse(settings.authentication == .underTLS && !isTLS ? .tlsRequired : .authenticationRequired)
        }
        if messages >= limits.messages { return close([.sessionSpent], .sessionSpent) }
        if reversePath.body == .binaryMIME && !settings.offersBinaryMIME { return refuse(.binaryNotOffered) }
        // RFC 1870 §6.1: what is known to be too large need not be sent at all.
        if let size = reversePath.size, size > limits.messageSize { return refuse(.tooLarge(limits.messageSize)) }
        state = .judgingSender(reversePath)
        return .judgeSender(reversePath)
    }

    /// The delegate has judged the sender.
    package mutating func senderJudged(refusal: SMTPReply?, now: NIODeadline) -> Action {
        guard case .judgingSender(let reversePath) = state else { preconditionFailure("no sender is being judged") }
        if let refusal {
            wait(in: .idle, now: now)
            return judged(refusal)
        }
        unauthenticatedCommands = 0
        let transaction = SMTPTransaction(
            reversePath: reversePath,
            protocolName: SMTPTransaction.protocolName(
                isESMTP: isESMTP,
                usesUTF8: reversePath.smtputf8,
                isTLS: isTLS,
                isAuthenticated: isAuthenticated
            )
        )
        wait(in: .envelope(transaction), now: now)
        return .reply(.senderOK)
    }

    mutating func recipient(_ recipient: SMTPRecipient) -> Action {
        if case .betweenChunks = state { return refuse(.chunksBegun) }
        guard case .envelope(let transaction) = state else { return refuse(.needMail) }
        guard transaction.recipients.count < limits.recipients else { return answer(.tooManyRecipients) }
        guard transaction.usedSMTPUTF8 || recipient.isASCII else { return refuse(.needsSMTPUTF8) }
        state = .judgingRecipient(recipient, transaction)
        return .judgeRecipient(recipient, transaction)
    }

    /// The delegate has judged the recipient.
    package mutating func recipientJudged(refusal: SMTPReply?, now: NIODeadline) -> Action {
        guard case .judgingRecipient(let recipient, var transaction) = state else {
            preconditionFailure("no recipient is being judged")
        }
        // Without this the array would be copied for each recipient.
        state = .idle
        guard let refusal else {
            transaction.recipients.append(recipient)
            wait(in: .envelope(transaction), now: now)
            return .reply(.recipientOK)
        }
        wait(in: .envelope(transaction), now: now)
        return judged(refusal)
    }

    /// The delegate's refusals count as errors as long as we do not know whose they are.
    private mutating func judged(_ refusal: SMTPReply) -> Action {
        precondition(refusal.code >= 400, "a refusal has a code of 400 or more")
        return isAuthenticated ? answer(refusal) : refuse(refusal)
    }

    mutating func data() -> Action {
        if case .betweenChunks = state { return refuse(.chunksBegun) }
        guard case .envelope(let transaction) = state else { return refuse(.needMail) }
        guard !transaction.recipients.isEmpty else { return refuse(.needRecipient) }
        guard transaction.reversePath.body != .binaryMIME else { return refuse(.binaryNeedsChunks) }
        state = .data(transaction)
        return .receiveData(transaction, .startData)
    }

    /// The end of DATA was read.
    package mutating func dataReceived(fault: SMTPMessageFault?, now: NIODeadline) -> Action {
        guard case .data(let transaction) = state else { preconditionFailure("no data is being received") }
        return finish(transaction, fault: fault, now: now)
    }

    /// RFC 3030 §2. The octets come whatever we say of the command, so they are always read.
    mutating func chunk(size: Int, isLast: Bool) -> Action {
        if case .betweenChunks(let transaction) = state {
            state = .chunk(transaction, isLast: isLast)
            return .receiveChunk(size: size, isFirst: false)
        }
        if case .envelope(let transaction) = state, !transaction.recipients.isEmpty {
            state = .chunk(transaction, isLast: isLast)
        } else {
            state = .refusedChunk(.chunkWithoutTransaction)
        }
        return .receiveChunk(size: size, isFirst: true)
    }

    /// All octets of a chunk were read.
    package mutating func chunkReceived(size: Int, fault: SMTPMessageFault?, isWhole: Bool, now: NIODeadline) -> Action
    {
        if case .refusedChunk(let reply) = state {
            wait(in: .idle, now: now)
            return refuse(reply)
        }
        guard case .chunk(let transaction, let isLast) = state else {
            preconditionFailure("no chunk is being received")
        }
        guard isLast || fault != nil else {
            wait(in: .betweenChunks(transaction), now: now)
            return .reply(SMTPReply(250, .success, "\(size) octets received"))
        }
        guard isWhole || fault != nil else { return malformedLine() }
        return finish(transaction, fault: fault, now: now)
    }

    private mutating func finish(_ transaction: SMTPTransaction, fault: SMTPMessageFault?, now: NIODeadline) -> Action {
        if let fault {
            wait(in: .idle, now: now)
            return refuse(fault.reply)
        }
        state = .storing
        return .store(transaction)
    }

    /// The delegate has stored the message, or said why not.
    package mutating func messageAnswered(_ reply: SMTPReply, now: NIODeadline) -> Action {
        guard case .storing = state else { preconditionFailure("no message is being stored") }
        messages += 1
        wait(in: .idle, now: now)
        return answer(reply)
    }
}

extension SMTPRecipient {
    fileprivate var isASCII: Bool {
        address.utf8.allSatisfy(\.isASCII) && orcpt?.utf8.allSatisfy(\.isASCII) ?? true
    }
}
