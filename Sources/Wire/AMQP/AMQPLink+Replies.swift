// Errors of librabbitmq and of the broker turned into `AMQPError`, closes answered.

internal import CRabbitMQ
internal import CRabbitMQShims

extension AMQPLink {
    /// A channel that the broker closed is answered here; open it again before the next call.
    func check(_ reply: amqp_rpc_reply_t, _ what: String) throws(AMQPError) {
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL:
            return
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            guard let decoded = reply.reply.decoded else { break }
            switch reply.reply.id {
            case postern_amqp_channel_close:
                throw answerChannelClose(decoded.assumingMemoryBound(to: amqp_channel_close_t.self).pointee)
            case postern_amqp_connection_close:
                throw answerConnectionClose(decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee)
            default:
                break
            }
        case AMQP_RESPONSE_LIBRARY_EXCEPTION:
            if reply.library_error == AMQP_STATUS_TIMEOUT.rawValue {
                throw AMQPError(.timedOut, "\(endpoint.address): no answer to \(what)")
            }
            throw lost(reply.library_error)
        default:
            break
        }
        throw AMQPError(.connectionLost, "\(endpoint.address): the connection ended while \(what)")
    }

    func check(_ status: Int32) throws(AMQPError) {
        guard status == 0 else { throw lost(status) }
    }

    func lost(_ status: Int32) -> AMQPError {
        let words =
            switch status {
            case AMQP_STATUS_HEARTBEAT_TIMEOUT.rawValue: "no heartbeat came from the broker"
            case AMQP_STATUS_CONNECTION_CLOSED.rawValue, AMQP_STATUS_SOCKET_CLOSED.rawValue:
                "the broker ended the connection"
            default: String(cString: amqp_error_string2(status))
            }
        return AMQPError(.connectionLost, "\(endpoint.address): connection lost: \(words)")
    }

    func answerChannelClose(_ close: amqp_channel_close_t) -> AMQPError {
        let code = Int(close.reply_code)
        let text = "\(code) \(String(close.reply_text).asOneLine)"
        var ok = amqp_channel_close_ok_t()
        // A connection that cannot take this answer is found dead by the next call.
        _ = amqp_send_method(connection, channel, postern_amqp_channel_close_ok, &ok)
        switch code {
        case 403: return AMQPError(.refused, text)
        case 404: return AMQPError(.notFound, text)
        case 406: return AMQPError(.precondition, text)
        default: return AMQPError(.channelClosed, text)
        }
    }

    func answerConnectionClose(_ close: amqp_connection_close_t) -> AMQPError {
        let text = "\(close.reply_code) \(String(close.reply_text).asOneLine)"
        var ok = amqp_connection_close_ok_t()
        _ = amqp_send_method(connection, 0, postern_amqp_connection_close_ok, &ok)
        return AMQPError(.connectionLost, "\(endpoint.address): the broker closed the connection: \(text)")
    }
}
