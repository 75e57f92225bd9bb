// How the broker is reached, how long is waited, how much may wait.

package struct AMQPConfiguration: Sendable {
    /// Brokers of one cluster, tried in order. At least one.
    package var endpoints: [AMQPEndpoint]
    /// Certificates that may have signed the broker's, PEM, beside Debian's bundle: librabbitmq looks nowhere itself.
    package var caFile: String?
    /// Seconds between heartbeats, lowered by what the broker suggests; 0 turns them off. Default 20.
    package var heartbeat = 20
    /// TCP, TLS and login of one try, each. Default 10 s.
    package var connectTimeout: Duration = .seconds(10)
    /// An answer to a call such as a declaration. Default 20 s; after it the connection is given up.
    package var rpcTimeout: Duration = .seconds(20)
    /// From writing a message to its confirm. Default 30 s; after it the connection is given up and made anew.
    /// Longer than the heartbeat: a broker that is only slow looks the same.
    package var confirmTimeout: Duration = .seconds(30)
    /// What a stop waits for: confirms that are due, the batch in the handler's hands. Default 10 s.
    package var stopTimeout: Duration = .seconds(10)
    /// The pause before trying again: doubled each time from the first to the last, with jitter. Default 200 ms.
    package var firstPause: Duration = .milliseconds(200)
    /// Default 15 s.
    package var lastPause: Duration = .seconds(15)
    /// What the broker's console shows.
    package var connectionName = "postern"
    package var limits = AMQPLimits()

    package init(endpoints: [AMQPEndpoint], caFile: String? = nil, connectionName: String = "postern") {
        precondition(!endpoints.isEmpty, "at least one broker")
        self.endpoints = endpoints
        self.caFile = caFile
        self.connectionName = connectionName
    }

    package static let defaultCAFile = "/etc/ssl/certs/ca-certificates.crt"
}

/// How much may wait, and how much is taken from the broker at once.
package struct AMQPLimits: Sendable {
    /// Messages written and not yet confirmed. Default 2,048.
    package var inFlightMessages = 2048
    /// Their bodies' bytes; one larger message is let through alone. Default 32 MiB.
    package var inFlightBytes = 32 << 20
    /// Messages handed to `publish` and not yet written. Default 20,000.
    package var waitingMessages = 20_000
    /// Their bodies' bytes. Default 64 MiB; a call that finds nothing waiting is always taken.
    package var waitingBytes = 64 << 20
    /// Deliveries handed to the handler at once. Default 256.
    package var batchMessages = 256
    /// Their bodies' bytes, unpacked; the last may exceed it. Default 32 MiB.
    package var batchBytes = 32 << 20
    /// A gzip body, unpacked. Default 64 MiB; a larger one is damaged.
    package var unpackedBytes = 64 << 20
    /// Calls of the administration that wait. Default 256.
    package var waitingCalls = 256
    /// How long taken messages are kept for their settling. Default 120 s; then the broker has them back.
    package var takenTimeout: Duration = .seconds(120)

    package init() {}
}
