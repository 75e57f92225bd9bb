// The management API as RabbitMQ 3.10 answers it, and as it should not.

import RabbitMQManagement
import Testing
import WebClient
import WebTestSupport

@Suite("RabbitMQ's management API")
struct RabbitMQManagementTests {
    @Test("a busy queue is read with its depths, rates, consumers and type")
    func busy() async throws {
        let answer = """
            {"consumers":2,"message_stats":{"deliver_get_details":{"rate":3.5},"publish_details":{"rate":8}},
            "messages_ready":14,"messages_unacknowledged":3,"state":"running","type":"quorum"}
            """
        try await with({ _ in .json(answer) }) { management, server async throws in
            let reading = try await management.queue("outbox")
            #expect(
                reading
                    == QueueReading(
                        type: "quorum", state: "running", ready: 14, unacknowledged: 3, consumers: 2, publishRate: 8,
                        consumeRate: 3.5))
            let request = try #require(server.requests.first)
            #expect(request.target.hasPrefix("/api/queues/%2F/outbox?columns=type,state,"))
            #expect(request.field("Authorization") == "Basic Z3Vlc3Q6Z3Vlc3Q=")
        }
    }

    @Test("what is absent is unknown, not zero")
    func fresh() async throws {
        for answer in [#"{"type":"quorum","consumers":0}"#, #"{"type":"quorum","consumers":0,"message_stats":{}}"#] {
            try await with({ _ in .json(answer) }) { management, _ async throws in
                #expect(try await management.queue("q") == QueueReading(type: "quorum", consumers: 0))
            }
        }
    }

    @Test("numbers that cannot be are unknown")
    func nonsense() async throws {
        let answer =
            #"{"messages_ready":-1,"consumers":"2","message_stats":{"publish_details":{"rate":-0.5}},"type":7}"#
        try await with({ _ in .json(answer) }) { management, _ async throws in
            #expect(try await management.queue("q") == QueueReading())
        }
    }

    @Test("a queue that is not there is nil")
    func missing() async throws {
        try await with({ _ in .json(#"{"error":"Object Not Found","reason":"Not Found"}"#, status: 404) }) {
            management, _ async throws in
            #expect(try await management.queue("q") == nil)
        }
    }

    @Test("names are escaped, so that they stay one segment")
    func names() async throws {
        try await with(virtualHost: "a/b", { _ in .json("{}") }) { management, server async throws in
            _ = try await management.queue("../x?y#z q")
            #expect(server.requests.first?.target.hasPrefix("/api/queues/a%2Fb/..%2Fx%3Fy%23z%20q?") == true)
        }
    }

    @Test("no alarm is an empty list, and an alarm names node and resource")
    func alarms() async throws {
        try await with({ _ in .json(#"{"status":"ok"}"#) }) { management, server async throws in
            #expect(try await management.alarms() == [])
            #expect(server.requests.first?.line == "GET /api/health/checks/alarms")
        }
        let alarm =
            #"{"status":"failed","reason":"alarm","alarms":[{"node":"rabbit@a","resource":"memory"},{"node":"x"}]}"#
        try await with({ _ in .json(alarm, status: 503) }) { management, _ async throws in
            #expect(try await management.alarms() == [BrokerAlarm(node: "rabbit@a", resource: "memory")])
        }
        try await with({ _ in .json(#"{"status":"failed"}"#, status: 503) }) { management, _ async throws in
            #expect(try await management.alarms() == [BrokerAlarm(node: "", resource: "unknown")])
        }
        try await with({ _ in .json("{}", status: 404) }) { management, _ async throws in
            #expect(try await management.alarms() == nil)
        }
    }

    @Test(
        "what is no answer has a code and a sentence",
        arguments: [
            (WebServerReply.json("{}", status: 401), RabbitMQManagementError.Code.unauthorized),
            (.json("{}", status: 403), .unauthorized), (.json("{}", status: 500), .unexpected),
            (.json("[]"), .unexpected), (.json("<html>"), .unexpected),
            (.answer(status: 302, fields: [("Location", "http://x")]), .unexpected), (.hangUp, .unreachable),
            (.silence, .unreachable),
        ])
    func failures(reply: WebServerReply, code: RabbitMQManagementError.Code) async throws {
        // Only who has nothing to say is given little time: the machine may be busy.
        try await with(timeout: code == .unreachable ? 0.3 : 30, { _ in reply }) { management, _ async throws in
            let error = await #expect(throws: RabbitMQManagementError.self) { try await management.queue("q") }
            #expect(error?.code == code)
            #expect(error?.description.hasPrefix("RabbitMQ's management API: ") == true)
            #expect(error?.description.contains("guest") == false)
        }
    }

    private func with(
        virtualHost: String = "/",
        timeout: Double = 30,
        _ script: @escaping ScriptedWebServer.Script,
        _ body: (RabbitMQManagement, ScriptedWebServer) async throws -> Void
    ) async throws {
        try await ScriptedWebServer.with(script) { server in
            let client = try WebClient()
            let endpoint = try WebEndpoint.parse(server.url.replacing("//", with: "//guest:guest@"))
            do {
                try await body(
                    RabbitMQManagement(client: client, endpoint: endpoint, virtualHost: virtualHost, timeout: timeout),
                    server)
                await client.shutdown()
            } catch {
                await client.shutdown()
                throw error
            }
        }
    }
}
