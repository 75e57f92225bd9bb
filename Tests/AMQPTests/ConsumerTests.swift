// Consuming on a real broker: batches, prefetch, settling, damage, deletion.

import AMQP
import TestSupport
import Testing

@Suite("Consumer")
struct ConsumerTests {
    @Test("all messages come in order, in batches, and are gone once acked")
    func ordered() async throws {
        try await withBench { bench in
            #expect(await bench.publisher.publish(bench.messages(3_000)).allSatisfy { $0 == .confirmed })
            let seen = Locked<[String]>([])
            let batches = Locked(0)
            try await bench.consuming { deliveries in
                batches.with { $0 += 1 }
                seen.with { $0 += deliveries.map { String(decoding: $0.body, as: UTF8.self) } }
                return deliveries.map { _ in .ack }
            } _: { _ in
                try await eventually("all arrive") { seen.value.count == 3_000 }
            }
            #expect(seen.value == (0..<3_000).map { "{\"n\":\($0)}" })
            #expect(batches.value < 3_000)
            let left = try await bench.depth()
            #expect(left == 0)
        }
    }

    @Test("the broker hands out no more than the prefetch", arguments: AMQPQueueDeclaration.Kind.all)
    func prefetch(_ kind: AMQPQueueDeclaration.Kind) async throws {
        try await withBench(kind: kind) { bench in
            #expect(await bench.publisher.publish(bench.messages(50)).allSatisfy { $0 == .confirmed })
            let gate = Gate()
            let inHand = Locked(0)
            try await bench.consuming(prefetch: 7) { deliveries in
                inHand.with { $0 += deliveries.count }
                await gate.pass()
                return deliveries.map { _ in .ack }
            } _: { _ in
                try await eventually("seven are out") { try await bench.depth() == 43 }
                #expect(inHand.value <= 7)
                gate.open()
                try await eventually("all arrive") { inHand.value == 50 }
            }
            let left = try await bench.depth()
            #expect(left == 0)
        }
    }

    @Test("rejected goes to the dead-letter queue, requeued comes again, acked is gone")
    func dispositions() async throws {
        let dead = "dead-\(Bench.newName())"
        try await withBench(deadLetter: .init(routingKey: dead)) { bench in
            try await bench.administration.declare([.init(name: dead, kind: .classic)])
            let texts = ["good", "bad", "again", "bad too", "good too", "again"]
            #expect(await bench.publisher.publish(texts.map(bench.message)).allSatisfy { $0 == .confirmed })
            let again = Locked<[Bool]>([])
            try await bench.consuming { deliveries in
                deliveries.map { delivery in
                    let text = String(decoding: delivery.body, as: UTF8.self)
                    if text == "again" {
                        again.with { $0.append(delivery.redelivered) }
                        return delivery.redelivered ? .ack : .requeue
                    }
                    return text.hasPrefix("bad") ? .reject : .ack
                }
            } _: { _ in
                try await eventually("both come again") { again.value.filter { $0 }.count == 2 }
                try await eventually("the bad are put away") {
                    try await bench.administration.inspect([dead])[dead]??.ready == 2
                }
            }
            #expect(again.value.count == 4)
            let left = try await bench.depth()
            #expect(left == 0)
            let bad = try await bench.drain(dead).map { String(decoding: $0.body, as: UTF8.self) }
            #expect(bad == ["bad", "bad too"])
        }
    }

    @Test("gzip bodies arrive unpacked; broken and exploding ones arrive as damaged")
    func gzip() async throws {
        try await withBench { bench in
            var messages = [gzipHello, Array(gzipHello.dropLast(9)), [1, 2, 3], gzipZeros, gzipHello + gzipHello]
                .map { AMQPMessage(routingKey: bench.queue, body: $0) }
            for index in messages.indices { messages[index].contentEncoding = "gzip" }
            messages.append(bench.message("plain"))
            #expect(await bench.publisher.publish(messages).allSatisfy { $0 == .confirmed })
            let seen = Locked<[AMQPDelivery]>([])
            var configuration = bench.broker.configuration()
            configuration.limits.unpackedBytes = 1000
            try await bench.consuming(configuration: configuration) { deliveries in
                seen.with { $0 += deliveries }
                return deliveries.map { _ in .ack }
            } _: { _ in
                try await eventually("all arrive") { seen.value.count == 6 }
            }
            let deliveries = seen.value
            #expect(deliveries.map(\.isDamaged) == [false, true, true, true, false, false])
            #expect(String(decoding: deliveries[0].body, as: UTF8.self) == "hello")
            #expect(deliveries[2].body == [1, 2, 3])
            #expect(String(decoding: deliveries[4].body, as: UTF8.self) == "hellohello")
            #expect(String(decoding: deliveries[5].body, as: UTF8.self) == "plain")
        }
    }

    @Test("a handler slower than two heartbeats loses nothing and gets nothing twice")
    func slowHandler() async throws {
        try await withBench { bench in
            #expect(await bench.publisher.publish([bench.message("slow")]) == [.confirmed])
            var configuration = bench.broker.configuration()
            configuration.heartbeat = 1
            let seen = Locked<[Bool]>([])
            let done = Locked(false)
            try await bench.consuming(configuration: configuration) { deliveries in
                seen.with { $0 += deliveries.map(\.redelivered) }
                // This length is what is tested.
                try? await Task.sleep(for: .seconds(4))
                done.with { $0 = true }
                return deliveries.map { _ in .ack }
            } _: { _ in
                try await eventually("the handler ends") { done.value }
            }
            #expect(seen.value == [false])
            let left = try await bench.depth()
            #expect(left == 0)
        }
    }

    @Test("a stop lets the running batch finish and settles it; the rest stays in the queue")
    func stopping() async throws {
        try await withBench { bench in
            #expect(await bench.publisher.publish(bench.messages(20)).allSatisfy { $0 == .confirmed })
            let gate = Gate()
            let inHand = Locked(0)
            let consumer = AMQPConsumer(
                configuration: bench.broker.configuration(), queue: bench.queue, prefetch: 5, logger: .quiet
            ) { deliveries in
                inHand.with { $0 += deliveries.count }
                await gate.pass()
                return deliveries.map { _ in .ack }
            }
            consumer.start()
            try await eventually("a batch runs") { inHand.value > 0 }
            async let stopped: Void = consumer.stop()
            try await eventually("no consumer is left") {
                try await bench.administration.inspect([bench.queue])[bench.queue]??.consumers == 0
            }
            gate.open()
            await stopped
            #expect(consumer.state == .closed)
            try await eventually("the rest is back") { try await bench.depth() == 20 - inHand.value }
        }
    }

    @Test("a queue deleted under the consumer is told, and consumed again once it is back")
    func deletion() async throws {
        try await withBench { bench in
            let seen = Locked(0)
            try await bench.consuming { deliveries in
                seen.with { $0 += deliveries.count }
                return deliveries.map { _ in .ack }
            } _: { consumer in
                #expect(await bench.publisher.publish([bench.message("one")]) == [.confirmed])
                try await eventually("it arrives") { seen.value == 1 }
                try await bench.raw { link in try link.delete(bench.queue) }
                try await eventually("the state says so") {
                    guard case .connecting(let error?) = consumer.state else { return false }
                    return error.contains(bench.queue)
                }
                try await bench.administration.declare([.init(name: bench.queue, kind: .classic)])
                #expect(await bench.publisher.publish([bench.message("two")]) == [.confirmed])
                try await eventually("it is consumed again") { seen.value == 2 }
            }
        }
    }

    @Test("a consumer that requeues all is slowed down, and one that answers too little requeues")
    func fruitless() async throws {
        try await withBench { bench in
            #expect(await bench.publisher.publish([bench.message("stubborn")]) == [.confirmed])
            let rounds = Locked(0)
            try await bench.consuming { deliveries in
                rounds.with { $0 += 1 }
                if rounds.value >= 5 { return deliveries.map { _ in .ack } }
                return rounds.value % 2 == 0 ? [] : [.requeue]
            } _: { _ in
                let start = ContinuousClock.now
                try await eventually("it goes round") { rounds.value == 5 }
                // 50, 100, 200, 400 ms lie between the five.
                #expect(ContinuousClock.now - start > .milliseconds(500))
            }
            let left = try await bench.depth()
            #expect(left == 0)
        }
    }
}

/// `hello`, by gzip.
private let gzipHello = hexadecimal("1f8b0800000000000203cb48cdc9c9070086a6103605000000")
/// 100,000 zeros, by gzip.
private let gzipZeros =
    hexadecimal("1f8b0800000000000203edc13101000000c2a0f54f6d0d0fa0") + Array(repeating: 0, count: 96)
    + hexadecimal("8057037d9511d4a0860100")

private func hexadecimal(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

/// Holds handlers back until it is opened.
final class Gate: Sendable {
    private let state = Locked<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

    func pass() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.with { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.with { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
