// Calls that the product does not make, for setting a scene: deletions, odd declarations.

import CRabbitMQ

@testable import AMQP

extension Bench {
    /// Runs on a thread of its own, with a connection of its own.
    func raw(_ body: @escaping @Sendable (AMQPLink) throws -> Void) async throws {
        let configuration = broker.configuration()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            Thread.start {
                continuation.resume(
                    with: Result {
                        let link = try AMQPLink(configuration.endpoints[0], configuration) { _ in }
                        defer { link.close() }
                        try body(link)
                    })
            }
        }
    }
}

extension AMQPLink {
    func delete(_ queue: String) throws {
        arena.reset()
        _ = amqp_queue_delete(connection, channel, arena.bytes(queue), 0, 0)
        try check(amqp_get_rpc_reply(connection), "deleting")
    }

    func declareRaw(_ queue: String, _ arguments: [(String, AMQPField)]) throws {
        arena.reset()
        _ = amqp_queue_declare(connection, channel, arena.bytes(queue), 0, 1, 0, 0, arena.table(arguments))
        try check(amqp_get_rpc_reply(connection), "declaring")
    }
}
