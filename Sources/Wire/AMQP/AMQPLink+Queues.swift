// Declaring, looking, consuming, taking and settling.

internal import CRabbitMQ
internal import CRabbitMQShims

extension AMQPLink {
    /// nil when there is no such queue; the channel is then open again.
    func depth(of queue: String) throws(AMQPError) -> AMQPQueueDepth? {
        arena.reset()
        let answer = amqp_queue_declare(connection, channel, arena.bytes(queue), 1, 0, 0, 0, amqp_empty_table)
        do {
            try check(amqp_get_rpc_reply(connection), "looking at the queue '\(queue)'")
        } catch {
            guard error.code == .notFound else { throw error }
            try openChannel()
            return nil
        }
        guard let answer = answer?.pointee else { return nil }
        return AMQPQueueDepth(ready: Int(answer.message_count), consumers: Int(answer.consumer_count))
    }

    func declare(_ queue: AMQPQueueDeclaration) throws(AMQPError) {
        arena.reset()
        var arguments: [(String, AMQPField)] = [("x-queue-type", .text(queue.kind.rawValue))]
        if let deadLetter = queue.deadLetter {
            arguments.append(("x-dead-letter-exchange", .text(deadLetter.exchange)))
            arguments.append(("x-dead-letter-routing-key", .text(deadLetter.routingKey)))
        }
        if let priority = queue.maximumPriority, queue.kind == .classic {
            arguments.append(("x-max-priority", .number(Int64(priority))))
        }
        _ = amqp_queue_declare(connection, channel, arena.bytes(queue.name), 0, 1, 0, 0, arena.table(arguments))
        try check(amqp_get_rpc_reply(connection), "declaring the queue '\(queue.name)'")
    }

    /// Starts a consumer; its deliveries come as frames.
    func consume(_ queue: String, prefetch: Int) throws(AMQPError) {
        arena.reset()
        _ = amqp_basic_qos(connection, channel, 0, UInt16(clamping: prefetch), 0)
        try check(amqp_get_rpc_reply(connection), "setting the prefetch")
        _ = amqp_basic_consume(
            connection, channel, arena.bytes(queue), arena.bytes(Self.consumerTag), 0, 0, 0, amqp_empty_table)
        try check(amqp_get_rpc_reply(connection), "consuming from the queue '\(queue)'")
    }

    func cancelConsumer() throws(AMQPError) {
        arena.reset()
        _ = amqp_basic_cancel(connection, channel, arena.bytes(Self.consumerTag))
        try check(amqp_get_rpc_reply(connection), "ending the consumer")
    }

    /// One for each channel, and each channel has one consumer.
    private static var consumerTag: String { "postern" }

    /// The next message of a queue; nil when it is empty.
    func get(_ queue: String) throws(AMQPError) -> AMQPRawDelivery? {
        arena.reset()
        releaseBuffers()
        let reply = amqp_basic_get(connection, channel, arena.bytes(queue), 0)
        try check(reply, "taking from the queue '\(queue)'")
        guard reply.reply.id == postern_amqp_basic_get_ok, let decoded = reply.reply.decoded else { return nil }
        let ok = decoded.assumingMemoryBound(to: amqp_basic_get_ok_t.self).pointee
        return try readContent(AMQPRawDelivery(tag: ok.delivery_tag, redelivered: ok.redelivered != 0))
    }

    /// Returns when the broker has handled all that was sent on the channel.
    func roundTrip() throws(AMQPError) {
        _ = amqp_basic_qos(connection, channel, 0, 0, 0)
        try check(amqp_get_rpc_reply(connection), "settling")
    }

    func settle(_ settlement: Settlement) throws(AMQPError) {
        let multiple: amqp_boolean_t = settlement.multiple ? 1 : 0
        switch settlement.disposition {
        case .ack: try check(amqp_basic_ack(connection, channel, settlement.tag, multiple))
        // Not basic.reject: from RabbitMQ 4.3 a nack does not count towards the delivery limit.
        case .requeue: try check(amqp_basic_nack(connection, channel, settlement.tag, multiple, 1))
        case .reject: try check(amqp_basic_nack(connection, channel, settlement.tag, multiple, 0))
        }
    }
}
