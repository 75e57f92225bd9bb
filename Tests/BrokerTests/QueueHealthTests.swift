// The watcher over scripted sources: which one is asked, what it makes of their silence, and that asking it asks nobody.

import Logging
import Model
import RabbitMQManagement
import Synchronization
import TestSupport
import Testing
import WebClient
import WebTestSupport

@testable import Broker

@Suite("The broker's watcher")
struct QueueHealthTests {
    private struct Refused: Error, CustomStringConvertible {
        var description: String { "no connection to rabbit:5672" }
    }

    private final class Inspector: Sendable {
        let answers = Mutex<Result<[String: PassiveReading?], any Error>>(.success([:]))
        let calls = Atomic(0)

        var inspect: QueueHealth.Inspect {
            { [self] _ in
                calls.wrappingAdd(1, ordering: .relaxed)
                return try answers.withLock { $0 }.get()
            }
        }

        func say(_ readings: [String: PassiveReading?]) { answers.withLock { $0 = .success(readings) } }
        func fail() { answers.withLock { $0 = .failure(Refused()) } }
        var count: Int { calls.load(ordering: .relaxed) }
    }

    private let clock = ManualClock()
    private let inspector = Inspector()

    private func health(
        management: RabbitMQManagement? = nil,
        connections: [BrokerConnection] = []
    ) -> QueueHealth {
        QueueHealth(
            configuration: .init(queues: [.outbox: "outbox", .failure: "failed"]), management: management,
            inspect: inspector.inspect, connections: { connections }, clock: clock,
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("before the first round the broker is down and nothing is known")
    func beginning() {
        let report = health().report()
        #expect(report.status == .down)
        #expect(report.detail == "not asked yet")
        #expect(report.checkedAt == nil)
        #expect(report.queues.map(\.health) == [.unreachable, .unreachable])
    }

    @Test("queues come in the order of the mail's way, only those that are configured")
    func order() async {
        inspector.say(["outbox": PassiveReading(ready: 2, consumers: 1), "failed": nil])
        let health = health(connections: [BrokerConnection(name: "publisher", state: .connected, detail: "RabbitMQ")])
        await health.look()
        let report = health.report()
        #expect(report.status == .ok)
        #expect(report.detail == nil)
        #expect(report.checkedAt == clock.now())
        #expect(report.queues.map(\.role) == [.outbox, .failure])
        #expect(report.queues.map(\.health) == [.healthy, .missing])
        #expect(report.connections.map(\.name) == ["publisher"])
    }

    @Test("reading the picture asks nobody, however often")
    func cached() async {
        let health = health()
        await health.look()
        for _ in 0..<1000 { _ = health.report() }
        #expect(inspector.count == 1)
    }

    @Test("a broker that does not answer is down, and up again when it does")
    func downAndUp() async {
        let health = health()
        inspector.fail()
        await health.look()
        #expect(health.report().status == .down)
        #expect(health.report().detail == "no connection to rabbit:5672")
        #expect(health.report().queues.allSatisfy { $0.health == .unreachable && $0.source == nil })
        inspector.say(["outbox": PassiveReading(ready: 0, consumers: 1)])
        await health.look()
        #expect(health.report().status == .ok)
    }

    @Test("a blocked publisher blocks, and one that lost its connection is down, without a new round")
    func connections() async {
        inspector.say([
            "outbox": PassiveReading(ready: 0, consumers: 1), "failed": PassiveReading(ready: 0, consumers: 1),
        ])
        let state = Mutex(BrokerConnection(name: "publisher", state: .connected))
        let health = QueueHealth(
            configuration: .init(queues: [.outbox: "outbox"]), management: nil, inspect: inspector.inspect,
            connections: { [state.withLock { $0 }] }, clock: clock,
            logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
        await health.look()
        #expect(health.report().status == .ok)
        state.withLock { $0 = BrokerConnection(name: "publisher", state: .blocked, detail: "low on memory") }
        #expect(health.report().status == .blocked)
        #expect(health.report().detail == "the broker blocks publisher: low on memory")
        #expect(health.report().queues.map(\.health) == [.blocked])
        state.withLock { $0 = BrokerConnection(name: "publisher", state: .connecting, detail: "refused") }
        #expect(health.report().status == .down)
        #expect(health.report().detail == "publisher is not connected: refused")
        // The first try is still on its way: nothing is wrong yet.
        state.withLock { $0 = BrokerConnection(name: "publisher", state: .connecting) }
        #expect(health.report().status == .ok)
        #expect(inspector.count == 1)
    }

    @Test("an old picture is not shown as today's")
    func stale() async {
        inspector.say(["outbox": PassiveReading(ready: 0, consumers: 1)])
        let health = health()
        await health.look()
        clock.advance(seconds: 30)
        #expect(health.report().status == .ok)
        clock.advance(seconds: 2)
        #expect(health.report().status == .down)
        #expect(health.report().queues.allSatisfy { $0.health == .unreachable && $0.ready == nil })
    }

    @Test("management is asked first, and AMQP not at all while it answers")
    func management() async throws {
        let answer = #"{"type":"classic","state":"running","consumers":1,"messages_ready":4}"#
        try await with({ request in
            request.target.hasPrefix("/api/health") ? .json(#"{"status":"ok"}"#) : .json(answer)
        }) { management, _ in
            let health = health(management: management)
            await health.look()
            #expect(health.report().queues.map(\.source) == [.management, .management])
            #expect(health.report().queues.first?.ready == 4)
            #expect(inspector.count == 0)
        }
    }

    @Test("an alarm blocks")
    func alarm() async throws {
        let alarm = #"{"status":"failed","alarms":[{"node":"rabbit@a","resource":"memory"}]}"#
        try await with({ request in
            request.target.hasPrefix("/api/health") ? .json(alarm, status: 503) : .json(#"{"consumers":1}"#)
        }) { management, _ in
            let health = health(management: management)
            await health.look()
            #expect(health.report().status == .blocked)
            #expect(health.report().detail == "the broker has an alarm (memory) on rabbit@a")
        }
    }

    @Test("management that fails is left alone for a while, and AMQP answers meanwhile")
    func fallback() async throws {
        inspector.say([
            "outbox": PassiveReading(ready: 1, consumers: 1), "failed": PassiveReading(ready: 0, consumers: 1),
        ])
        try await with({ _ in .json("{}", status: 401) }) { management, server in
            let health = health(management: management)
            await health.look()
            #expect(health.report().queues.map(\.source) == [.passive, .passive])
            await health.look()
            #expect(server.requests.count == 1)
            #expect(inspector.count == 2)
            clock.advance(seconds: 15)
            await health.look()
            #expect(server.requests.count == 2)
        }
    }

    @Test("when nobody answers, both reasons are told")
    func bothDown() async throws {
        inspector.fail()
        try await with({ _ in .json("{}", status: 401) }) { management, _ in
            let health = health(management: management)
            await health.look()
            let detail = try #require(health.report().detail)
            #expect(detail.contains("no connection to rabbit:5672"))
            #expect(detail.contains("the user or the password is refused"))
        }
    }

    @Test("the service looks again and again until it is stopped")
    func service() async throws {
        var configuration = QueueHealth.Configuration(queues: [.outbox: "outbox"])
        configuration.interval = 0.001
        let health = QueueHealth(
            configuration: configuration, management: nil, inspect: inspector.inspect, connections: { [] },
            clock: clock, logger: Logger(label: "tests") { _ in SwiftLogNoOpLogHandler() })
        let task = Task { try await health.run() }
        try await eventually("three rounds", within: 60) { inspector.count >= 3 }
        task.cancel()
        try await task.value
    }

    private func with(
        _ script: @escaping ScriptedWebServer.Script,
        _ body: (RabbitMQManagement, ScriptedWebServer) async throws -> Void
    ) async throws {
        try await ScriptedWebServer.with(script) { server in
            let client = try WebClient()
            let management = RabbitMQManagement(
                client: client, endpoint: try WebEndpoint.parse(server.url), virtualHost: "/", timeout: 30)
            do {
                try await body(management, server)
                await client.shutdown()
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }
}
