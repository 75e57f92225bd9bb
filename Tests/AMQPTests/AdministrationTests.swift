// Looking at queues, declaring and emptying them by hand, on a real broker.

import AMQP
import TestSupport
import Testing

@Suite("Administration")
struct AdministrationTests {
    @Test("a look tells ready messages and consumers, and nil for a queue that is not there")
    func inspection() async throws {
        try await withBench { bench in
            #expect(await bench.publisher.publish(bench.messages(3)).allSatisfy { $0 == .confirmed })
            let depths = try await bench.administration.inspect(["no-such-queue", bench.queue, "nor-this"])
            #expect(depths[bench.queue] == .some(AMQPQueueDepth(ready: 3, consumers: 0)))
            #expect(depths.count == 3)
            #expect(depths["no-such-queue"] == .some(nil))
            guard case .connected(let server) = bench.administration.state else {
                Issue.record("\(bench.administration.state)")
                return
            }
            #expect(server.hasPrefix("RabbitMQ 3"))
        }
    }

    @Test("another idea of a queue is refused by name, and harms no later call")
    func conflict() async throws {
        try await withBench { bench in
            let other = AMQPQueueDeclaration(name: bench.queue, kind: .quorum)
            let error = await #expect(throws: AMQPError.self) { try await bench.administration.declare([other]) }
            #expect(error?.code == .precondition)
            #expect(error?.message.contains(bench.queue) == true)
            let depth = try await bench.depth()
            #expect(depth == 0)
        }
    }

    @Test("declaring twice is declaring once, for quorum and priorities alike")
    func twice() async throws {
        try await withBench { bench in
            let names = [Bench.newName(), Bench.newName()]
            let declarations: [AMQPQueueDeclaration] = [
                .init(name: names[0], deadLetter: .init(routingKey: bench.queue)),
                .init(name: names[1], kind: .classic, maximumPriority: 9),
            ]
            try await bench.administration.declare(declarations)
            try await bench.administration.declare(declarations)
            let depths = try await bench.administration.inspect(names)
            #expect(depths.values.allSatisfy { $0 == AMQPQueueDepth(ready: 0, consumers: 0) })
        }
    }

    @Test("taken messages are acked, requeued and rejected one by one")
    func settling() async throws {
        let dead = "dead-\(Bench.newName())"
        try await withBench(deadLetter: .init(routingKey: dead)) { bench in
            try await bench.administration.declare([.init(name: dead, kind: .classic)])
            #expect(await bench.publisher.publish(bench.messages(6)).allSatisfy { $0 == .confirmed })
            let taken = try await bench.administration.take(queue: bench.queue, limit: 5)
            #expect(taken.count == 5)
            let firstDepth = try await bench.depth()
            #expect(firstDepth == 1)
            let answers: [AMQPDisposition] = [.ack, .requeue, .reject, .ack, .requeue]
            try await bench.administration.settle(zip(taken, answers).map { ($0.tag, $1) })
            let thenDepth = try await bench.depth()
            #expect(thenDepth == 3)
            try await eventually("the rejected one is put away") {
                try await bench.administration.inspect([dead])[dead]??.ready == 1
            }
            // A second time is stale.
            let error = await #expect(throws: AMQPError.self) {
                try await bench.administration.settle([(taken[0].tag, .ack)])
            }
            #expect(error?.code == .stale)
            let rest = try await bench.drain().map { String(decoding: $0.body, as: UTF8.self) }
            #expect(Set(rest) == [#"{"n":1}"#, #"{"n":4}"#, #"{"n":5}"#])
        }
    }

    @Test("what is held too long goes back by itself, and settling it then is stale")
    func timeout() async throws {
        try await withBench(changing: { $0.limits.takenTimeout = .milliseconds(200) }) { bench in
            #expect(await bench.publisher.publish(bench.messages(4)).allSatisfy { $0 == .confirmed })
            let taken = try await bench.administration.take(queue: bench.queue, limit: 10)
            #expect(taken.count == 4)
            try await eventually("they are back") { try await bench.depth() == 4 }
            let error = await #expect(throws: AMQPError.self) {
                try await bench.administration.settle([(taken[0].tag, .ack)])
            }
            #expect(error?.code == .stale)
        }
    }

    @Test("a queue that is not there cannot be taken from, and harms no later call")
    func takingNothing() async throws {
        try await withBench { bench in
            let error = await #expect(throws: AMQPError.self) {
                _ = try await bench.administration.take(queue: "no-such-queue", limit: 1)
            }
            #expect(error?.code == .notFound)
            let none = try await bench.administration.take(queue: bench.queue, limit: 1)
            #expect(none.isEmpty)
        }
    }

    @Test("after a stop, and without a broker, calls fail with a reason")
    func unavailable() async throws {
        var endpoint = try await Broker.shared().endpoint()
        endpoint.port = freePort()
        let administration = AMQPAdministration(
            configuration: AMQPConfiguration(endpoints: [endpoint]), logger: .quiet)
        administration.start()
        let refused = await #expect(throws: AMQPError.self) { _ = try await administration.inspect(["q"]) }
        #expect(refused?.code == .unreachable)
        #expect(refused?.message.contains("refused") == true)
        await administration.stop()
        let stopped = await #expect(throws: AMQPError.self) { _ = try await administration.inspect(["q"]) }
        #expect(stopped?.code == .stopped)
    }
}
