// Queues as they are declared, and what a look at them tells.

package struct AMQPQueueDeclaration: Sendable, Equatable {
    package enum Kind: String, Sendable { case quorum, classic }

    /// Where rejected messages go.
    package struct DeadLetter: Sendable, Equatable {
        /// `""`: the routing key is a queue's name.
        package var exchange: String
        package var routingKey: String

        package init(exchange: String = "", routingKey: String) {
            self.exchange = exchange
            self.routingKey = routingKey
        }
    }

    package var name: String
    package var kind: Kind
    package var deadLetter: DeadLetter?
    /// 1…255, for classic queues only: quorum queues have priorities of their own or none. Ignored for quorum.
    package var maximumPriority: UInt8?

    package init(
        name: String, kind: Kind = .quorum, deadLetter: DeadLetter? = nil, maximumPriority: UInt8? = nil
    ) {
        self.name = name
        self.kind = kind
        self.deadLetter = deadLetter
        self.maximumPriority = maximumPriority
    }
}

/// What a passive declaration tells.
package struct AMQPQueueDepth: Sendable, Equatable {
    /// Messages that wait for a consumer; those handed out are not counted.
    package let ready: Int
    package let consumers: Int

    package init(ready: Int, consumers: Int) {
        self.ready = ready
        self.consumers = consumers
    }
}

/// A message taken from a queue by `take`, until it is settled.
package struct AMQPTaken: Sendable {
    /// Names one taken message of one channel; of no use after that channel.
    package struct Tag: Sendable, Hashable {
        let epoch: Int
        let number: UInt64
    }

    package let tag: Tag
    package let delivery: AMQPDelivery
}
