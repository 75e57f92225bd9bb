// One connection to one broker with one channel in use, over librabbitmq. It belongs to the thread that made it.

internal import CRabbitMQ
internal import CRabbitMQShims

#if canImport(Glibc)
internal import Glibc
#endif

/// Owns librabbitmq's handle. After any method has thrown `connectionLost` or `timedOut` it is only good for `deinit`.
final class AMQPLink {
    let endpoint: AMQPEndpoint
    let connection: amqp_connection_state_t
    let arena = AMQPArena()
    /// The broker's product, version and address.
    private(set) var server: String
    private(set) var channel: amqp_channel_t = 1
    let limits: AMQPLimits
    private var framesSinceRelease = 0

    /// Connects, logs in and opens a channel; blocks up to the configured time-outs.
    init(
        _ endpoint: AMQPEndpoint, _ configuration: AMQPConfiguration, opened: (Int32) -> Void
    ) throws(AMQPError) {
        _ = Self.ignoresBrokenPipes
        self.endpoint = endpoint
        self.limits = configuration.limits
        self.connection = try Self.connect(endpoint, configuration, opened: opened)
        self.server = endpoint.address
        self.server = serverName
        // Everything is set: when this throws, `deinit` runs.
        try openChannel()
    }

    deinit { amqp_destroy_connection(connection) }

    /// librabbitmq writes with MSG_NOSIGNAL; OpenSSL's own paths are covered by this.
    private static let ignoresBrokenPipes: Bool = {
        signal(SIGPIPE, SIG_IGN)
        return true
    }()

    var socket: Int32 { amqp_get_sockfd(connection) }

    /// Seconds, as negotiated; 0 is none.
    var heartbeat: Int { Int(amqp_get_heartbeat(connection)) }

    /// Bytes of a table that surely fit a frame.
    var headerRoom: Int { Int(amqp_get_frame_max(connection)) - 2048 }

    /// Whether frames wait inside librabbitmq, where `poll` does not see them.
    var hasFramesInside: Bool { amqp_frames_enqueued(connection) != 0 || amqp_data_in_buffer(connection) != 0 }

    private var serverName: String {
        guard let properties = amqp_get_server_properties(connection)?.pointee else { return endpoint.address }
        var product = "AMQP broker"
        var version = ""
        for index in 0..<Int(properties.num_entries) {
            let entry = properties.entries[index]
            guard entry.value.kind == UInt8(AMQP_FIELD_KIND_UTF8.rawValue) else { continue }
            switch String(entry.key) {
            case "product": product = String(entry.value.value.bytes).asOneLine
            case "version": version = " " + String(entry.value.value.bytes).asOneLine
            default: break
            }
        }
        return "\(product)\(version) at \(endpoint.address)"
    }

    // MARK: - Channels

    /// After the broker closed the channel, or to drop everything unsettled on it (`closeChannel` first).
    func openChannel() throws(AMQPError) {
        _ = amqp_channel_open(connection, channel)
        try check(amqp_get_rpc_reply(connection), "opening a channel")
    }

    func closeChannel() throws(AMQPError) {
        try check(amqp_channel_close(connection, channel, Int32(AMQP_REPLY_SUCCESS)), "closing a channel")
    }

    func selectConfirms() throws(AMQPError) {
        _ = amqp_confirm_select(connection, channel)
        try check(amqp_get_rpc_reply(connection), "asking for confirms")
    }

    /// Says good-bye; what it answers does not matter.
    func close() {
        var patience = timeval(tv_sec: 2, tv_usec: 0)
        amqp_set_rpc_timeout(connection, &patience)
        _ = amqp_connection_close(connection, Int32(AMQP_REPLY_SUCCESS))
    }

    // MARK: - Frames

    /// The next thing that has arrived; nil when nothing has. Sends heartbeats that are due.
    func nextFrame() throws(AMQPError) -> AMQPFrame? {
        // What a frame points to is copied before the next one is asked for.
        framesSinceRelease += 1
        if framesSinceRelease >= 64 { releaseBuffers() }
        var frame = amqp_frame_t()
        var patience = timeval(tv_sec: 0, tv_usec: 0)
        let status = amqp_simple_wait_frame_noblock(connection, &frame, &patience)
        if status == AMQP_STATUS_TIMEOUT.rawValue {
            releaseBuffers()
            return nil
        }
        guard status == 0 else { throw lost(status) }
        guard frame.frame_type == UInt8(AMQP_FRAME_METHOD) else { return .other }
        return try decode(frame)
    }

    func releaseBuffers() {
        framesSinceRelease = 0
        amqp_maybe_release_buffers(connection)
    }

    private func decode(_ frame: amqp_frame_t) throws(AMQPError) -> AMQPFrame {
        let method = frame.payload.method
        func fields<Method>(_: Method.Type) -> Method { method.decoded.assumingMemoryBound(to: Method.self).pointee }
        switch method.id {
        case postern_amqp_basic_ack:
            let ack = fields(amqp_basic_ack_t.self)
            return .ack(tag: ack.delivery_tag, multiple: ack.multiple != 0)
        case postern_amqp_basic_nack:
            let nack = fields(amqp_basic_nack_t.self)
            return .nack(tag: nack.delivery_tag, multiple: nack.multiple != 0)
        case postern_amqp_basic_return:
            let returned = fields(amqp_basic_return_t.self)
            let code = Int(returned.reply_code)
            let text = String(returned.reply_text).asOneLine
            let content = try readContent(AMQPRawDelivery(tag: 0, redelivered: false), keepsBody: false)
            return .returned(tag: content.publishTag, code: code, text: text)
        case postern_amqp_basic_deliver:
            let deliver = fields(amqp_basic_deliver_t.self)
            let empty = AMQPRawDelivery(tag: deliver.delivery_tag, redelivered: deliver.redelivered != 0)
            return .delivery(try readContent(empty))
        case postern_amqp_basic_cancel:
            return .consumerCancelled
        case postern_amqp_channel_close:
            return .channelClosed(answerChannelClose(fields(amqp_channel_close_t.self)))
        case postern_amqp_connection_close:
            return .connectionClosed(answerConnectionClose(fields(amqp_connection_close_t.self)))
        case postern_amqp_connection_blocked:
            return .blocked(reason: String(fields(amqp_connection_blocked_t.self).reason).asOneLine)
        case postern_amqp_connection_unblocked:
            return .unblocked
        default:
            return .other
        }
    }

    /// Header and body that follow a method; blocks until they are there, bounded by the heartbeat.
    func readContent(_ delivery: AMQPRawDelivery, keepsBody: Bool = true) throws(AMQPError) -> AMQPRawDelivery {
        var delivery = delivery
        var message = amqp_message_t()
        let reply = amqp_read_message(connection, channel, &message, 0)
        try check(reply, "reading a message")
        defer { amqp_destroy_message(&message) }
        delivery.take(message.properties)
        if keepsBody {
            delivery.body = [UInt8](UnsafeRawBufferPointer(start: message.body.bytes, count: message.body.len))
        }
        return delivery
    }
}

extension AMQPRawDelivery {
    static let publishHeader = "x-postern-publish"

    mutating func take(_ properties: amqp_basic_properties_t) {
        func text(_ flag: Int32, _ bytes: amqp_bytes_t) -> String? {
            properties._flags & amqp_flags_t(flag) != 0 ? String(bytes) : nil
        }
        contentType = text(AMQP_BASIC_CONTENT_TYPE_FLAG, properties.content_type)
        contentEncoding = text(AMQP_BASIC_CONTENT_ENCODING_FLAG, properties.content_encoding)
        messageID = text(AMQP_BASIC_MESSAGE_ID_FLAG, properties.message_id)
        correlationID = text(AMQP_BASIC_CORRELATION_ID_FLAG, properties.correlation_id)
        guard properties._flags & amqp_flags_t(AMQP_BASIC_HEADERS_FLAG) != 0 else { return }
        for index in 0..<Int(properties.headers.num_entries) {
            let entry = properties.headers.entries[index]
            let key = String(entry.key)
            if key == Self.publishHeader {
                if entry.value.kind == UInt8(AMQP_FIELD_KIND_I64.rawValue) {
                    publishTag = UInt64(bitPattern: entry.value.value.i64)
                }
            } else if let value = entry.value.text {
                headers.append((key, value))
            }
        }
    }
}

extension amqp_field_value_t {
    /// Texts and numbers as text.
    fileprivate var text: String? {
        switch amqp_field_value_kind_t(rawValue: UInt32(kind)) {
        case AMQP_FIELD_KIND_UTF8: String(value.bytes)
        case AMQP_FIELD_KIND_BOOLEAN: value.boolean != 0 ? "true" : "false"
        case AMQP_FIELD_KIND_I8: String(value.i8)
        case AMQP_FIELD_KIND_U8: String(value.u8)
        case AMQP_FIELD_KIND_I16: String(value.i16)
        case AMQP_FIELD_KIND_U16: String(value.u16)
        case AMQP_FIELD_KIND_I32: String(value.i32)
        case AMQP_FIELD_KIND_U32: String(value.u32)
        case AMQP_FIELD_KIND_I64: String(value.i64)
        case AMQP_FIELD_KIND_U64, AMQP_FIELD_KIND_TIMESTAMP: String(value.u64)
        default: nil
        }
    }
}
