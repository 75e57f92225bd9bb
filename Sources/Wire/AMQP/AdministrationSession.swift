// The administration's connection and what is taken over it. A closed channel is opened again by the next call.

/// Belongs to the administration's thread.
final class AdministrationSession {
    private let configuration: AMQPConfiguration
    private let control: AMQPControl
    private var dialer: AMQPDialer
    private var current: AMQPLink?
    /// The broker closed the channel; what was taken on it is back in its queue.
    private var isChannelClosed = false
    /// Counts channels: tags of another one are stale.
    private var epoch = 0
    private var taken: Set<UInt64> = []
    private var takenUntil = ContinuousClock.now

    init(_ configuration: AMQPConfiguration, _ control: AMQPControl) {
        self.configuration = configuration
        self.control = control
        self.dialer = AMQPDialer(configuration)
    }

    var socket: Int32? { current?.socket }

    /// The connection with an open channel.
    func link() throws(AMQPError) -> AMQPLink {
        reading()
        if let current {
            if isChannelClosed {
                try current.openChannel()
                isChannelClosed = false
            }
            return current
        }
        let link = try dialer.dial(control)
        current = link
        isChannelClosed = false
        epoch += 1
        control.set(.connected(server: link.server))
        return link
    }

    /// After a call that threw.
    func failed(_ error: AMQPError) {
        switch error.code {
        case .notFound, .precondition, .refused, .channelClosed:
            // Of the connection itself only `refused` speaks, and then there is none.
            guard current != nil else { return drop(error) }
            channelGone()
        case .connectionLost, .timedOut, .unreachable, .tls:
            drop(error)
        case .configuration, .overloaded, .stopped, .stale:
            break
        }
    }

    /// Between calls: heartbeats, closes, and what was held too long. Returns how long may be slept.
    func attend() -> Duration {
        do throws(AMQPError) {
            reading()
            guard let current else { return .seconds(60) }
            if !taken.isEmpty, ContinuousClock.now >= takenUntil {
                try current.closeChannel()
                channelGone()
            }
            let rhythm: Duration = current.heartbeat == 0 ? .seconds(10) : .milliseconds(current.heartbeat * 1000 / 4)
            return taken.isEmpty ? rhythm : min(rhythm, takenUntil - .now)
        } catch {
            failed(error)
            return .seconds(60)
        }
    }

    func close() {
        current?.close()
        forget()
    }

    // MARK: - Taking

    func take(queue: String, limit: Int) throws(AMQPError) -> [AMQPTaken] {
        let link = try link()
        var result: [AMQPTaken] = []
        var bytes = 0
        while result.count < limit, bytes < configuration.limits.batchBytes, let raw = try link.get(queue) {
            let delivery = raw.unpacked(queue: queue, limit: configuration.limits.unpackedBytes)
            bytes += delivery.body.count
            taken.insert(raw.tag)
            result.append(AMQPTaken(tag: .init(epoch: epoch, number: raw.tag), delivery: delivery))
        }
        takenUntil = .now + configuration.limits.takenTimeout
        return result
    }

    func settle(_ settlements: [(AMQPTaken.Tag, AMQPDisposition)]) throws(AMQPError) {
        reading()
        guard let current, settlements.allSatisfy({ $0.0.epoch == epoch && taken.contains($0.0.number) }) else {
            throw AMQPError(.stale, "the broker has put these messages back; take them again")
        }
        for (tag, disposition) in settlements {
            // A message named twice is settled once: the broker closes the channel over a second time.
            guard taken.remove(tag.number) != nil else { continue }
            try current.settle(Settlement(tag: tag.number, multiple: false, disposition: disposition))
        }
        // Settling has no answer of its own; what follows on the channel is answered after it.
        try current.roundTrip()
        takenUntil = .now + configuration.limits.takenTimeout
    }

    // MARK: - The connection

    /// Answers what the broker has sent in the meantime.
    private func reading() {
        guard let current else { return }
        do throws(AMQPError) {
            while let frame = try current.nextFrame() {
                switch frame {
                case .channelClosed: channelGone()
                case .connectionClosed(let error): throw error
                case .ack, .nack, .returned, .delivery, .consumerCancelled, .blocked, .unblocked, .other: break
                }
            }
        } catch {
            drop(error)
        }
    }

    private func channelGone() {
        isChannelClosed = true
        epoch += 1
        taken = []
    }

    private func drop(_ error: AMQPError) {
        control.set(.connecting(lastError: error.message))
        if current != nil { dialer.lost() }
        forget()
    }

    private func forget() {
        current = nil
        control.closed()
        epoch += 1
        taken = []
    }
}
