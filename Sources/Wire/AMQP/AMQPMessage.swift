// What is published, and what became of it.

/// A message for an exchange. It is always persistent and always mandatory.
package struct AMQPMessage: Sendable {
    /// `""` is the default exchange, whose routing keys are queue names.
    package var exchange: String
    package var routingKey: String
    package var body: [UInt8]
    package var contentType = "application/json"
    package var contentEncoding: String?
    package var messageID: String?
    package var correlationID: String?
    package var priority: UInt8?
    package var headers: [(String, String)] = []

    package init(exchange: String = "", routingKey: String, body: [UInt8]) {
        self.exchange = exchange
        self.routingKey = routingKey
        self.body = body
    }
}

/// What became of one message.
package enum AMQPPublishOutcome: Sendable, Equatable {
    /// The broker has it in all queues it belongs to, on disk.
    case confirmed
    /// No queue takes it (312 NO_ROUTE).
    case returned(code: Int, text: String)
    /// The broker's nack, the channel closed because of it (404, 403, 406), or no AMQP frame can hold it.
    case refused(String)
    /// Never handed to the broker, or discarded by it unread: no connection, blocked, shutting down.
    case unavailable(String)
    /// Written, then the connection was lost or the confirm did not come in time.
    case inDoubt(String)
}

/// How many messages came to which outcome since the start.
package struct AMQPPublisherCounters: Sendable, Equatable {
    /// Handed to `publish`.
    package var published = 0
    package var confirmed = 0
    package var returned = 0
    package var refused = 0
    package var unavailable = 0
    package var inDoubt = 0

    package init() {}

    mutating func count(_ outcome: AMQPPublishOutcome) {
        switch outcome {
        case .confirmed: confirmed += 1
        case .returned: returned += 1
        case .refused: refused += 1
        case .unavailable: unavailable += 1
        case .inDoubt: inDoubt += 1
        }
    }
}
