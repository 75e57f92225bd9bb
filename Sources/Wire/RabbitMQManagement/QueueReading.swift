// What RabbitMQ's management says of one queue. What it does not say is unknown, which is not zero.

import JSON

package struct QueueReading: Sendable, Hashable {
    package var type: String?
    /// The broker's own word: running, idle, down, minority, crashed, ….
    package var state: String?
    package var ready: Int?
    package var unacknowledged: Int?
    package var consumers: Int?
    /// Messages a second.
    package var publishRate: Double?
    package var consumeRate: Double?

    package init(
        type: String? = nil, state: String? = nil, ready: Int? = nil, unacknowledged: Int? = nil,
        consumers: Int? = nil, publishRate: Double? = nil, consumeRate: Double? = nil
    ) {
        self.type = type
        self.state = state
        self.ready = ready
        self.unacknowledged = unacknowledged
        self.consumers = consumers
        self.publishRate = publishRate
        self.consumeRate = consumeRate
    }

    /// Statistics come with a delay of some seconds, and a queue that was just declared has none.
    init(_ object: JSONObject) {
        let statistics = object["message_stats"]?.objectValue
        self.init(
            type: object["type"]?.stringValue, state: object["state"]?.stringValue,
            ready: Self.count(object["messages_ready"]),
            unacknowledged: Self.count(object["messages_unacknowledged"]), consumers: Self.count(object["consumers"]),
            publishRate: Self.rate(statistics?["publish_details"]),
            consumeRate: Self.rate(statistics?["deliver_get_details"]))
    }

    private static func count(_ value: JSONValue?) -> Int? {
        value?.integerValue.flatMap { $0 >= 0 ? Int($0) : nil }
    }

    private static func rate(_ details: JSONValue?) -> Double? {
        switch details?.objectValue?["rate"] {
        case .integer(let value) where value >= 0: Double(value)
        case .number(let value) where value >= 0 && value.isFinite: value
        default: nil
        }
    }
}

/// A node that takes nothing until something is better.
package struct BrokerAlarm: Sendable, Hashable {
    package let node: String
    /// `memory` or `disk`.
    package let resource: String

    package init(node: String, resource: String) {
        self.node = node
        self.resource = resource
    }
}
