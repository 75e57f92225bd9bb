// The straight line on a real database: what is accepted is on disk before the answer, what is refused leaves no row.

import CoreTestSupport
import Gate
import JSON
import MIME
import Mapping
import Model
import Outbox
import Policy
import SQL
import Store
import Testing
import Vaults

extension TestHouse {
    /// Rows that a submission could have left.
    fileprivate func rowCount() async throws -> Int64 {
        var rows: Int64 = 0
        for table in ["smtp_relay_logs", "payloads", "message_events", "outbox", "idempotency_keys"] {
            rows += try await database.count(table)
        }
        return rows
    }
}

@Suite("Send pipeline")
struct SendPipelineTests {
    private func simple(_ json: String) throws -> Submission { .simple(try JSONParser.parse(json)) }

    private func plain(_ members: String = "") throws -> Submission {
        try simple(#"{"from":"sales@example.com","to":"ann@example.net","subject":"Hi","text":"Hello"\#(members)}"#)
    }

    private func raw(_ text: String) -> Submission {
        .mime(
            RawSubmission(
                bytes: Array(text.utf8), sender: nil, recipients: [],
                trace: .init(hello: nil, address: nil, protocolName: "HTTP", hasCheckedLines: false)))
    }

    private func refusal(
        _ house: TestHouse,
        _ pipeline: SendPipeline,
        _ submission: Submission,
        by caller: Caller? = nil
    ) async throws -> PosternError? {
        do throws(PosternError) {
            _ = try await pipeline.submit(submission, by: caller ?? house.caller, through: .http)
            return nil
        } catch {
            return error
        }
    }

    @Test("an accepted message is in the log, the outbox and the timeline before the answer")
    func accepted() async throws {
        try await withHouse { house in
            let signal = OutboxSignal()
            let receipt = try await house.pipeline(signal: signal).submit(plain(), by: house.caller, through: .smtp)
            #expect(receipt.entries.count == 1 && !receipt.isReplay)
            let entry = try #require(receipt.entries.first)
            #expect(entry.recipient == "ann@example.net" && entry.status == .queued)
            let messages = MessageRepository(database: house.database)
            let message = try #require(try await messages.find(entry.id, in: house.vault.id))
            #expect(message.correlation == receipt.correlation && message.door == .smtp && message.route == .smarthost)
            #expect(message.subject?.asData() == "Hi" && message.sender == "sales@example.com")
            #expect(message.deadline == house.clock.now().adding(seconds: 3600))
            #expect(try await messages.events(of: entry.id, in: house.vault.id).map(\.type) == [.accepted, .queued])
            #expect(try await house.database.count("outbox", where: "ready = 1 AND priority = 5") == 1)
            var signals = signal.signals.makeAsyncIterator()
            #expect(await signals.next() != nil)
        }
    }

    @Test("the answer has the shape that callers rely on")
    func receiptJSON() async throws {
        try await withHouse { house in
            let submission = try simple(
                #"{"from":"sales@example.com","to":["ann@example.net","bob@example.net"],"text":"t"}"#)
            let receipt = try await house.pipeline().submit(submission, by: house.caller, through: .http)
            let document = try #require(try JSONParser.parse(receipt.json).objectValue)
            #expect(document.members.map(\.name) == ["id", "status", "correlation_id", "messages"])
            #expect(document["id"] == .string(receipt.entries[0].id.text))
            #expect(document["correlation_id"] == .string(receipt.correlation.text))
            let messages = try #require(document["messages"]?.arrayValue)
            #expect(
                messages.compactMap { $0.objectValue?["recipient"]?.stringValue } == [
                    "ann@example.net", "bob@example.net",
                ])
            #expect(messages.allSatisfy { $0.objectValue?["status"] == .string("queued") })
        }
    }

    @Test("each dialect goes the same way")
    func dialects() async throws {
        try await withHouse { house in
            let canonical = try JSONParser.parse(
                #"{"recipient":"ann@example.net","mime":{"to":"ann@example.net","from":{"address":"a@example.com"},"text":"t"}}"#
            )
            let submissions: [Submission] = [
                .canonical(canonical), try plain(), raw("From: a@example.com\r\nTo: ann@example.net\r\n\r\nHi\r\n"),
            ]
            for submission in submissions {
                let receipt = try await house.pipeline().submit(submission, by: house.caller, through: .http)
                #expect(receipt.entries.map(\.recipient) == ["ann@example.net"])
            }
            #expect(try await house.database.count("payloads", where: "format = 'envelope'") == 2)
            #expect(try await house.database.count("payloads", where: "format = 'mime'") == 1)
        }
    }

    @Test(
        "the way out is shadow while either switch is off, else what the vault chose",
        arguments: [
            (true, true, "smarthost", RouteName.smarthost), (true, true, "shadow", .shadow),
            (true, false, "smarthost", .shadow),
            (false, true, "smarthost", .shadow), (false, false, "smarthost", .shadow),
        ])
    func routes(_ instance: Bool, _ vault: Bool, _ route: String, _ expected: RouteName) async throws {
        let settings = TestHouse.settings.changing(["live_send_enabled": .bool(vault), "route": .string(route)])
        try await withHouse(settings: settings) { house in
            let receipt = try await house.pipeline(isLive: instance).submit(plain(), by: house.caller, through: .http)
            let message = try await MessageRepository(database: house.database).find(
                receipt.entries[0].id, in: house.vault.id)
            #expect(message?.route == expected)
        }
    }

    @Test(
        "a setting that the way needs and nobody set refuses the submission, and leaves no row",
        arguments: [
            "default_priority", "allowed_sender_domains", "ip_pool_strategy", "live_send_enabled", "route",
            "smarthost_host", "smarthost_port", "smarthost_tls",
        ])
    func unsetSettings(_ key: String) async throws {
        try await withHouse(settings: TestHouse.settings.changing([key: nil])) { house in
            let error = try await refusal(house, house.pipeline(), plain())
            #expect(error?.code == .settingUnset)
            #expect(error?.detail.contains(key) == true)
            #expect(try await house.rowCount() == 0)
        }
    }

    @Test("in shadow mode the smart host's settings are not needed")
    func shadowNeedsNoSmarthost() async throws {
        let settings = TestHouse.settings.changing([
            "live_send_enabled": .bool(false), "route": nil, "smarthost_host": nil, "smarthost_port": nil,
            "smarthost_tls": nil,
        ])
        try await withHouse(settings: settings) { house in
            let receipt = try await house.pipeline().submit(plain(), by: house.caller, through: .http)
            #expect(receipt.entries.count == 1)
        }
    }

    @Test("instance values stand in for what the vault did not set")
    func instanceDefaults() async throws {
        let instance: [String: any SettingValue] = ["default_priority": 321]
        try await withHouse(
            settings: TestHouse.settings.changing(["default_priority": nil]), instanceDefaults: instance
        ) { house in
            _ = try await house.pipeline().submit(plain(), by: house.caller, through: .http)
            #expect(try await house.database.count("outbox", where: "priority = 321") == 1)
        }
    }

    @Test("what is refused leaves no row, whatever the reason")
    func refusals() async throws {
        try await withHouse { house in
            let pipeline = house.pipeline(limits: MappingLimits(messageBytes: 2_000, recipients: 3))
            let long = String(repeating: "x", count: 3_000)
            let cases: [(Submission, ErrorCode)] = [
                (
                    try simple(#"{"from":"sales@evil.example","to":"ann@example.net","text":"t"}"#),
                    .senderDomainNotAllowed
                ),
                (try simple(#"{"from":"sales@example.com","to":"nobody","text":"t"}"#), .validationFailed),
                (
                    try simple(#"{"from":"sales@example.com","to":"ann@example.net","text":"t","x":1}"#),
                    .validationFailed
                ),
                (try simple("[]"), .validationFailed),
                (try plain(#","text2":"t""#), .validationFailed),
                (
                    try simple(#"{"from":"sales@example.com","to":"ann@example.net","text":"\#(long)"}"#),
                    .messageTooLarge
                ),
                (
                    try simple(
                        #"{"from":"sales@example.com","to":["a@x.example","b@x.example","c@x.example","d@x.example"],"text":"t"}"#
                    ),
                    .tooManyRecipients
                ),
                (raw("From: sales@example.com\nTo: ann@example.net\n\nHi\n"), .malformedMessage),
                (raw("From: sales@evil.example\r\nTo: ann@example.net\r\n\r\nHi\r\n"), .senderDomainNotAllowed),
                (
                    raw(
                        "From: sales@example.com\r\nTo: ann@example.net\r\n\r\n"
                            + String(repeating: "x\r\n", count: 900)), .messageTooLarge
                ),
                (.canonical(.null), .validationFailed),
            ]
            for (submission, code) in cases {
                #expect(try await refusal(house, pipeline, submission)?.code == code)
            }
            #expect(try await house.rowCount() == 0)
        }
    }

    @Test(
        "who may not send is refused before anything is looked at",
        arguments: [
            (Scopes.read, false), (.admin, false), (Scopes(), false), (.all, true),
        ] as [(Scopes, Bool)])
    func gate(_ scopes: Scopes, _ isReadOnly: Bool) async throws {
        try await withHouse { house in
            let caller = Caller(
                vault: house.vault.id, identity: .key(house.ids.next()), label: "x", scopes: scopes,
                isReadOnly: isReadOnly)
            let error = try await refusal(house, house.pipeline(), .simple(.null), by: caller)
            #expect(error?.code == .forbidden)
            #expect(try await house.rowCount() == 0)
        }
    }

    @Test("a repeat with the same key and body is answered as the first time, and sends nothing")
    func replay() async throws {
        try await withHouse { house in
            let pipeline = house.pipeline()
            let key = IdempotencyKey(key: "order-7", digest: [1])
            let submission = try simple(
                #"{"from":"sales@example.com","to":["ann@example.net","bob@example.net"],"text":"t"}"#)
            let first = try await pipeline.submit(submission, by: house.caller, through: .http, idempotency: key)
            house.clock.advance(seconds: 3600)
            let second = try await pipeline.submit(submission, by: house.caller, through: .smtp, idempotency: key)
            #expect(!first.isReplay && second.isReplay)
            #expect(second.json == first.json)
            #expect(second.entries.map(\.id) == first.entries.map(\.id))
            #expect(try await house.database.count("smtp_relay_logs") == 2)
            let other = IdempotencyKey(key: "order-7", digest: [2])
            do throws(PosternError) {
                _ = try await pipeline.submit(submission, by: house.caller, through: .http, idempotency: other)
                Issue.record("another body under the same key was accepted")
            } catch {
                #expect(error.code == .idempotencyConflict)
            }
            house.clock.advance(seconds: 86_400)
            let later = try await pipeline.submit(submission, by: house.caller, through: .http, idempotency: key)
            #expect(!later.isReplay && later.entries[0].id != first.entries[0].id)
        }
    }

    @Test("fifty submissions at once with one key are one message and fifty equal answers")
    func concurrentReplays() async throws {
        try await withHouse { house in
            let pipeline = house.pipeline()
            let submission = try plain()
            let answers = try await withThrowingTaskGroup(of: Receipt.self) { group in
                for _ in 0..<50 {
                    group.addTask {
                        try await pipeline.submit(
                            submission, by: house.caller, through: .http,
                            idempotency: IdempotencyKey(key: "k", digest: [1]))
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(answers.count { !$0.isReplay } == 1)
            #expect(Set(answers.map(\.json)).count == 1)
            #expect(try await house.database.count("smtp_relay_logs") == 1)
        }
    }

    @Test("a refused submission does not use up its key")
    func refusedKey() async throws {
        try await withHouse { house in
            let pipeline = house.pipeline()
            let key = IdempotencyKey(key: "k", digest: [1])
            let wrong = try simple(#"{"from":"sales@evil.example","to":"ann@example.net","text":"t"}"#)
            do throws(PosternError) {
                _ = try await pipeline.submit(wrong, by: house.caller, through: .http, idempotency: key)
                Issue.record("accepted")
            } catch {
                #expect(error.code == .senderDomainNotAllowed)
            }
            let right = IdempotencyKey(key: "k", digest: [2])
            let receipt = try await pipeline.submit(plain(), by: house.caller, through: .http, idempotency: right)
            #expect(!receipt.isReplay)
        }
    }

    @Test("mapping shows the envelopes, judges them, and writes nothing")
    func mapping() async throws {
        try await withHouse { house in
            let scripted = ScriptedDatabase(house.database)
            let pipeline = house.pipeline(on: scripted)
            let mapped = try await pipeline.map(plain(), by: house.caller)
            #expect(mapped.count == 1 && mapped[0].envelopes.map(\.priority) == [5])
            let foreign = try simple(#"{"from":"sales@evil.example","to":"ann@example.net","text":"t"}"#)
            do throws(PosternError) {
                _ = try await pipeline.map(foreign, by: house.caller)
                Issue.record("mapped")
            } catch {
                #expect(error.code == .senderDomainNotAllowed)
            }
            #expect(scripted.writeCount == 0)
            #expect(try await house.rowCount() == 0)
        }
    }

    @Test("a read-only caller may map; one without the scope may not")
    func mayMap() async throws {
        try await withHouse { house in
            let reader = Caller(
                vault: house.vault.id, identity: house.caller.identity, label: "r", scopes: .send, isReadOnly: true)
            let submission = try plain()
            let mapped = try await house.pipeline().map(submission, by: reader)
            #expect(mapped.flatMap(\.envelopes).count == 1)
            let other = Caller(vault: house.vault.id, identity: house.caller.identity, label: "r", scopes: .admin)
            do throws(PosternError) {
                _ = try await house.pipeline().map(submission, by: other)
                Issue.record("mapped")
            } catch {
                #expect(error.code == .forbidden)
            }
        }
    }

    @Test("a message for later is scheduled; a time that is over sends at once")
    func scheduling() async throws {
        try await withHouse { house in
            let messages = MessageRepository(database: house.database)
            let later = try await house.pipeline().submit(
                plain(#","send_at":"2027-01-15T09:00:00Z""#), by: house.caller, through: .http)
            #expect(later.entries[0].status == .scheduled)
            let message = try #require(try await messages.find(later.entries[0].id, in: house.vault.id))
            #expect(message.status == .scheduled && message.sendAt?.description == "2027-01-15T09:00:00.000Z")
            #expect(message.deadline.description == "2027-01-15T10:00:00.000Z")
            #expect(try await house.database.count("outbox", where: "ready = 0") == 1)
            let past = try await house.pipeline().submit(
                plain(#","send_at":"2027-01-15T07:59:59Z""#), by: house.caller, through: .http)
            #expect(past.entries[0].status == .queued)
            #expect(try await messages.find(past.entries[0].id, in: house.vault.id)?.sendAt == nil)
        }
    }

    @Test("a disk without room and a database that fails are temporary refusals")
    func backPressure() async throws {
        try await withHouse { house in
            let full = try await refusal(house, house.pipeline(minimumDisk: .max), plain())
            #expect(full?.code == .storageUnavailable && full?.retryAfter != nil)
            let scripted = ScriptedDatabase(house.database)
            let pipeline = house.pipeline(on: scripted)
            for (code, expected) in [
                (.overloaded, .overloaded), (.unavailable, .storageUnavailable), (.storage, .storageUnavailable),
                (.failure, .internalError), (.constraint, .internalError),
            ] as [(SQLError.Code, ErrorCode)] {
                scripted.failNextWrites([SQLError(code, "secret detail")])
                let error = try await refusal(house, pipeline, plain())
                #expect(error?.code == expected)
                #expect(error?.description.contains("secret detail") == false)
            }
            #expect(try await house.rowCount() == 0)
            #expect(try await refusal(house, pipeline, plain())?.code == nil)
        }
    }

    @Test("two vaults with the same settings keep apart")
    func tenancy() async throws {
        try await withHouse { house in
            let other = try await house.neighbour()
            try await house.vaults.change(TestHouse.settings, in: other.vault.id)
            let pipeline = house.pipeline()
            let first = try await pipeline.submit(plain(), by: house.caller, through: .http)
            let second = try await pipeline.submit(plain(), by: other.caller, through: .http)
            let messages = MessageRepository(database: house.database)
            #expect(try await messages.find(first.entries[0].id, in: other.vault.id)?.id == nil)
            #expect(try await messages.search(MessageQuery(), in: other.vault.id).map(\.id) == second.entries.map(\.id))
        }
    }
}
