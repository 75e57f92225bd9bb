// One broker and how to get in. The password is in a type of its own that never prints.

/// A broker's address and login, made by `parse`.
package struct AMQPEndpoint: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible {
    /// A name, or an IP address without brackets.
    package var host: String
    package var port: Int
    package var username: String
    package var password: AMQPPassword
    package var virtualHost: String
    package var usesTLS: Bool
    /// Query parameter `heartbeat`, seconds: before the configuration's.
    package var heartbeat: Int?
    /// Query parameter `connection_timeout`, given in milliseconds: before the configuration's.
    package var connectTimeout: Duration?
    /// Query parameter `cacertfile`: before the configuration's.
    package var caFile: String?

    package init(
        host: String, port: Int, username: String, password: AMQPPassword, virtualHost: String, usesTLS: Bool
    ) {
        self.host = host
        self.port = port
        self.username = username
        self.password = password
        self.virtualHost = virtualHost
        self.usesTLS = usesTLS
    }

    /// `host:port`, an IPv6 address in brackets.
    package var address: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Scheme, address and virtual host; neither user nor password.
    package var description: String { "\(usesTLS ? "amqps" : "amqp")://\(address) (virtual host '\(virtualHost)')" }
    package var debugDescription: String { description }
}

/// A password that prints, dumps and interpolates as `<hidden>`.
package struct AMQPPassword: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    let text: String

    package init(_ text: String) { self.text = text }

    /// For the management API of the same broker, which takes the same credentials.
    package func reveal() -> String { text }

    package var description: String { "<hidden>" }
    package var debugDescription: String { "<hidden>" }
    package var customMirror: Mirror { Mirror(self, children: []) }
}
