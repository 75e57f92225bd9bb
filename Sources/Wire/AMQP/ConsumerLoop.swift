// The consumer's thread: connect, consume, hand over what has arrived, settle what is answered, keep heartbeats going.

internal import Logging

/// Belongs to its thread.
final class ConsumerLoop {
    private struct Running {
        let tags: [UInt64]
        /// The connection that the tags belong to: those of an earlier one are never settled.
        let epoch: Int
    }

    private let configuration: AMQPConfiguration
    private let queue: String
    private let prefetch: Int
    private let logger: Logger
    private let control: AMQPControl
    private let desk: ConsumerDesk
    private var dialer: AMQPDialer
    private var epoch = 0
    /// Arrived on this connection and not yet handed over.
    private var pending: [AMQPRawDelivery] = []
    /// The batch in the handler's hands, which may outlive its connection.
    private var running: Running?
    /// Batches of which all was requeued, one after the other.
    private var fruitless = 0
    private var restUntil = ContinuousClock.now

    init(
        _ configuration: AMQPConfiguration, queue: String, prefetch: Int, _ logger: Logger, _ control: AMQPControl,
        _ desk: ConsumerDesk
    ) {
        self.configuration = configuration
        self.queue = queue
        self.prefetch = prefetch
        self.logger = logger
        self.control = control
        self.desk = desk
        self.dialer = AMQPDialer(configuration)
    }

    func run() {
        while !control.isStopping {
            let start = ContinuousClock.now
            var isUp = false
            do throws(AMQPError) {
                let link = try dialer.dial(control)
                defer { control.closed() }
                epoch += 1
                pending = []
                try link.consume(queue, prefetch: prefetch)
                isUp = true
                logger.info("consuming", metadata: ["queue": "\(queue)", "broker": "\(link.server)"])
                control.set(.connected(server: link.server))
                try serve(link)
                link.close()
            } catch {
                guard error.code != .stopped else { break }
                // Without the queue the next broker of the cluster knows no better.
                if isUp, error.code == .connectionLost { dialer.lost() }
                logger.warning(
                    "no connection for consuming", metadata: ["queue": "\(queue)", "reason": "\(error.message)"])
                control.set(.connecting(lastError: error.message))
                pending = []
                epoch += 1
                pause(dialer.pause(lasted: isUp ? ContinuousClock.now - start : nil))
            }
        }
        control.end()
    }

    private func pause(_ duration: Duration) {
        let end = ContinuousClock.now + duration
        while !control.isStopping, ContinuousClock.now < end {
            control.wait(for: nil, atMost: end - ContinuousClock.now)
            forgetStale()
        }
    }

    /// The answer to a batch whose connection is gone: the broker hands those messages out again.
    private func forgetStale() {
        if let running, running.epoch != epoch, desk.takeAnswer() != nil { self.running = nil }
    }

    // MARK: - One connection

    private func serve(_ link: AMQPLink) throws(AMQPError) {
        var stopBy: ContinuousClock.Instant?
        // Heartbeats are sent and missed ones noticed inside `nextFrame`: look in at least this often.
        let rhythm: Duration = link.heartbeat == 0 ? .seconds(10) : .milliseconds(link.heartbeat * 1000 / 4)
        while true {
            try read(link)
            forgetStale()
            try settle(link)
            let now = ContinuousClock.now
            var patience = rhythm
            if control.isStopping {
                if stopBy == nil {
                    stopBy = now + configuration.stopTimeout
                    try link.cancelConsumer()
                }
                pending = []
                guard let limit = stopBy, now < limit, running?.epoch == epoch else { return }
                patience = min(patience, limit - now)
            } else if running == nil, !pending.isEmpty {
                if now >= restUntil { handOver() } else { patience = min(patience, restUntil - now) }
            }
            if link.hasFramesInside { continue }
            control.wait(for: link.socket, atMost: patience)
        }
    }

    private func read(_ link: AMQPLink) throws(AMQPError) {
        while let frame = try link.nextFrame() {
            switch frame {
            case .delivery(let delivery):
                pending.append(delivery)
            case .consumerCancelled:
                throw AMQPError(.notFound, "the broker ended the consumer of the queue '\(queue)': is it deleted?")
            case .channelClosed(let error), .connectionClosed(let error):
                throw error
            case .ack, .nack, .returned, .blocked, .unblocked, .other:
                break
            }
        }
    }

    private func handOver() {
        var deliveries: [AMQPDelivery] = []
        var tags: [UInt64] = []
        var bytes = 0
        for raw in pending.prefix(configuration.limits.batchMessages) where bytes < configuration.limits.batchBytes {
            let delivery = raw.unpacked(queue: queue, limit: configuration.limits.unpackedBytes)
            bytes += delivery.body.count
            deliveries.append(delivery)
            tags.append(raw.tag)
        }
        pending.removeFirst(tags.count)
        running = Running(tags: tags, epoch: epoch)
        desk.handle(deliveries) { [control] in control.ring() }
    }

    private func settle(_ link: AMQPLink) throws(AMQPError) {
        guard let running, running.epoch == epoch, var dispositions = desk.takeAnswer() else { return }
        self.running = nil
        if dispositions.count != running.tags.count {
            logger.error("the handler's answer does not fit its batch; requeued", metadata: ["queue": "\(queue)"])
            dispositions = Array(repeating: .requeue, count: running.tags.count)
        }
        for settlement in Settlement.plan(running.tags, dispositions) { try link.settle(settlement) }
        rest(after: dispositions)
    }

    /// Requeued messages come back at once; without a rest they would go round as fast as the machine can.
    private func rest(after dispositions: [AMQPDisposition]) {
        guard dispositions.contains(.requeue) else {
            fruitless = 0
            return
        }
        fruitless = dispositions.allSatisfy { $0 == .requeue } ? fruitless + 1 : 1
        restUntil = .now + min(.milliseconds(50) * (1 << min(fruitless - 1, 10)), .seconds(5))
    }
}
