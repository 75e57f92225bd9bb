// What the broker sends on its own account, copied out of librabbitmq's memory.

enum AMQPFrame {
    case ack(tag: UInt64, multiple: Bool)
    case nack(tag: UInt64, multiple: Bool)
    /// `tag` is the number that we gave the message when writing it.
    case returned(tag: UInt64?, code: Int, text: String)
    case delivery(AMQPRawDelivery)
    /// The broker has ended our consumer, usually because the queue is gone.
    case consumerCancelled
    /// Already answered; the channel must be opened again.
    case channelClosed(AMQPError)
    /// Already answered; the connection is over.
    case connectionClosed(AMQPError)
    case blocked(reason: String)
    case unblocked
    case other
}

/// A delivery as it came, its body still packed.
struct AMQPRawDelivery: Sendable {
    var tag: UInt64
    var redelivered: Bool
    var body: [UInt8] = []
    var contentType: String?
    var contentEncoding: String?
    var messageID: String?
    var correlationID: String?
    var headers: [(String, String)] = []
    /// Our own header: which publish this is.
    var publishTag: UInt64?

    func unpacked(queue: String, limit: Int) -> AMQPDelivery {
        var body = body
        var isDamaged = false
        if let coding = contentEncoding?.lowercased(), coding == "gzip" || coding == "x-gzip" {
            if let plain = Gunzip.unpack(body, limit: limit) { body = plain } else { isDamaged = true }
        }
        return AMQPDelivery(
            queue: queue, body: body, contentType: contentType, messageID: messageID, correlationID: correlationID,
            redelivered: redelivered, headers: headers, isDamaged: isDamaged)
    }
}
