// Limits, scopes and several messages in one submission, on the straight line: what is refused leaves no row and takes no token.

import CoreTestSupport
import Dialects
import JSON
import Mapping
import Model
import Outbox
import Store
import Testing

@Suite("Rules of the send pipeline")
struct PipelineRulesTests {
    private func plain(_ members: String = "") throws -> Submission {
        .simple(
            try JSONParser.parse(
                #"{"from":"sales@example.com","to":"ann@example.net","subject":"Hi","text":"Hello"\#(members)}"#))
    }

    private func settings(_ changes: KeyValuePairs<String, JSONValue>) -> JSONObject {
        var settings = TestHouse.settings
        for (name, value) in changes { settings[name] = value }
        return settings
    }

    private func refusal(
        _ pipeline: SendPipeline,
        _ submission: Submission,
        by caller: Caller,
        _ idempotency: IdempotencyKey? = nil
    ) async throws -> PosternError? {
        do throws(PosternError) {
            _ = try await pipeline.submit(submission, by: caller, through: .http, idempotency: idempotency)
            return nil
        } catch {
            return error
        }
    }

    /// - Parameter code: what the submission is refused with; `nil` for acceptance.
    private func expect(
        _ code: ErrorCode?,
        _ pipeline: SendPipeline,
        _ submission: Submission,
        by caller: Caller,
        _ idempotency: IdempotencyKey? = nil,
        _ location: SourceLocation = #_sourceLocation
    ) async throws {
        let error = try await refusal(pipeline, submission, by: caller, idempotency)
        #expect(error?.code == code, sourceLocation: location)
    }

    @Test("a limit of one sends one, says when the next may go, and keeps to it", arguments: TestEngine.all)
    func limitOfOne(_ engine: TestEngine) async throws {
        let limited = settings(["send_rate_limit": .integer(1)])
        try await withHouse(engine, settings: limited) { house in
            let pipeline = house.pipeline()
            let receipt = try await pipeline.submit(plain(), by: house.caller, through: .http)
            #expect(receipt.rate?.remaining == 0 && receipt.rate?.limit == RateLimit(perHour: 1, burst: 1))
            let error = try #require(try await refusal(pipeline, plain(), by: house.caller))
            #expect(error.code == .rateLimited)
            #expect(error.retryAfter.map { (3500...3600).contains($0) } == true)
            #expect(error.rate?.remaining == 0)
            #expect(try await house.database.count("smtp_relay_logs") == 1)
            house.clock.advance(seconds: 3600)
            _ = try await pipeline.submit(plain(), by: house.caller, through: .http)
        }
    }

    @Test("what is refused for another reason, or was accepted before, takes no token")
    func tokensBack() async throws {
        let limited = settings(["send_rate_limit": .integer(2)])
        try await withHouse(settings: limited) { house in
            let pipeline = house.pipeline()
            let key = IdempotencyKey(key: "order-1", digest: [1])
            _ = try await pipeline.submit(plain(), by: house.caller, through: .http, idempotency: key)
            let replay = try await pipeline.submit(plain(), by: house.caller, through: .http, idempotency: key)
            #expect(replay.isReplay)
            let foreign = Submission.simple(
                try JSONParser.parse(#"{"from":"x@evil.example","to":"ann@example.net","text":"t"}"#))
            try await expect(.senderDomainNotAllowed, pipeline, foreign, by: house.caller)
            let scripted = ScriptedDatabase(house.database)
            let other = IdempotencyKey(key: "order-1", digest: [2])
            try await expect(.idempotencyConflict, house.pipeline(on: scripted), plain(), by: house.caller, other)
            _ = try await pipeline.submit(plain(), by: house.caller, through: .http)
            try await expect(.rateLimited, pipeline, plain(), by: house.caller)
        }
    }

    @Test("recipients count, and more than ever fit at once are told so")
    func recipients() async throws {
        let limited = settings(["send_rate_limit": .integer(100), "burst_ceiling": .integer(2)])
        try await withHouse(settings: limited) { house in
            let pipeline = house.pipeline()
            let three = Submission.simple(
                try JSONParser.parse(
                    #"{"from":"sales@example.com","to":["a@example.net","b@example.net","c@example.net"],"text":"t"}"#))
            try await expect(.burstExceeded, pipeline, three, by: house.caller)
            let two = try plain(#","cc":"b@example.net""#)
            _ = try await pipeline.submit(two, by: house.caller, through: .http)
            try await expect(.rateLimited, pipeline, plain(), by: house.caller)
        }
    }

    @Test("the messages of a batch are accepted together, each with an id of its own", arguments: TestEngine.all)
    func batch(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pipeline = house.pipeline()
            let payload = try JSONParser.parse(
                #"[{"from":"a@example.com","to":["ann@example.net","bob@example.net"],"subject":"1","text":"t"},{"from":"a@example.com","to":"cid@example.net","subject":"2","html":"<p>t"}]"#
            )
            let receipt = try await pipeline.submit(
                .native(.resend, .json(payload)), by: house.caller, through: .http,
                idempotency: IdempotencyKey(key: "b", digest: [1]))
            #expect(receipt.parts.map(\.count) == [2, 1])
            #expect(Set(receipt.entries.map(\.correlation)).count == 2)
            #expect(try await house.database.count("payloads") == 2)
            #expect(try await house.database.count("smtp_relay_logs") == 3)
            let again = try await pipeline.submit(
                .native(.resend, .json(payload)), by: house.caller, through: .http,
                idempotency: IdempotencyKey(key: "b", digest: [1]))
            #expect(again.isReplay && again.parts.map { $0.map(\.id) } == receipt.parts.map { $0.map(\.id) })
            let mixed = try JSONParser.parse(
                #"[{"from":"a@example.com","to":"ann@example.net","subject":"1","text":"t"},{"from":"a@evil.example","to":"cid@example.net","subject":"2","text":"t"}]"#
            )
            try await expect(.senderDomainNotAllowed, pipeline, .native(.resend, .json(mixed)), by: house.caller)
            #expect(try await house.database.count("smtp_relay_logs") == 3)
        }
    }

    @Test("a key needs the scope of the vault's route; an SMTP user needs none")
    func routeScopes() async throws {
        let live = settings(["route": .string("mailerq")])
        try await withHouse(settings: live) { house in
            let pipeline = house.pipeline()
            func caller(_ scopes: Scopes) -> Caller {
                Caller(vault: house.vault.id, identity: .key(house.ids.next()), label: "k", scopes: scopes)
            }
            try await expect(.forbidden, pipeline, plain(), by: caller(.send))
            try await expect(.forbidden, pipeline, plain(), by: caller([.send, .mailerq]))
            try await expect(nil, pipeline, plain(), by: caller([.send, .amqp]))
            let login = Caller(vault: house.vault.id, identity: .smtpUser(house.ids.next()), label: "l", scopes: .send)
            try await expect(nil, pipeline, plain(), by: login)
            // What is only captured is published to nobody.
            try await expect(nil, house.pipeline(isLive: false), plain(), by: caller(.send))
        }
    }

    @Test("where agents need an approval, an agent's mail is refused and a tool's is not")
    func agents() async throws {
        let strict = settings(["agent_send_requires_approval": .bool(true)])
        try await withHouse(settings: strict) { house in
            var agent = house.caller
            agent.agent = house.ids.next()
            try await expect(.approvalRequired, house.pipeline(), plain(), by: agent)
            try await expect(nil, house.pipeline(), plain(), by: house.caller)
        }
    }

    @Test("whoever sends again passes what a new message passes", arguments: TestEngine.all)
    func retry(_ engine: TestEngine) async throws {
        let limited = settings(["key_send_rate_limit": .integer(1)])
        try await withHouse(engine, settings: limited) { house in
            let pipeline = house.pipeline()
            let messages = MessageRepository(database: house.database)
            let message = try await pipeline.submit(plain(), by: house.caller, through: .http).entries[0].id
            func event(_ type: EventType) -> MessageEvent {
                MessageEvent(id: house.ids.next(), type: type, at: house.clock.now())
            }
            _ = try await messages.cancel(
                message, in: house.vault.id, event: event(.cancelled), audit: house.audit(as: "message.cancel"))
            func attempt(by caller: Caller) async throws -> ErrorCode? {
                do throws(PosternError) {
                    let result = try await pipeline.retry(
                        message, by: caller, event: event(.retried), audit: house.audit(as: "message.retry"))
                    return result?.moved == true ? nil : .conflict
                } catch {
                    return error.code
                }
            }
            #expect(try await attempt(by: house.caller) == .rateLimited)
            func other() -> Caller {
                Caller(
                    vault: house.vault.id, identity: .key(house.ids.next()), label: "other", scopes: [.send, .admin])
            }
            var narrow = other()
            narrow.senderDomains = [try #require(DomainPattern("other.test"))]
            #expect(try await attempt(by: narrow) == .senderDomainNotAllowed)
            var reader = other()
            reader.isReadOnly = true
            #expect(try await attempt(by: reader) == .forbidden)
            try await house.vaults.change(
                JSONObject(["agent_send_requires_approval": .bool(true)]), in: house.vault.id)
            var agent = other()
            agent.agent = house.ids.next()
            #expect(try await attempt(by: agent) == .approvalRequired)
            #expect(try await attempt(by: other()) == nil)
            // What did not move took nothing: it is on its way already, and in nobody's hand.
            #expect(try await messages.find(message, in: house.vault.id)?.status == .queued)
        }
    }

    @Test("a finished message is sent again by its own author's domain, and by its route's scope")
    func retryFinished() async throws {
        let live = settings(["route": .string("mailerq")])
        try await withHouse(settings: live) { house in
            let pipeline = house.pipeline()
            let raw = RawSubmission(
                bytes: Array("From: Ann <ann@example.com>\r\nTo: bob@example.net\r\n\r\nHi\r\n".utf8), sender: nil,
                recipients: [], trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false))
            let message = try await pipeline.submit(.mime(raw), by: house.caller, through: .http).entries[0].id
            func event(_ type: EventType) -> MessageEvent {
                MessageEvent(id: house.ids.next(), type: type, at: house.clock.now())
            }
            _ = try await MessageRepository(database: house.database).cancel(
                message, in: house.vault.id, event: event(.cancelled), audit: house.audit(as: "message.cancel"))
            let narrow = Caller(
                vault: house.vault.id, identity: .key(house.ids.next()), label: "k", scopes: [.send, .admin])
            do throws(PosternError) {
                _ = try await pipeline.retry(
                    message, by: narrow, event: event(.retried), audit: house.audit(as: "message.retry"))
                Issue.record("sent again")
            } catch {
                #expect(error.code == .forbidden && error.fix.contains("amqp"))
            }
            let result = try await pipeline.retry(
                message, by: house.caller, event: event(.retried), audit: house.audit(as: "message.retry"))
            #expect(result?.moved == true)
        }
    }
}
