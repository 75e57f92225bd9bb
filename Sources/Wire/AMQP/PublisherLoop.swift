// The publisher's thread: connect, write, read confirms, sleep; and what becomes of messages when any of it fails.

internal import Logging

/// Belongs to its thread.
final class PublisherLoop {
    typealias Window = PublishWindow<(batch: PublishBatch, index: Int)>

    private let configuration: AMQPConfiguration
    private let logger: Logger
    private let control: AMQPControl
    private let queue: PublishQueue
    private var dialer: AMQPDialer
    private var window = Window()
    /// Taken from the queue, not yet wholly written.
    private var taken: [PublishBatch] = []
    private var isBlocked = false
    /// The socket is full: nothing is written before it takes bytes again.
    private var isFull = false
    /// Bytes written since the socket was last seen to take some.
    private var unchecked = 0

    init(_ configuration: AMQPConfiguration, _ logger: Logger, _ control: AMQPControl, _ queue: PublishQueue) {
        self.configuration = configuration
        self.logger = logger
        self.control = control
        self.queue = queue
        self.dialer = AMQPDialer(configuration)
    }

    func run() {
        while !control.isStopping {
            let start = ContinuousClock.now
            var isUp = false
            do throws(AMQPError) {
                let link = try dialer.dial(control)
                defer { control.closed() }
                try link.selectConfirms()
                isUp = true
                logger.info("publishing", metadata: ["broker": "\(link.server)"])
                control.set(.connected(server: link.server))
                try serve(link)
                link.close()
            } catch {
                guard error.code != .stopped else { break }
                if isUp { dialer.lost() }
                let lasted = isUp ? ContinuousClock.now - start : nil
                giveUp(error)
                pause(dialer.pause(lasted: lasted), error)
            }
        }
        settleLeft { _ in .inDoubt("shut down before the broker confirmed") }
        control.end()
        refuseTaken("shutting down")
        queue.refuseAll("shutting down")
    }

    private func giveUp(_ error: AMQPError) {
        logger.warning("no connection for publishing", metadata: ["reason": "\(error.message)"])
        control.set(.connecting(lastError: error.message))
        settleLeft { _ in .inDoubt(error.message) }
        refuseTaken(error.message)
        queue.refuseAll(error.message)
        isBlocked = false
        isFull = false
    }

    private func pause(_ duration: Duration, _ error: AMQPError) {
        let end = ContinuousClock.now + duration
        while !control.isStopping, ContinuousClock.now < end {
            control.wait(for: nil, atMost: end - ContinuousClock.now)
        }
    }

    private func refuseTaken(_ why: String) {
        for batch in taken { queue.refuse(batch, why) }
        taken = []
    }

    // MARK: - One connection

    private func serve(_ link: AMQPLink) throws(AMQPError) {
        var stopBy: ContinuousClock.Instant?
        // Heartbeats are sent and missed ones noticed inside `nextFrame`: look in at least this often.
        let rhythm: Duration = link.heartbeat == 0 ? .seconds(10) : .milliseconds(link.heartbeat * 1000 / 4)
        while true {
            try read(link)
            let now = ContinuousClock.now
            if control.isStopping {
                let limit = stopBy ?? now + configuration.stopTimeout
                stopBy = limit
                refuseTaken("shutting down")
                queue.refuseAll("shutting down")
                if window.isEmpty || now >= limit { return }
            } else if !isBlocked, try write(link, now) {
                continue
            }
            var patience = rhythm
            if let oldest = window.oldest {
                let due = oldest + configuration.confirmTimeout - now
                guard due > .zero else {
                    throw AMQPError(
                        .timedOut, "\(link.endpoint.address): no confirm within \(configuration.confirmTimeout)")
                }
                patience = min(patience, due)
            }
            if let stopBy { patience = min(patience, stopBy - now) }
            if link.hasFramesInside { continue }
            control.wait(for: link.socket, writable: isFull, atMost: patience)
            if isFull, AMQPControl.isWritable(link.socket) {
                isFull = false
                unchecked = 0
            }
        }
    }

    private func read(_ link: AMQPLink) throws(AMQPError) {
        while let frame = try link.nextFrame() {
            switch frame {
            case .ack(let tag, let multiple):
                settle(tag, multiple) { returned in
                    returned.map { .returned(code: $0.code, text: $0.text) } ?? .confirmed
                }
            case .nack(let tag, let multiple):
                settle(tag, multiple) { _ in .refused("the broker could not keep it (nack)") }
            case .returned(let tag?, let code, let text):
                window.noteReturn(tag, code: code, text: text)
            case .channelClosed(let error):
                channelClosed(error)
                try link.openChannel()
                try link.selectConfirms()
            case .connectionClosed(let error):
                throw error
            case .blocked(let reason):
                logger.warning("the broker takes no messages", metadata: ["reason": "\(reason)"])
                isBlocked = true
                control.set(.blocked(reason: reason))
                refuseTaken("the broker takes no messages: \(reason)")
                queue.refuseAll("the broker takes no messages: \(reason)")
            case .unblocked:
                logger.info("the broker takes messages again")
                isBlocked = false
                control.set(.connected(server: link.server))
            case .returned(nil, _, _), .delivery, .consumerCancelled, .other:
                break
            }
        }
    }

    /// Writes what the window and the socket take. True when it left off only to let confirms be read, so that the
    /// window does not run empty behind a long batch.
    private func write(_ link: AMQPLink, _ now: ContinuousClock.Instant) throws(AMQPError) -> Bool {
        let limits = configuration.limits
        var written = 0
        while !isFull {
            if taken.isEmpty { taken = queue.take(atMost: 16, orIdle: true) }
            guard let batch = taken.first else { return false }
            while batch.next < batch.messages.count {
                if written >= 128 * 1024 { return true }
                let index = batch.next
                let message = batch.messages[index]
                let size = message.body.count
                guard window.count < limits.inFlightMessages,
                    window.isEmpty || window.bytes + size <= limits.inFlightBytes
                else { return false }
                if let why = message.whyUnfit(headerRoom: link.headerRoom) {
                    batch.next += 1
                    queue.settle(batch, index, .refused(why))
                    continue
                }
                guard mayWrite(size, link) else { return false }
                let tag = window.nextTag
                window.append((batch, index), bytes: size, at: now)
                batch.next += 1
                try link.publish(message, tag: tag)
                written += size + 256
            }
            taken.removeFirst()
        }
        return false
    }

    /// A broker in alarm stops reading; a write would then hang in the library, and the word of the alarm go unread.
    private func mayWrite(_ size: Int, _ link: AMQPLink) -> Bool {
        if unchecked + size > 16 * 1024 {
            guard AMQPControl.isWritable(link.socket) else {
                isFull = true
                return false
            }
            unchecked = 0
        }
        unchecked += size + 256
        return true
    }

    // MARK: - Outcomes

    private func settle(_ tag: UInt64, _ multiple: Bool, _ outcome: (Window.Return?) -> AMQPPublishOutcome) {
        window.settle(tag, multiple: multiple) { entry in
            queue.settle(entry.token.batch, entry.token.index, outcome(entry.returned))
        }
    }

    private func settleLeft(_ outcome: (AMQPMessage) -> AMQPPublishOutcome) {
        for entry in window.removeAll() {
            let (batch, index) = entry.token
            let returned = entry.returned.map { AMQPPublishOutcome.returned(code: $0.code, text: $0.text) }
            queue.settle(batch, index, returned ?? outcome(batch.messages[index]))
        }
    }

    /// The broker handles a channel in order and discards what follows the message that it closed it for. Which one that
    /// was it tells only by the exchange's name: those before it may have been kept, those after it were not.
    private func channelClosed(_ error: AMQPError) {
        logger.warning("the broker closed the channel", metadata: ["reason": "\(error.message)"])
        let isOnlyOne = window.count == 1
        var isAfter = false
        settleLeft { message in
            if isOnlyOne || error.names(exchange: message.exchange) {
                isAfter = true
                return .refused(error.message)
            }
            let why = "the broker closed the channel for another message: \(error.message)"
            return isAfter ? .unavailable(why) : .inDoubt(why)
        }
    }
}

extension AMQPError {
    /// Whether the broker's text blames an exchange; it puts names in single quotes.
    fileprivate func names(exchange: String) -> Bool {
        guard code == .notFound || code == .refused else { return false }
        let quoted = exchange.isEmpty ? "'amq.default'" : "'\(exchange)'"
        return message.containsText("exchange \(quoted)")
            || exchange.isEmpty && message.containsText("exchange ''")
    }
}

extension String {
    fileprivate func containsText(_ text: String) -> Bool {
        let bytes = Array(utf8)
        let wanted = Array(text.utf8)
        guard bytes.count >= wanted.count else { return false }
        return (0...(bytes.count - wanted.count)).contains { bytes[$0...].starts(with: wanted) }
    }
}
