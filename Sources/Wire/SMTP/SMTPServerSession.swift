// One SMTP session without its socket: bytes in, steps out. It joins framing, grammar and machine, so that the NIO
// handler, the tests and the fuzzer all drive the very same thing.

package import NIOCore

package struct SMTPServerSession: Sendable {
    /// What the owner of the connection has to do next.
    package enum Step: Sendable {
        /// Everything received is used up: flush the replies and read more.
        case read
        /// Flush the replies and read nothing until the last step was answered.
        case wait
        case reply(SMTPReply)
        /// Answer with `credentialsJudged`.
        case judgeCredentials(SMTPAuthentication)
        /// Answer with `senderJudged`.
        case judgeSender(SMTPReversePath)
        /// Answer with `recipientJudged`.
        case judgeRecipient(SMTPRecipient, SMTPTransaction)
        /// Answer with `messageAnswered`.
        case store(SMTPTransaction, ByteBuffer)
        /// Send the reply in clear and begin the handshake, then `tlsEstablished`; or call `tlsUnavailable` instead.
        case startTLS(SMTPReply)
        /// Send the replies and hang up. The last step of all.
        case close([SMTPReply], SMTPCloseReason)
    }

    private var machine: SMTPServerMachine
    private var input = SMTPInput()
    private var body = Body.none
    private var inputHasEnded = false

    /// The message that is coming in.
    private enum Body: Sendable {
        case none
        case data(SMTPDataDecoder)
        case chunks(SMTPChunkCollector, size: Int)
    }

    /// - Parameters:
    ///   - implicitTLS: The handshake comes before everything else: `tlsEstablished`, then `greet`.
    ///   - now: When the connection was made.
    package init(settings: SMTPServerSettings, implicitTLS: Bool, now: NIODeadline) {
        machine = SMTPServerMachine(settings: settings, implicitTLS: implicitTLS, now: now)
    }

    package var hello: String? { machine.hello }
    package var isESMTP: Bool { machine.isESMTP }
    package var isTLS: Bool { machine.isTLS }
    package var isClosed: Bool { machine.isClosed }
    /// When to call `deadlineReached`; `nil` while the client is not to blame for the time that passes.
    package var deadline: NIODeadline? { machine.deadline }
    package var allowsUTF8Replies: Bool { machine.allowsUTF8Replies }

    // MARK: Events

    /// Bytes came in. Call `next` until it says `read` or `wait`.
    package mutating func receive(_ bytes: ByteBuffer, now: NIODeadline) {
        guard !machine.isClosed else { return }
        machine.received(now: now)
        input.append(bytes)
    }

    /// The client will send no more. What it sent is still answered.
    package mutating func inputEnded() { inputHasEnded = true }

    /// The greeting delay is over.
    package mutating func greet(now: NIODeadline) -> Step {
        guard input.isEmpty else { return step(machine.spokeEarly()) }
        return step(machine.greet(now: now))
    }

    package mutating func credentialsJudged(refusal: SMTPReply?, now: NIODeadline) -> Step {
        step(machine.credentialsJudged(refusal: refusal, now: now))
    }

    package mutating func senderJudged(refusal: SMTPReply?, now: NIODeadline) -> Step {
        step(machine.senderJudged(refusal: refusal, now: now))
    }

    package mutating func recipientJudged(refusal: SMTPReply?, now: NIODeadline) -> Step {
        step(machine.recipientJudged(refusal: refusal, now: now))
    }

    package mutating func messageAnswered(_ reply: SMTPReply, now: NIODeadline) -> Step {
        step(machine.messageAnswered(reply, now: now))
    }

    package mutating func tlsEstablished(now: NIODeadline) {
        input.discardAll()
        machine.tlsEstablished(now: now)
    }

    package mutating func tlsUnavailable(now: NIODeadline) -> Step { step(machine.tlsUnavailable(now: now)) }

    package mutating func deadlineReached(now: NIODeadline) -> Step? {
        machine.deadlineReached(now: now).map { step($0) }
    }

    /// Drains the session; `nil` when a message has to be finished first.
    package mutating func shutDown() -> Step? { machine.shutDown().map { step($0) } }

    // MARK: Steps

    /// Works on what has been received, up to the next thing that the owner has to do.
    package mutating func next(now: NIODeadline) -> Step {
        while true {
            let action: SMTPServerMachine.Action?
            switch machine.expectation {
            case .nothing: return .wait
            case .line(let limit): action = readLine(limit: limit, now: now)
            case .data: action = readData(now: now)
            case .chunk(let isText, let isKept): action = readChunk(isText: isText, isKept: isKept, now: now)
            }
            guard let action else {
                guard !inputHasEnded else { return step(machine.inputEnded()) }
                return .read
            }
            guard case .receiveChunk(let size, let isFirst) = action else { return step(action) }
            beginChunk(size: size, isFirst: isFirst)
        }
    }

    private mutating func readLine(limit: Int, now: NIODeadline) -> SMTPServerMachine.Action? {
        switch input.readLine(limit: limit, discardLimit: machine.limits.discardedOctets) {
        case .incomplete:
            input.releaseMemory()
            return nil
        case .line(let line): return machine.lineReceived(line, now: now)
        case .tooLong: return machine.lineTooLong(now: now)
        case .malformed: return machine.malformedLine()
        case .flood: return machine.flooded()
        }
    }

    private mutating func readData(now: NIODeadline) -> SMTPServerMachine.Action? {
        guard case .data(var decoder) = body else { preconditionFailure("DATA begins with a decoder") }
        body = .none  // so that the message is not copied
        let progress = input.withBuffer { decoder.consume(&$0) }
        switch progress {
        case .malformed: return machine.malformedLine()
        case .flood: return machine.flooded()
        case .incomplete, .complete: body = .data(decoder)
        }
        return progress == .complete ? machine.dataReceived(fault: decoder.fault, now: now) : nil
    }

    private mutating func readChunk(isText: Bool, isKept: Bool, now: NIODeadline) -> SMTPServerMachine.Action? {
        guard case .chunks(var collector, let size) = body else { preconditionFailure("BDAT begins with a collector") }
        body = .none
        let progress = input.withBuffer { collector.consume(&$0, isText: isText, isKept: isKept) }
        switch progress {
        case .malformed: return machine.malformedLine()
        case .flood: return machine.flooded()
        case .incomplete, .complete: body = .chunks(collector, size: size)
        }
        guard progress == .complete else { return nil }
        return machine.chunkReceived(size: size, fault: collector.fault, isWhole: collector.isWhole, now: now)
    }

    /// Makes ready for the octets of a chunk.
    private mutating func beginChunk(size: Int, isFirst: Bool) {
        var collector = SMTPChunkCollector(machine.limits)
        if !isFirst, case .chunks(let begun, _) = body { collector = begun }
        body = .none
        collector.begin(size: size)
        body = .chunks(collector, size: size)
    }

    private mutating func takeMessage() -> ByteBuffer {
        defer { body = .none }
        switch body {
        case .none: preconditionFailure("a message is stored after it was received")
        case .data(let decoder): return decoder.message
        case .chunks(let collector, _): return collector.message
        }
    }

    /// Turns what the machine wants into what the owner has to do.
    private mutating func step(_ action: SMTPServerMachine.Action) -> Step {
        switch action {
        case .reply(let reply):
            if !machine.isBetweenChunks { body = .none }
            return .reply(reply)
        case .judgeCredentials(let attempt): return .judgeCredentials(attempt)
        case .judgeSender(let reversePath): return .judgeSender(reversePath)
        case .judgeRecipient(let recipient, let transaction): return .judgeRecipient(recipient, transaction)
        case .receiveData(let transaction, let reply):
            body = .data(SMTPDataDecoder(machine.limits, announcedSize: transaction.reversePath.size))
            return .reply(reply)
        case .receiveChunk: preconditionFailure("a chunk begins without a reply")
        case .store(let transaction):
            return .store(transaction, takeMessage())
        case .startTLS(let reply):
            guard input.isEmpty else { return step(machine.injectedBeforeTLS()) }
            return .startTLS(reply)
        case .close(let replies, let reason):
            input.discardAll()
            body = .none
            return .close(replies, reason)
        }
    }
}
