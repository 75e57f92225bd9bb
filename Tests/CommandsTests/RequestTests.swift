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
