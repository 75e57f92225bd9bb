// `postern queue` and `postern mailerq`: what they ask for, and what they print.

import JSON
import Testing

@testable import Commands

@Suite("Queue and MailerQ commands")
struct QueueCommandTests {
    @Test("the list is a table, with a sentence for each queue that is not well")
    func list() async throws {
        let answer = """
            {"status":"blocked","detail":"the broker has an alarm (memory)","checked_at":null,"queues":[
            {"role":"outbox","name":"out","type":"quorum","ready":14,"unacknowledged":3,"consumers":1,
            "publish_rate":8.5,"consume_rate":null,"health":"healthy","detail":"14 are ready","source":"management"},
            {"role":"failure","name":"bad","type":null,"ready":null,"unacknowledged":null,"consumers":null,
            "publish_rate":null,"consume_rate":null,"health":"missing","detail":"there is \\u001b[2J none","source":"passive"}],
            "connections":[{"name":"publisher","state":"blocked","detail":"low on memory"}],"failures_waiting":42}
            """
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern("queue", "list", server: server)
            #expect(result.code == 0)
            #expect(server.requests.map(\.line) == ["GET /v1/queues"])
            #expect(
                result.output == """
                    broker: blocked, the broker has an alarm (memory)
                    QUEUE    NAME  HEALTH   READY  UNACKED  IN/S  OUT/S  CONSUMERS  TYPE
                    outbox   out   healthy  14     3        8.5   -      1          quorum
                    failure  bad   missing  -      -        -     -      -          -
                    failure: there is \\u{1b}[2J none
                    connection publisher: blocked, low on memory
                    failures waiting: 42

                    """)
        }
    }

    @Test("failures and orphans are lists like any other, with their filters")
    func lists() async throws {
        try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
            let failures = await postern(
                "queue", "failures", "--code", "5xx", "--domain", "a.org", "--older-than", "7d", "--limit", "5",
                server: server)
            #expect((failures.code, failures.output) == (0, "No failures wait.\n"))
            let orphans = await postern("queue", "orphans", "--json", server: server)
            #expect(orphans.code == 0)
            #expect(
                server.requests.map(\.line) == [
                    "GET /v1/queues/failure?code=5xx&domain=a.org&older_than=7d&limit=5", "GET /api/queues/orphans",
                ])
        }
    }

    @Test("a repair says what was done, and of which kinds", arguments: ["drain", "requeue"])
    func repair(action: String) async throws {
        let answer = """
            {"action":"\(action)","dry_run":false,"matched":42,"done":40,"skipped":1,"remaining":1,
            "kinds":[{"code":550,"domain":"a.org","count":41},{"code":null,"domain":"b.org","count":1}]}
            """
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern(
                "queue", action, "--code", "550", "--domain", "a.org", "--older-than", "90", "--limit", "41",
                "--idempotency-key", "k 1", server: server)
            #expect(result.code == 0)
            #expect(
                result.output == """
                    \(action): 40 of 42, 1 remain
                    1 had come to another end meanwhile
                    COUNT  CODE  DOMAIN
                    41     550   a.org
                    1      -     b.org

                    """)
            let request = try #require(server.requests.first)
            #expect(request.line == "POST /v1/queues/failure/\(action)")
            #expect(request.text == #"{"code":"550","domain":"a.org","older_than":"90","limit":41}"#)
            #expect(request.headers["idempotency-key"] == ["k 1"])
        }
    }

    @Test("a dry run asks for one and says that nothing was done")
    func dryRun() async throws {
        let answer =
            #"{"action":"drain","dry_run":true,"matched":2,"done":0,"skipped":0,"remaining":2,"kinds":[]}"#
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern("queue", "drain", "--dry-run", server: server)
            #expect(result.output == "dry run: 2 match, nothing was done\n")
            #expect(server.requests.first?.text == #"{"dry_run":true}"#)
            let plain = await postern("queue", "drain", "--dry-run", "--json", server: server)
            #expect(plain.output.contains(#""matched": 2"#))
        }
    }

    @Test("the operations are listed with the last hour")
    func operations() async throws {
        let answer = """
            {"configured":true,"operations":[{"method":"GET","path":"/v1/pauses","open":true},
            {"method":"POST","path":"/v1/pauses","open":false}],"in_flight":3,
            "last_hour":{"requests":250,"errors":1,"error_rate":0.004}}
            """
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern("mailerq", "operations", server: server)
            #expect(
                result.output == """
                    METHOD  PATH
                    GET     /v1/pauses  open
                    POST    /v1/pauses  closed
                    in flight: 3; last hour: 250 requests, 1 errors

                    """)
        }
        try await FakeServer.with(.json(#"{"configured":false,"operations":[]}"#)) { server in
            let result = await postern("mailerq", "operations", server: server)
            #expect(result.output.hasSuffix("MailerQ's REST API is not configured.\n"))
        }
    }

    @Test("an operation goes to its path, escaped, with what was typed")
    func operation() async throws {
        try await FakeServer.with(.json(#"[{"domain":"a.org"}]"#)) { server in
            let result = await postern("mailerq", "get", "/v1/poolips", "name=a b&c", server: server)
            #expect(result.code == 0)
            #expect(result.output == "[\n  {\n    \"domain\": \"a.org\"\n  }\n]\n")
            _ = await postern("mailerq", "get", "v1/../x?y", server: server)
            _ = await postern(
                "mailerq", "post", "v1/errors", "code=550", "tag=123", "cluster=true", "description=a=b",
                server: server)
            _ = await postern("mailerq", "delete", "v1/pauses", "domain=a.org", server: server)
            #expect(
                server.requests.map(\.line) == [
                    "GET /v1/mailerq/v1/poolips?name=a%20b%26c", "GET /v1/mailerq/v1/%2E%2E/x%3Fy",
                    "POST /v1/mailerq/v1/errors", "DELETE /v1/mailerq/v1/pauses",
                ])
            #expect(server.requests[2].text == #"{"code":550,"tag":"123","cluster":true,"description":"a=b"}"#)
            #expect(server.requests[3].text == #"{"domain":"a.org"}"#)
        }
    }

    @Test("an answer that is not JSON reaches the terminal without its controls")
    func hostileAnswer() async throws {
        let answer = Answer(headers: [("Content-Type", "text/plain")], body: "ok\u{1B}[2J")
        try await FakeServer.with(answer) { server in
            let result = await postern("mailerq", "get", "v1/pauses", server: server)
            #expect(result.output == "ok\\u{1b}[2J\n")
        }
    }

    @Test("what is closed is not found, and ends with 1")
    func closed() async throws {
        let problem = #"{"status":404,"code":"not_found","detail":"there is nothing at this path","fix":"Check."}"#
        try await FakeServer.with(.json(problem, status: 404)) { server in
            let result = await postern("mailerq", "get", "v1/inject", server: server)
            #expect(result.code == 1)
            #expect(result.notes.contains("not_found"))
        }
    }
}
