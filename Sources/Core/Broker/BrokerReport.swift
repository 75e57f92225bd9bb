// How the broker and its queues are: one picture of a moment, as plain values.

package import Model

/// What a queue is for.
package enum QueueRole: String, Sendable, Hashable, CaseIterable {
    /// MailerQ reads from it.
    case outbox
    /// What was delivered, from MailerQ to us.
    case success
    /// What was given up, from MailerQ to us.
    case failure
    /// What is tried again, from MailerQ to us.
    case retry
}

package struct QueueStatus: Sendable, Hashable {
    package enum Health: String, Sendable, Hashable, CaseIterable {
        case healthy
        /// It grows, or nobody takes anything from it.
        case backlog
        /// There is no queue of this name.
        case missing
        /// The broker takes nothing from publishers.
        case blocked
        /// Nobody could be asked.
        case unreachable
    }

    /// Who said so.
    package enum Source: String, Sendable, Hashable, CaseIterable {
        /// RabbitMQ's management API: knows everything, some seconds late.
        case management
        /// A passive declaration over AMQP: knows what is ready and how many consume, and no more.
        case passive
    }

    package let role: QueueRole
    package let name: String
    package var type: String?
    /// `nil` is unknown.
    package var ready: Int?
    package var unacknowledged: Int?
    package var consumers: Int?
    /// Messages a second.
    package var publishRate: Double?
    package var consumeRate: Double?
    package var health: Health
    /// The health in a sentence.
    package var detail: String
    package var source: Source?

    package init(role: QueueRole, name: String, health: Health, detail: String, source: Source? = nil) {
        self.role = role
        self.name = name
        self.health = health
        self.detail = detail
        self.source = source
    }
}

/// One of this process' connections to the broker.
package struct BrokerConnection: Sendable, Hashable {
    package enum State: String, Sendable, Hashable {
        case connecting, connected, blocked, closed
    }

    /// What it is for: `publisher`, `success`, ….
    package let name: String
    package let state: State
    /// The server's name, the last error or the reason of the block; without credentials.
    package let detail: String?

    package init(name: String, state: State, detail: String? = nil) {
        self.name = name
        self.state = state
        self.detail = detail
    }
}

package struct BrokerReport: Sendable, Hashable {
    package enum Status: String, Sendable, Hashable, CaseIterable {
        /// No broker is configured.
        case off
        case ok
        /// It answers, and takes nothing from publishers.
        case blocked
        case down
    }

    package var status: Status
    /// Why, in a sentence; `nil` when there is nothing to say.
    package var detail: String?
    package var queues: [QueueStatus]
    package var connections: [BrokerConnection]
    /// When the queues were last asked; `nil` before the first time.
    package var checkedAt: Timestamp?

    package init(
        status: Status, detail: String? = nil, queues: [QueueStatus] = [], connections: [BrokerConnection] = [],
        checkedAt: Timestamp? = nil
    ) {
        self.status = status
        self.detail = detail
        self.queues = queues
        self.connections = connections
        self.checkedAt = checkedAt
    }

    package static let off = BrokerReport(status: .off)
}
