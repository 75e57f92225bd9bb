// Writing one message. The number of its confirm goes along as a header, so that a return can be told from others.

internal import CRabbitMQ

extension AMQPLink {
    /// Blocks while the socket takes nothing, bounded by the confirm time-out; see `AMQPWait.isWritable`.
    func publish(_ message: AMQPMessage, tag: UInt64) throws(AMQPError) {
        arena.reset()
        var properties = amqp_basic_properties_t()
        var flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG
        properties.content_type = arena.bytes(message.contentType)
        properties.delivery_mode = UInt8(AMQP_DELIVERY_PERSISTENT.rawValue)
        if let encoding = message.contentEncoding {
            properties.content_encoding = arena.bytes(encoding)
            flags |= AMQP_BASIC_CONTENT_ENCODING_FLAG
        }
        if let identifier = message.messageID {
            properties.message_id = arena.bytes(identifier)
            flags |= AMQP_BASIC_MESSAGE_ID_FLAG
        }
        if let identifier = message.correlationID {
            properties.correlation_id = arena.bytes(identifier)
            flags |= AMQP_BASIC_CORRELATION_ID_FLAG
        }
        if let priority = message.priority {
            properties.priority = priority
            flags |= AMQP_BASIC_PRIORITY_FLAG
        }
        properties.headers = arena.table(message.headers, and: AMQPRawDelivery.publishHeader, Int64(bitPattern: tag))
        properties._flags = amqp_flags_t(flags)
        let exchange = arena.bytes(message.exchange)
        let routingKey = arena.bytes(message.routingKey)
        let status = message.body.withUnsafeBytes { body in
            let bytes = amqp_bytes_t(len: body.count, bytes: UnsafeMutableRawPointer(mutating: body.baseAddress))
            return amqp_basic_publish(connection, channel, exchange, routingKey, 1, 0, &properties, bytes)
        }
        try check(status)
    }
}

extension AMQPMessage {
    /// What librabbitmq would cut or half write: short strings hold 255 bytes, the properties one frame.
    func whyUnfit(headerRoom: Int) -> String? {
        if exchange.utf8.count > 255 { return "the exchange is longer than 255 bytes" }
        if routingKey.utf8.count > 255 { return "the routing key is longer than 255 bytes" }
        if contentType.utf8.count > 255 { return "the content type is longer than 255 bytes" }
        if let contentEncoding, contentEncoding.utf8.count > 255 {
            return "the content encoding is longer than 255 bytes"
        }
        if let messageID, messageID.utf8.count > 255 { return "the message id is longer than 255 bytes" }
        if let correlationID, correlationID.utf8.count > 255 { return "the correlation id is longer than 255 bytes" }
        var size = 0
        for (key, value) in headers {
            if key.utf8.count > 128 { return "a header's name is longer than 128 bytes" }
            if key == AMQPRawDelivery.publishHeader { return "the header \(key) is Postern's own" }
            size += key.utf8.count + value.utf8.count + 6
        }
        return size > headerRoom ? "the headers are larger than one frame" : nil
    }
}
