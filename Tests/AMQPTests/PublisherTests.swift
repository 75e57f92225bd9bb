// Publishing on a real broker: what each outcome means.

import TestSupport
import Testing

@testable import AMQP

@Suite("Publisher")
struct PublisherTests {
    @Test("what is confirmed lies in the queue, whole and in order", arguments: AMQPQueueDeclaration.Kind.all)
    func confirmed(_ kind: AMQPQueueDeclaration.Kind) async throws {
        try await withBench(kind: kind) { bench in
            var message = bench.message(#"{"envelope":1}"#)
            message.messageID = "msg_1"
            message.correlationID = "cor_1"
            message.priority = 5
            message.headers = [("x-team", "blue")]
            let outcomes = await bench.publisher.publish([message, bench.message("two"), bench.message("")])
            #expect(outcomes == [.confirmed, .confirmed, .confirmed])
            let stored = try await bench.drain()
            #expect(stored.map { String(decoding: $0.body, as: UTF8.self) } == [#"{"envelope":1}"#, "two", ""])
            #expect(stored[0].messageID == "msg_1")
            #expect(stored[0].correlationID == "cor_1")
            #expect(stored[0].contentType == "application/json")
            #expect(stored[0].headers.contains { $0 == ("x-team", "blue") })
            #expect(bench.publisher.counters.confirmed == 3)
        }
    }

    @Test("a message that no queue takes is returned, and the ones beside it are confirmed")
    func returned() async throws {
        try await withBench { bench in
            var messages = bench.messages(40)
            for index in messages.indices where index % 3 == 0 { messages[index].routingKey = "nobody" }
            let outcomes = await bench.publisher.publish(messages)
            for (index, outcome) in outcomes.enumerated() {
                #expect(outcome == (index % 3 == 0 ? .returned(code: 312, text: "NO_ROUTE") : .confirmed))
            }
            let left = try await bench.depth()
            #expect(left == outcomes.filter { $0 == .confirmed }.count)
        }
    }

    @Test("an exchange that is not there is refused, and the next publish works")
    func missingExchange() async throws {
        try await withBench { bench in
            var lost = bench.message("lost")
            lost.exchange = "no-such-exchange"
            guard case .refused(let why) = await bench.publisher.publish([lost])[0] else {
                Issue.record("not refused")
                return
            }
            #expect(why.contains("404") && why.contains("no-such-exchange"))
            #expect(await bench.publisher.publish([bench.message("kept")]) == [.confirmed])
            let stored = try await bench.drain()
            #expect(stored.count == 1)
        }
    }

    @Test("what the broker discards behind a refused message is told apart from what it may have kept")
    func mixedWithMissingExchange() async throws {
        try await withBench { bench in
            var messages = bench.messages(9)
            messages[4].exchange = "no-such-exchange"
            let outcomes = await bench.publisher.publish(messages)
            var maybe = 0
            for (index, outcome) in outcomes.enumerated() {
                switch outcome {
                case .confirmed, .inDoubt:
                    #expect(index < 4)
                    maybe += 1
                case .refused: #expect(index == 4)
                // Written only after the channel was opened again, or discarded.
                case .unavailable: #expect(index > 4)
                case .returned: Issue.record("returned")
                }
            }
            let stored = try await bench.drain()
            #expect(stored.count <= maybe)
            #expect(await bench.publisher.publish([bench.message("kept")]) == [.confirmed])
        }
    }

    @Test("a queue that is full refuses by nack")
    func nack() async throws {
        try await withBench { bench in
            let full = Bench.newName()
            try await bench.raw { link in
                try link.declareRaw(full, [("x-max-length", .number(2)), ("x-overflow", .text("reject-publish"))])
            }
            var messages = bench.messages(6)
            for index in messages.indices { messages[index].routingKey = full }
            let outcomes = await bench.publisher.publish(messages)
            let refused = outcomes.filter { if case .refused(let why) = $0 { why.contains("nack") } else { false } }
            #expect(refused.count >= 1)
            #expect(refused.count + outcomes.filter { $0 == .confirmed }.count == 6)
        }
    }

    @Test("a message larger than the broker takes is refused, alone")
    func tooLarge() async throws {
        try await withBench { bench in
            let message = AMQPMessage(routingKey: bench.queue, body: [UInt8](repeating: 0x41, count: 40_000_001))
            guard case .refused(let why) = await bench.publisher.publish([message])[0] else {
                Issue.record("not refused")
                return
            }
            #expect(why.contains("406"))
            #expect(await bench.publisher.publish([bench.message("kept")]) == [.confirmed])
        }
    }

    @Test("names that no frame can hold are refused and disturb nothing")
    func unfit() async throws {
        try await withBench { bench in
            var messages = bench.messages(4)
            messages[0].routingKey = String(repeating: "r", count: 256)
            messages[1].messageID = String(repeating: "m", count: 256)
            messages[2].headers = [("h", String(repeating: "v", count: 200_000))]
            let outcomes = await bench.publisher.publish(messages)
            for outcome in outcomes[..<3] {
                guard case .refused = outcome else {
                    Issue.record("\(outcome)")
                    continue
                }
            }
            #expect(outcomes[3] == .confirmed)
        }
    }

    @Test("a body of 30 MiB goes out and comes back the same")
    func large() async throws {
        try await withBench { bench in
            var body = (0..<61_441).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
            while body.count < 30 << 20 { body += body }
            #expect(await bench.publisher.publish([AMQPMessage(routingKey: bench.queue, body: body)]) == [.confirmed])
            let stored = try await bench.drain()
            #expect(stored.count == 1)
            // Compared outside: the difference of two such arrays would take hours to work out.
            let isSame = stored.first?.body == body
            #expect(isSame)
        }
    }

    @Test("100,000 small messages in many calls at a time are all confirmed and all there")
    func many() async throws {
        try await withBench { bench in
            try await bench.connected()
            let confirmed = await withTaskGroup(of: Int.self) { group in
                for task in 0..<20 {
                    group.addTask {
                        var confirmed = 0
                        for round in 0..<25 {
                            let messages = bench.messages(200, from: (task * 25 + round) * 200)
                            confirmed += await bench.publisher.publish(messages).filter { $0 == .confirmed }.count
                        }
                        return confirmed
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(confirmed == 100_000)
            let left = try await bench.depth()
            #expect(left == 100_000)
            #expect(bench.publisher.counters.published == 100_000)
            try await bench.raw { link in try link.delete(bench.queue) }
        }
    }

    @Test("a sleeping publisher is woken by a message, not by its next heartbeat")
    func wakes() async throws {
        try await withBench(changing: { $0.heartbeat = 60 }) { bench in
            try await bench.connected()
            #expect(await bench.publisher.publish([bench.message("first")]) == [.confirmed])
            let start = ContinuousClock.now
            for _ in 0..<5 { #expect(await bench.publisher.publish([bench.message("more")]) == [.confirmed]) }
            #expect(ContinuousClock.now - start < .seconds(8))
        }
    }

    @Test("an idle connection is kept up by heartbeats")
    func heartbeats() async throws {
        try await withBench(changing: { $0.heartbeat = 1 }) { bench in
            try await bench.connected()
            let end = ContinuousClock.now + .seconds(4)
            while ContinuousClock.now < end {
                guard case .connected = bench.publisher.state else {
                    Issue.record("\(bench.publisher.state)")
                    return
                }
                try await Task.sleep(for: .milliseconds(10))
            }
            #expect(await bench.publisher.publish([bench.message("after")]) == [.confirmed])
        }
    }

    @Test("what does not fit the waiting queue is unavailable at once")
    func overloaded() async throws {
        var configuration = try await Broker.shared().configuration()
        configuration.limits.waitingMessages = 10
        // Not started: nothing leaves the queue.
        let publisher = AMQPPublisher(configuration: configuration, logger: .quiet)
        let messages = (0..<8).map { _ in AMQPMessage(routingKey: "q", body: [1]) }
        async let first = publisher.publish(messages)
        try await eventually("the first call waits") { publisher.counters.published == 8 }
        let second = await publisher.publish(messages)
        #expect(second.count == 8)
        for outcome in second {
            guard case .unavailable(let why) = outcome else {
                Issue.record("\(outcome)")
                continue
            }
            #expect(why.contains("waiting"))
        }
        await publisher.stop()
        #expect(await first == Array(repeating: .unavailable("shutting down"), count: 8))
        #expect(publisher.state == .closed)
    }

    @Test("a stop waits for confirms that are due and refuses what was not written")
    func stopping() async throws {
        try await withBench(changing: { $0.limits.inFlightMessages = 500 }) { bench in
            try await bench.connected()
            async let outcomes = bench.publisher.publish(bench.messages(5_000))
            try await eventually("messages are on their way") { bench.publisher.counters.published == 5_000 }
            await bench.publisher.stop()
            let known = await outcomes
            let confirmed = known.filter { $0 == .confirmed }.count
            let unavailable = known.filter { $0 == .unavailable("shutting down") }.count
            #expect(confirmed + unavailable == 5_000)
            let left = try await bench.depth()
            #expect(left == confirmed)
            #expect(await bench.publisher.publish([bench.message("late")]) == [.unavailable("shutting down")])
        }
    }

    @Test("no messages, no waiting")
    func empty() async throws {
        let publisher = AMQPPublisher(configuration: try await Broker.shared().configuration(), logger: .quiet)
        #expect(await publisher.publish([]).isEmpty)
        await publisher.stop()
    }
}

extension AMQPQueueDeclaration.Kind {
    static let all: [Self] = [.classic, .quorum]
}
