// From an endpoint to a logged-in connection, and what to say when it does not come to that.

internal import CRabbitMQ
internal import CRabbitMQShims

#if canImport(Glibc)
internal import Glibc
#endif

extension AMQPLink {
    /// `opened` hears of the socket before the login, so that a stop can shut it.
    static func connect(
        _ endpoint: AMQPEndpoint, _ configuration: AMQPConfiguration, opened: (Int32) -> Void
    ) throws(AMQPError) -> amqp_connection_state_t {
        let at = endpoint.address
        if endpoint.usesTLS, endpoint.hostIsAddress {
            throw AMQPError(
                .tls,
                "\(at): amqps needs the broker's name, not its IP address: a certificate is checked against a name")
        }
        guard let connection = amqp_new_connection() else { throw AMQPError(.unreachable, "no memory") }
        do throws(AMQPError) {
            try open(connection, endpoint, configuration)
            let socket = amqp_get_sockfd(connection)
            opened(socket)
            let bound = UInt32(clamping: configuration.confirmTimeout.milliseconds)
            guard postern_amqp_bound_socket(socket, bound) == 0 else {
                throw AMQPError(.unreachable, "\(at): socket options were refused: \(systemMessage(errno))")
            }
            var rpc = timeval(configuration.rpcTimeout)
            amqp_set_rpc_timeout(connection, &rpc)
            let heartbeat = Int32(endpoint.heartbeat ?? configuration.heartbeat)
            let reply = postern_amqp_login(
                connection, endpoint.virtualHost, heartbeat, configuration.connectionName, endpoint.username,
                endpoint.password.text)
            if let error = loginError(reply, endpoint, configuration) { throw error }
        } catch {
            amqp_destroy_connection(connection)
            throw error
        }
        return connection
    }

    private static func open(
        _ connection: amqp_connection_state_t, _ endpoint: AMQPEndpoint, _ configuration: AMQPConfiguration
    ) throws(AMQPError) {
        let at = endpoint.address
        // OpenSSL adds them up: what the operator names is trusted beside the system's own.
        let named = endpoint.caFile ?? configuration.caFile
        var socket: OpaquePointer?
        if endpoint.usesTLS {
            socket = amqp_ssl_socket_new(connection)
            guard let socket else { throw AMQPError(.tls, "\(at): OpenSSL cannot be initialised") }
            amqp_ssl_socket_set_verify_peer(socket, 1)
            amqp_ssl_socket_set_verify_hostname(socket, 1)
            guard amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST) == 0 else {
                throw AMQPError(.tls, "\(at): this OpenSSL has no TLS 1.2")
            }
            let system = amqp_ssl_socket_set_cacert(socket, AMQPConfiguration.defaultCAFile) == 0
            if let named {
                guard amqp_ssl_socket_set_cacert(socket, named) == 0 else {
                    throw AMQPError(.tls, "\(at): no certificates can be read from the CA file \(named)")
                }
            } else if !system {
                throw AMQPError(
                    .tls, "\(at): no certificates can be read from the CA file \(AMQPConfiguration.defaultCAFile)")
            }
        } else {
            socket = amqp_tcp_socket_new(connection)
        }
        guard let socket else { throw AMQPError(.unreachable, "\(at): no socket can be made") }
        let patience = endpoint.connectTimeout ?? configuration.connectTimeout
        var timeout = timeval(patience)
        amqp_set_handshake_timeout(connection, &timeout)
        errno = 0
        let status = amqp_socket_open_noblock(socket, endpoint.host, Int32(endpoint.port), &timeout)
        guard status != 0 else { return }
        let code = errno
        switch status {
        case AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED.rawValue:
            throw AMQPError(.unreachable, "\(at): the name cannot be resolved")
        case AMQP_STATUS_TIMEOUT.rawValue:
            throw AMQPError(.unreachable, "\(at): no connection within \(patience)")
        case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED.rawValue:
            throw AMQPError(.tls, "\(at): the broker's certificate is not for the name \(endpoint.host)")
        case AMQP_STATUS_SSL_PEER_VERIFY_FAILED.rawValue:
            throw AMQPError(
                .tls,
                "\(at): no certificate in \(named ?? AMQPConfiguration.defaultCAFile) has signed the broker's, or it has expired"
            )
        case AMQP_STATUS_SSL_CONNECTION_FAILED.rawValue, AMQP_STATUS_SSL_ERROR.rawValue:
            throw AMQPError(
                .tls,
                """
                \(at): the TLS handshake failed: is it a TLS port, does it offer TLS 1.2 or later, and is its \
                certificate signed by one in \(named ?? AMQPConfiguration.defaultCAFile)?
                """)
        case AMQP_STATUS_SOCKET_ERROR.rawValue:
            // The library connects without blocking and keeps the reason to itself: then errno is EINPROGRESS or 0.
            let words = code == 0 || code == EINPROGRESS ? "the connection was refused" : systemMessage(code)
            throw AMQPError(.unreachable, "\(at): \(words): is the broker running there?")
        default:
            throw AMQPError(.unreachable, "\(at): \(String(cString: amqp_error_string2(status)))")
        }
    }

    private static func loginError(
        _ reply: amqp_rpc_reply_t, _ endpoint: AMQPEndpoint, _ configuration: AMQPConfiguration
    ) -> AMQPError? {
        let at = endpoint.address
        switch reply.reply_type {
        case AMQP_RESPONSE_NORMAL:
            return nil
        case AMQP_RESPONSE_SERVER_EXCEPTION:
            guard reply.reply.id == postern_amqp_connection_close, let decoded = reply.reply.decoded else {
                return AMQPError(.refused, "\(at): the broker refused the login")
            }
            let close = decoded.assumingMemoryBound(to: amqp_connection_close_t.self).pointee
            let text = "\(close.reply_code) \(String(close.reply_text).asOneLine)"
            // 530 NOT_ALLOWED is the answer to a virtual host; 403 to the login, or to a right.
            if close.reply_code == 530 {
                return AMQPError(
                    .refused, "\(at): the virtual host '\(endpoint.virtualHost)' is not there or not allowed (\(text))")
            }
            if close.reply_code == 403 {
                return AMQPError(.refused, "\(at): user name or password is wrong (\(text))")
            }
            return AMQPError(.refused, "\(at): the broker refused the login (\(text))")
        case AMQP_RESPONSE_LIBRARY_EXCEPTION where reply.library_error == AMQP_STATUS_TIMEOUT.rawValue:
            let patience = endpoint.connectTimeout ?? configuration.connectTimeout
            return AMQPError(.unreachable, "\(at): connected, but no AMQP greeting or login answer within \(patience)")
        case AMQP_RESPONSE_LIBRARY_EXCEPTION:
            let words = String(cString: amqp_error_string2(reply.library_error))
            let hint = endpoint.usesTLS ? "" : "; is this a TLS port?"
            return AMQPError(.unreachable, "\(at): the login failed: \(words)\(hint)")
        default:
            return AMQPError(.unreachable, "\(at): the broker closed the connection during the login")
        }
    }
}

/// The C library's words for an `errno`.
func systemMessage(_ code: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard strerror_r(code, &buffer, buffer.count) == 0 else { return "error \(code)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

extension AMQPEndpoint {
    /// Whether the host is a literal address rather than a name.
    fileprivate var hostIsAddress: Bool {
        if host.utf8.contains(UInt8(ascii: ":")) { return true }
        var address = in_addr()
        // inet_aton also takes 127.1 and 2130706433, as getaddrinfo does.
        return inet_aton(host, &address) != 0
    }
}

extension Duration {
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        return Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000)
    }
}

extension timeval {
    init(_ duration: Duration) {
        let milliseconds = max(duration.milliseconds, 1)
        self.init(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
    }
}
