// Whole command lines against a server in this process: what is sent, what is printed, how it ends.

import JSON
import Testing

@testable import Commands

@Suite("Conversations with a server")
struct ConversationTests {
    @Test("send prints the ids, and carries the key, the type and the body")
    func send() async throws {
        let answer = Answer(
            status: 202, headers: [("Idempotency-Replayed", "true")],
            body:
                #"{"id":"c","status":"queued","correlation_id":"c","messages":"#
                + #"[{"id":"msg_1","recipient":"b@y.example","status":"queued"}]}"#
        )
        try await FakeServer.with(answer) { server in
            let result = await postern(
                "send", "--from", "a@x.example", "--to", "b@y.example", "--text", "hi", "--idempotency-key", "k",
                "--token",
                "ak_secret", server: server)
            #expect(result.code == 0)
            #expect(result.output == "ID     STATUS  RECIPIENT\nmsg_1  queued  b@y.example\n")
            #expect(result.notes.contains("replayed"))
            #expect(!(result.output + result.notes).contains("ak_secret"))
            let request = try #require(server.requests.first)
            #expect(request.line == "POST /v1/messages")
            #expect(request.headers["authorization"] == ["Bearer ak_secret"])
            #expect(request.headers["content-type"] == ["application/json"])
            #expect(request.headers["idempotency-key"] == ["k"])
            #expect(request.text == #"{"from":"a@x.example","to":["b@y.example"],"text":"hi"}"#)
        }
    }

    @Test("files are attached under their names, by base64")
    func attach() async throws {
        try await FakeServer.with(.json(#"{"messages":[]}"#, status: 202)) { server in
            try await TemporaryDirectory.with { directory in
                try directory.write("a b.pdf", "%PDF")
                let result = await postern(
                    "send", "--from", "a@x.example", "--to", "b@y.example", "--text", "-", "--attach",
                    "\(directory.path)/a b.pdf", server: server, input: "körper")
                #expect(result.code == 0)
                #expect(
                    server.requests.first?.text
                        == #"{"from":"a@x.example","to":["b@y.example"],"text":"körper","attachments":[{"#
                        + #""filename":"a b.pdf","content_type":"application/pdf","content":"JVBERg=="}]}"#)
                let missing = await postern(
                    "send", "--from", "a@x.example", "--to", "b@y.example", "--text", "x", "--attach",
                    "\(directory.path)/none", server: server)
                #expect(missing.code == 2)
                #expect(missing.notes.contains("No such file or directory"))
                #expect(server.requests.count == 1)
            }
        }
    }

    @Test("a refusal goes to standard error with every line of it, and ends with 1")
    func refusal() async throws {
        let problem =
            #"{"status":403,"code":"forbidden","detail":"the key may not send","fix":"Use another.","#
            + #""errors":[{"pointer":"/from","message":"no","code":"invalid"}]}"#
        try await FakeServer.with(.json(problem, status: 403)) { server in
            let result = await postern("message", "list", "--json", server: server)
            #expect(result.code == 1)
            #expect(result.output.isEmpty)
            #expect(
                result.notes == "postern: forbidden: the key may not send\n  /from: no (invalid)\n  fix: Use another.")
        }
    }

    @Test("a redirect is not followed, so that a key goes nowhere else")
    func redirect() async throws {
        try await FakeServer.with(.json("{}")) { other in
            let answer = Answer(status: 307, headers: [("Location", other.url + "/v1/keys")])
            try await FakeServer.with(answer) { server in
                let result = await postern("key", "list", "--token", "ak_secret", server: server)
                #expect(result.code == 1)
                #expect(result.notes.contains("redirect to \(other.url)/v1/keys"))
                #expect(other.requests.isEmpty)
            }
        }
    }

    @Test("a server that is not there ends with 3, and says how to start one")
    func unreachable() async throws {
        // A port that was just given back may be another test's by now; nobody listens on port 1.
        let url = "http://127.0.0.1:1"
        let result = await postern("settings", "list", "--url", url)
        #expect(result.code == 3)
        #expect(result.notes.contains("\(url) cannot be reached: Connection refused"))
        #expect(result.notes.contains("postern serve"))
    }

    @Test("a connection that ends before the answer leaves open what was done, and ends with 3")
    func hangUp() async throws {
        try await FakeServer.with({ _ in nil }) { server in
            let result = await postern("message", "retry", "msg_1", server: server)
            #expect(result.code == 3)
            #expect(result.notes.contains("whether it did what was asked is not known"))
        }
    }

    @Test("an answer that is not Postern's is not taken for one", arguments: ["<html>", "[]", #"{"data":1}"#])
    func wrongServer(body: String) async throws {
        try await FakeServer.with(.json(body)) { server in
            let result = await postern("key", "list", server: server)
            #expect(result.code == 1)
            #expect(result.notes.contains("--url"))
        }
    }

    @Test("all pages are one table, asked for with the same filters")
    func pages() async throws {
        try await FakeServer.with({ request in
            request.line.contains("cursor=n%2F2")
                ? .json(#"{"data":[{"id":"msg_2","subject":"\u001b[2J"}],"next_cursor":null}"#)
                : .json(#"{"data":[{"id":"msg_1","status":"queued"}],"next_cursor":"n/2"}"#)
        }) { server in
            let result = await postern(
                "message", "list", "--all", "--status", "queued", "--recipient", "a@b.c", "--q", "x y", server: server)
            #expect(result.code == 0)
            #expect(
                server.requests.map(\.line) == [
                    "GET /v1/messages?status=queued&recipient=a%40b.c&q=x%20y&limit=200",
                    "GET /v1/messages?status=queued&recipient=a%40b.c&q=x%20y&limit=200&cursor=n%2F2",
                ])
            #expect(
                result.output.split(separator: "\n") == [
                    "ID     STATUS  CREATED  FROM  RECIPIENT  SUBJECT", "msg_1  queued  -        -     -          -",
                    "msg_2  -       -        -     -          \\u{1b}[2J",
                ])

            let json = await postern("message", "list", "--all", "--json", server: server)
            let document = try #require(JSONParser.parse(json.output).objectValue)
            #expect(document["data"]?.arrayValue?.count == 2)
            #expect(document["next_cursor"] == .null)
        }
    }

    @Test("one page says how to get the next; no rows say so; JSON is JSON in both")
    func onePage() async throws {
        try await FakeServer.with(.json(#"{"data":[{"id":"k"}],"next_cursor":"c2"}"#)) { server in
            let result = await postern("key", "list", "--limit", "1", "--cursor", "c1", server: server)
            #expect(server.requests.first?.line == "GET /v1/keys?limit=1&cursor=c1")
            #expect(result.notes == "more: --cursor c2")
        }
        try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
            #expect(await postern("pool", "list", server: server).output == "No pools.\n")
            let json = await postern("pool", "list", "--json", server: server).output
            let document = try JSONParser.parse(json)
            #expect(document == (try JSONParser.parse(#"{"data":[],"next_cursor":null}"#)))
        }
    }

    @Test("a server whose next page is the same page is not asked for ever")
    func loop() async throws {
        try await FakeServer.with(.json(#"{"data":[],"next_cursor":"c"}"#)) { server in
            let result = await postern("key", "list", "--all", server: server)
            #expect(result.code == 1)
            #expect(server.requests.count == 2)
        }
    }

    @Test(
        "each command calls its path",
        arguments: [
            (["key", "show", "k/1"], "GET /v1/keys/k%2F1"), (["key", "rotate", "k"], "POST /v1/keys/k/rotate"),
            (["key", "revoke", "k"], "DELETE /v1/keys/k"), (["smtp-user", "delete", "u"], "DELETE /v1/smtp-users/u"),
            (["smtp-user", "create"], "POST /v1/smtp-users"), (["smtp-user", "list"], "GET /v1/smtp-users"),
            (["pool", "delete", "p"], "DELETE /v1/ip-pools/p"),
            (["pool", "create", "--domain", "d.example", "--pool", "p", "--ip", "192.0.2.1"], "POST /v1/ip-pools"),
            (["message", "show", "m"], "GET /v1/messages/m"),
            (["message", "events", "m"], "GET /v1/messages/m/events"),
            (["message", "raw", "m"], "GET /v1/messages/m/raw"),
            (["message", "cancel", "m"], "POST /v1/messages/m/cancel"),
            (["message", "retry", "m"], "POST /v1/messages/m/retry"),
        ])
    func paths(arguments: [String], line: String) async throws {
        try await FakeServer.with(.json(#"{"data":[],"next_cursor":null}"#)) { server in
            let result = await run(arguments, server: server)
            #expect(result.code == 0, "\(result.notes)")
            #expect(server.requests.map(\.line) == [line])
        }
    }

    @Test("what is created is shown with its secret, and a note that it is shown once")
    func secretOnce() async throws {
        try await FakeServer.with(.json(#"{"id":"key_1","label":"l","key":"ak_x_y"}"#, status: 201)) { server in
            let result = await postern("key", "create", "--label", "l", "--scope", "send", server: server)
            #expect(result.output == "id     key_1\nlabel  l\nkey    ak_x_y\n")
            #expect(result.notes.contains("only time"))
        }
    }

    @Test("a deletion without a body is still an answer in JSON")
    func deleted() async throws {
        try await FakeServer.with(Answer(status: 204)) { server in
            let result = await postern("key", "revoke", "key_1", "--json", server: server)
            let document = try JSONParser.parse(result.output)
            #expect(document == (try JSONParser.parse(#"{"id":"key_1","status":"revoked"}"#)))
        }
    }

    @Test("a timeline shows each event with the peer's words, safely")
    func events() async throws {
        let answer =
            #"{"data":[{"id":"e1","type":"accepted","at":"T1","attempt":0,"route":null,"detail":{}},"#
            + #"{"id":"e2","type":"bounced","at":"T2","attempt":1,"route":"smarthost","#
            + #""detail":{"reply":"550 no \u001b[31mway"}}],"next_cursor":null}"#
        try await FakeServer.with(.json(answer)) { server in
            let result = await postern("message", "events", "msg_1", server: server)
            #expect(
                result.output.split(separator: "\n") == [
                    "AT  EVENT     ATTEMPT  ROUTE", "T1  accepted  0        -", "T2  bounced   1        smarthost",
                    "    reply  550 no \\u{1b}[31mway",
                ])
        }
    }

    @Test("a raw message goes to a pipe unchanged, and to a terminal made safe")
    func raw() async throws {
        let message = "Subject: \u{1B}[2J\r\n\r\nbody\r\n"
        try await FakeServer.with(Answer(headers: [("Content-Type", "message/rfc822")], body: message)) { server in
            #expect(await postern("message", "raw", "m", server: server).output == message)
            let shown = await postern("message", "raw", "m", server: server, isInteractive: true).output
            #expect(shown == "Subject: \\u{1b}[2J\n\nbody\n\n")
        }
    }

    @Test("wait asks until the message is there")
    func wait() async throws {
        let asked = Counter()
        try await FakeServer.with({ _ in
            .json(#"{"id":"m","status":"\#(asked.next() < 2 ? "queued" : "delivered")"}"#)
        }) { server in
            let result = await postern("message", "wait", "m", "--until", "delivered", "captured", server: server)
            #expect(result.code == 0)
            #expect(result.output == "m  delivered\n")
            #expect(server.requests.count == 3)
        }
    }

    @Test("wait ends with 4 when the time is up, and with 1 at an end that nobody waits for")
    func waitInVain() async throws {
        try await FakeServer.with(.json(#"{"id":"m","status":"queued"}"#)) { server in
            let result = await postern("message", "wait", "m", "--timeout", "0", server: server)
            #expect(result.code == 4)
            #expect(result.notes.contains("m is still queued"))
        }
        try await FakeServer.with(.json(#"{"id":"m","status":"bounced","last_reply":"550 \u001bno"}"#)) { server in
            let result = await postern("message", "wait", "m", "--until", "delivered", server: server)
            #expect(result.code == 1)
            #expect(result.output == "m  bounced\n")
            #expect(result.notes == "postern: m ended as bounced: 550 \\u{1b}no")
        }
    }

    private static let settings = Answer.json(
        #"{"settings":{"route":{"value":"shadow","source":"instance"},"#
            + #""default_tags":{"value":["a","b"],"source":"vault"},"#
            + #""smarthost_password":{"value":{"set":true},"source":"vault"},"#
            + #""smarthost_host":{"value":null,"source":"unset"}}}"#
    )

    @Test("settings are listed, got, set and unset")
    func settings() async throws {
        try await FakeServer.with(Self.settings) { server in
            let list = await postern("settings", "list", server: server).output
            #expect(
                list.split(separator: "\n") == [
                    "SETTING             VALUE   SOURCE", "route               shadow  instance",
                    "default_tags        a,b     vault", "smarthost_password  (set)   vault",
                    "smarthost_host      -       unset",
                ])
            #expect(await postern("settings", "get", "default_tags", server: server).output == "a,b\n")
            let unset = await postern("settings", "get", "smarthost_host", server: server)
            #expect(unset.output == "\n" && unset.notes == "smarthost_host is unset" && unset.code == 0)
            let unknown = await postern("settings", "get", "rout", server: server)
            #expect(unknown.code == 1 && unknown.notes.contains("there is no setting rout"))

            let set = await postern(
                "settings", "set", "route=shadow", "smarthost_password=-", "default_tags=a,b", server: server,
                input: "pass=word\n")
            #expect(set.code == 0)
            #expect(server.requests.last?.line == "PATCH /v1/settings")
            #expect(
                server.requests.last?.text
                    == #"{"route":"shadow","smarthost_password":"pass=word","default_tags":["a","b"]}"#)
            #expect(!set.output.contains("smarthost_host"))
            _ = await postern("settings", "unset", "route", "default_tags", server: server)
            #expect(server.requests.last?.text == #"{"route":null,"default_tags":null}"#)
        }
    }

    @Test("an edited pool is sent what changes, and no more")
    func poolEdit() async throws {
        try await FakeServer.with(.json(#"{"id":"p","domain":"a.example","pool":"n","ips":["192.0.2.9"]}"#)) { server in
            #expect(await postern("pool", "edit", "p", "--pool", "n", server: server).code == 0)
            #expect(server.requests.map(\.line) == ["PATCH /v1/ip-pools/p"])
            #expect(server.requests.last?.text == #"{"pool":"n"}"#)
        }
    }
}
