// What most tests need: a queue of their own, a publisher, an administration, all gone at the end.

import AMQP
import Glibc
import Synchronization
import TestSupport
import Testing

struct Bench: Sendable {
    let broker: Broker
    let queue: String
    let publisher: AMQPPublisher
    let administration: AMQPAdministration

    private static let counter = Atomic<Int>(0)

    static func newName() -> String { "test-\(counter.wrappingAdd(1, ordering: .relaxed).newValue)" }

    func message(_ text: String) -> AMQPMessage { AMQPMessage(routingKey: queue, body: Array(text.utf8)) }

    func messages(_ count: Int, from first: Int = 0) -> [AMQPMessage] {
        (first..<(first + count)).map { message("{\"n\":\($0)}") }
    }

    func depth() async throws -> Int? { try await administration.inspect([queue])[queue]??.ready }

    /// Takes all that is ready, settles it so, and hands out the bodies.
    func drain(_ queue: String? = nil, as disposition: AMQPDisposition = .ack) async throws -> [AMQPDelivery] {
        var all: [AMQPDelivery] = []
        while case let taken = try await administration.take(queue: queue ?? self.queue, limit: 10_000), !taken.isEmpty
        {
            all += taken.map(\.delivery)
            try await administration.settle(taken.map { ($0.tag, disposition) })
            if disposition != .ack { break }
        }
        return all
    }

    func connected() async throws {
        try await eventually("the publisher connects") {
            if case .connected = publisher.state { return true }
            return false
        }
    }

    /// A consumer for the length of `body`, handing its batches to `handler`.
    func consuming(
        _ queue: String? = nil, prefetch: Int = 200, configuration: AMQPConfiguration? = nil,
        handler: @escaping @Sendable ([AMQPDelivery]) async -> [AMQPDisposition],
        _ body: (AMQPConsumer) async throws -> Void
    ) async throws {
        let consumer = AMQPConsumer(
            configuration: configuration ?? broker.configuration(), queue: queue ?? self.queue, prefetch: prefetch,
            logger: .quiet, handler: handler)
        consumer.start()
        do {
            try await body(consumer)
        } catch {
            await consumer.stop()
            throw error
        }
        await consumer.stop()
    }
}

/// A classic durable queue with a publisher, on the shared broker or another.
func withBench(
    on own: Broker? = nil, kind: AMQPQueueDeclaration.Kind = .classic,
    deadLetter: AMQPQueueDeclaration.DeadLetter? = nil,
    _ body: (Bench) async throws -> Void
) async throws {
    try await withBench(on: own, kind: kind, deadLetter: deadLetter, changing: { _ in }, body)
}

/// The same with other settings.
func withBench(
    on own: Broker? = nil, kind: AMQPQueueDeclaration.Kind = .classic,
    deadLetter: AMQPQueueDeclaration.DeadLetter? = nil,
    changing change: (inout AMQPConfiguration) -> Void, _ body: (Bench) async throws -> Void
) async throws {
    let broker: Broker
    if let own { broker = own } else { broker = try await .shared() }
    var configuration = broker.configuration()
    change(&configuration)
    let bench = Bench(
        broker: broker, queue: Bench.newName(),
        publisher: AMQPPublisher(configuration: configuration, logger: .quiet),
        administration: AMQPAdministration(configuration: configuration, logger: .quiet))
    bench.administration.start()
    bench.publisher.start()
    do {
        try await bench.administration.declare([.init(name: bench.queue, kind: kind, deadLetter: deadLetter)])
        try await body(bench)
    } catch {
        await bench.publisher.stop()
        await bench.administration.stop()
        throw error
    }
    await bench.publisher.stop()
    await bench.administration.stop()
}
