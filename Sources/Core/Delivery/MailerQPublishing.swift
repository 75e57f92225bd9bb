// What the route to MailerQ needs of a broker, so that its tests need none.

package import AMQP

package protocol MailerQPublishing: Sendable {
    /// Whether the broker takes messages at the moment.
    var isAvailable: Bool { get }

    /// - Returns: one outcome a message, in order.
    func publish(_ messages: [AMQPMessage]) async -> [AMQPPublishOutcome]
}

extension AMQPPublisher: MailerQPublishing {
    package var isAvailable: Bool {
        if case .connected = state { true } else { false }
    }
}
