// What a queue handed out, and what shall become of it.

package struct AMQPDelivery: Sendable {
    package let queue: String
    /// Unpacked when its content-encoding is gzip; as it came when `isDamaged`.
    package let body: [UInt8]
    package let contentType: String?
    package let messageID: String?
    package let correlationID: String?
    /// Handed out before, and not settled.
    package let redelivered: Bool
    /// Text and number headers, in order; tables, arrays and bytes are left out.
    package let headers: [(String, String)]
    /// The gzip body is broken, or larger than the limit when unpacked.
    package let isDamaged: Bool

    package init(
        queue: String,
        body: [UInt8],
        contentType: String? = nil,
        messageID: String? = nil,
        correlationID: String? = nil,
        redelivered: Bool = false,
        headers: [(String, String)] = [],
        isDamaged: Bool = false
    ) {
        self.queue = queue
        self.body = body
        self.contentType = contentType
        self.messageID = messageID
        self.correlationID = correlationID
        self.redelivered = redelivered
        self.headers = headers
        self.isDamaged = isDamaged
    }
}

package enum AMQPDisposition: Sendable, Equatable {
    /// Done: the broker forgets it.
    case ack
    /// Unusable: to the dead-letter exchange where there is one, else dropped.
    case reject
    /// Not now: back to the queue, and handed out again.
    case requeue
}
