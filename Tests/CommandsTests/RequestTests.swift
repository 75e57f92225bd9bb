// What the command line makes of its options, before anything is sent.

import ArgumentParser
import JSON
import Model
import Testing

@testable import Commands

@Suite("Requests")
struct RequestTests {
    private let terminal = Terminal(
        output: { _ in }, note: { _ in }, input: { Array("from input\n".utf8) }, environment: { _ in nil },
        isInteractive: false)

    private func send(_ arguments: String...) throws -> APIRequest {
        let command = try #require(try Postern.parseAsRoot(["send"] + arguments) as? SendCommand)
        return try command.request(terminal)
    }

    private func json(_ request: APIRequest) throws -> String {
        String(decoding: try #require(request.bodyBytes), as: UTF8.self)
    }

    @Test("ids and filters are escaped, and dots do not climb")
    func target() {
        var request = APIRequest(.get, "messages", "a/b?c", "..")
        request.ask("q", "ä &=+\u{0}")
        request.ask("none", nil)
        request.ask("to", "a@b.c")
        #expect(request.target == "/v1/messages/a%2Fb%3Fc/%2E%2E?q=%C3%A4%20%26%3D%2B%00&to=a%40b.c")
    }

    @Test("a message in fields has only what was given")
    func minimalSend() throws {
        let request = try send("--from", "a@x.example", "--to", "b@y.example", "--text", "- hi")
        #expect(request.method == .post)
        #expect(request.target == "/v1/messages")
        #expect(try json(request) == #"{"from":"a@x.example","to":["b@y.example"],"text":"- hi"}"#)
    }

    @Test("every option of send has its field")
    func fullSend() throws {
        let request = try send(
            "--from", "A <a@x.example>", "--to", "b@y.example", "c@y.example", "--to", "d@y.example", "--cc",
            "e@y.example",
            "--bcc", "f@y.example", "--reply-to", "g@y.example", "--subject", "-- S", "--html", "-", "--header",
            "X-A: 1: 2", "--header", "X-B:3", "--tag", "t1", "t2", "--send-at", "2026-11-20T18:00:00Z",
            "--idempotency-key", "k-1")
        #expect(
            try json(request)
                == #"{"from":"A <a@x.example>","to":["b@y.example","c@y.example","d@y.example"],"cc":["e@y.example"],"#
                + #""bcc":["f@y.example"],"reply_to":["g@y.example"],"subject":"-- S","html":"from input\n","#
                + #""headers":{"X-A":"1: 2","X-B":"3"},"tags":["t1","t2"],"send_at":"2026-11-20T18:00:00Z"}"#)
        #expect(request.headers.map { "\($0.name)=\($0.value)" } == ["Idempotency-Key=k-1"])
    }

    @Test("a finished message goes as bytes, its envelope in the query")
    func rawSend() throws {
        let request = try send("--raw", "-", "--from", "a+b@x.example", "--to", "b@y.example", "c@y.example")
        #expect(request.target == "/v1/send/mime?from=a%2Bb%40x.example&to=b%40y.example&to=c%40y.example")
        #expect(request.contentType == "message/rfc822")
        #expect(request.bodyBytes == Array("from input\r\n".utf8))
    }

    @Test(
        "Unix line ends become mail's, and anything else stays as it is",
        arguments: [
            ("a\nb\n", "a\r\nb\r\n"), ("a\r\nb\r\n", "a\r\nb\r\n"), ("a\r\nb\n", "a\r\nb\n"), ("a\rb", "a\rb"),
            ("", ""),
        ])
    func lineEnds(text: String, expected: String) {
        #expect(SendCommand.withMailLineEnds(Array(text.utf8)) == Array(expected.utf8))
    }

    @Test(
        "settings are typed by what the setting takes",
        arguments: [
            ("default_priority", "5", "5"),
            ("live_send_enabled", "on", "true"),
            ("allowed_sender_domains", "example.com, *.example.com", #"["example.com","*.example.com"]"#),
            ("allowed_sender_domains", #"["example.com"]"#, #"["example.com"]"#),
            ("allowed_sender_domains", "", "[]"),
            ("auth_mode", "api_key,/v1/send=both", #"{"default":"api_key","/v1/send":"both"}"#),
            ("auth_mode", #"{"default":"smtp","/ses":"both"}"#, #"{"default":"smtp","/ses":"both"}"#),
            ("ip_pool_strategy", "fixed:a, b", #""fixed:a, b""#),
            ("smarthost_password", "12345", #""12345""#),
            ("smarthost_password", "true", #""true""#),
            ("smarthost_password", #""quoted""#, #""quoted""#),
            ("default_campaign_id", "null", "null"),
            ("default_priority", "high", #""high""#),
            ("a_setting_of_tomorrow", "7", "7"),
            ("a_setting_of_tomorrow", "a,b", #""a,b""#),
        ])
    func settings(key: String, text: String, expected: String) throws {
        #expect(String(decoding: JSONWriter.write(SettingArgument.json(text, for: key)), as: UTF8.self) == expected)
    }

    @Test("a key is asked for with what was given, and commas separate")
    func keyCreate() throws {
        let command = try #require(
            try Postern.parseAsRoot([
                "key", "create", "--label", "l", "--scope", "send,read", "admin", "--sender-domain", "a.example",
                "--read-only",
            ]) as? KeyCommand.Create)
        #expect(
            try json(command.request)
                == #"{"label":"l","scopes":["send","read","admin"],"read_only":true,"sender_domains":["a.example"]}"#)
    }
}

@Suite("Waiting for a message")
struct MessageWaitTests {
    private let start = ContinuousClock().now

    @Test("any end will do when none is named, and a wanted one is enough before the end")
    func reached() {
        var any = MessageWait(until: [], timeout: .seconds(1), start: start)
        #expect(any.next(after: .captured, at: start) == .reached)
        var inFlight = MessageWait(until: [.inFlight], timeout: .seconds(1), start: start)
        #expect(inFlight.next(after: .inFlight, at: start) == .reached)
    }

    @Test("another end is told at once, also after the time is up")
    func ended() {
        var wait = MessageWait(until: [.delivered], timeout: .seconds(1), start: start)
        #expect(wait.next(after: .bounced, at: start) == .ended)
        #expect(wait.next(after: .bounced, at: start + .seconds(9)) == .ended)
    }

    @Test("pauses grow to two seconds and never pass the deadline")
    func pauses() {
        var wait = MessageWait(until: [], timeout: .seconds(10), start: start)
        var now = start
        var pauses: [Duration] = []
        while case .sleep(let pause) = wait.next(after: pauses.isEmpty ? nil : .queued, at: now) {
            pauses.append(pause)
            now += pause
        }
        #expect(
            pauses.prefix(6) == [
                .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1600),
                .seconds(2),
            ])
        #expect(pauses.max() == .seconds(2))
        #expect(now == start + .seconds(10))
        #expect(wait.next(after: .queued, at: now) == .timedOut)
        #expect(wait.next(after: .delivered, at: now) == .reached)
    }
}

@Suite("Choosing the server")
struct ServerAccessTests {
    private func resolve(
        url: String? = nil,
        token: String? = nil,
        _ environment: [String: String] = [:]
    ) throws -> String {
        let fixed = ["POSTERN_DATA_DIR": "/nonexistent"].merging(environment) { $1 }
        let terminal = Terminal(
            output: { _ in }, note: { _ in }, input: { [] }, environment: { fixed[$0] }, isInteractive: false)
        let access = try ServerAccess.resolve(url: url, token: token, terminal: terminal)
        return "\(access.url) \(access.token ?? "-")"
    }

    @Test("options come before the environment, and the default comes last")
    func order() throws {
        #expect(try resolve() == "http://127.0.0.1:8025 -")
        #expect(
            try resolve(["POSTERN_URL": "https://m.example/base//", "POSTERN_TOKEN": "ak_1"])
                == "https://m.example/base ak_1")
        #expect(
            try resolve(url: "http://h", token: "t", ["POSTERN_URL": "https://m.example", "POSTERN_TOKEN": "ak_1"])
                == "http://h t")
        #expect(try resolve(["POSTERN_URL": "", "POSTERN_TOKEN": ""]) == "http://127.0.0.1:8025 -")
    }

    @Test("the quickstart card gives its key to its own server, and to no other")
    func card() throws {
        try TemporaryDirectory.with { directory in
            try directory.write(
                "quickstart.json", #"{"url":"http://127.0.0.1:9000/","api_key":"ak_card","vault":"default"}"#)
            let environment = ["POSTERN_DATA_DIR": directory.path]
            #expect(try resolve(environment) == "http://127.0.0.1:9000 ak_card")
            #expect(try resolve(url: "http://127.0.0.1:9000", environment) == "http://127.0.0.1:9000 ak_card")
            #expect(try resolve(url: "http://other.example:9000", environment) == "http://other.example:9000 -")
            #expect(try resolve(token: "mine", environment) == "http://127.0.0.1:8025 mine")
        }
    }

    @Test("a broken card is passed over", arguments: ["", "{}", "[1]", #"{"url":"ftp://x","api_key":"k"}"#])
    func brokenCard(text: String) throws {
        try TemporaryDirectory.with { directory in
            try directory.write("quickstart.json", text)
            #expect(try resolve(["POSTERN_DATA_DIR": directory.path]) == "http://127.0.0.1:8025 -")
        }
    }

    @Test(
        "what cannot be an address or a key is refused before anything is sent",
        arguments: [
            "", "localhost:8025", "ftp://x", "http://", "http://a b", "http://u:p@h", "http://h?x", "http://h\r\nX: y",
        ])
    func refused(url: String) {
        #expect(throws: ValidationError.self) { try ServerAccess(url: url, token: nil) }
        #expect(throws: ValidationError.self) { try ServerAccess(url: "http://h", token: "a\r\nX: y") }
    }
}
