// Why the broker could not do what it was asked. The message never holds a password or a body.

package struct AMQPError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The URL or another setting is wrong; another try changes nothing.
        case configuration
        /// No connection can be made: name, network, time-out, or the broker is not there.
        case unreachable
        /// The broker's certificate was not accepted, or TLS failed.
        case tls
        /// User name, password, virtual host or a right was refused.
        case refused
        /// No such queue or exchange (404).
        case notFound
        /// The broker holds another idea of the queue, or of the message (406).
        case precondition
        /// The broker closed the channel for another reason.
        case channelClosed
        /// The connection was there and is no more.
        case connectionLost
        /// No answer in time.
        case timedOut
        /// More is waiting than the limit allows.
        case overloaded
        /// The caller's part was stopped.
        case stopped
        /// Deliveries of an earlier connection, or held too long: the broker has taken them back.
        case stale
    }

    package let code: Code
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    package var description: String { "broker \(code.rawValue): \(message)" }
}
