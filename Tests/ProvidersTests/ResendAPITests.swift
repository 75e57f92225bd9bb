// Resend's way in: its key, its answers, an email that is all of its copies, its two kinds of batch, and its names for errors.

import CoreTestSupport
import JSON
import Model
import Sealing
import Store
import Testing

@testable import Providers

@Suite("Resend's API")
struct ResendAPITests {
    private static let email = #"{"from":"A <a@example.com>","to":"b@r.test","subject":"Hi","html":"<p>x</p>"}"#

    @Test("a key that is not there is another error than one that is wrong")
    func credentials() throws {
        let api = ResendAPI()
        let key = try api.credentials(.post("/resend/emails", headers: [("authorization", "bearer ak_1")]))
        #expect(key.reveal() == "ak_1")
        let missing = #expect(throws: PosternError.self) { try api.credentials(.post("/resend/emails")) }
        let answer = api.refusal(try #require(missing), requestID: "", path: "")
        #expect(try (answer.status, answer.object["name"]) == (401, .string("missing_api_key")))
        let wrong = api.refusal(PosternError(.unauthorized, "no such key"), requestID: "", path: "")
        #expect(try (wrong.status, wrong.object["name"]) == (403, .string("invalid_api_key")))
    }

    @Test(
        "an error has Resend's name and status",
        arguments: [
            (ErrorCode.forbidden, 401, "restricted_api_key"), (.senderDomainNotAllowed, 403, "validation_error"),
            (.malformedJSON, 400, "validation_error"), (.validationFailed, 422, "validation_error"),
            (.unsupportedFeature, 422, "validation_error"), (.notFound, 404, "not_found"),
            (.methodNotAllowed, 405, "method_not_allowed"), (.idempotencyConflict, 409, "invalid_idempotent_request"),
            (.rateLimited, 429, "rate_limit_exceeded"), (.repeatedMessage, 429, "rate_limit_exceeded"),
            (.messageTooLarge, 413, "validation_error"), (.storageUnavailable, 503, "internal_server_error"),
            (.internalError, 500, "internal_server_error"),
        ])
    func errors(_ code: ErrorCode, _ status: Int, _ name: String) throws {
        let answer = ResendAPI().refusal(PosternError(code, "so it is"), requestID: "req", path: "/resend/emails")
        let body = try answer.object
        #expect(answer.status == status)
        #expect((body["statusCode"], body["name"]) == (.integer(Int64(status)), .string(name)))
        #expect(body["message"]?.stringValue?.contains("so it is") == true)
    }

    @Test("an idempotency key that cannot be one, and a field that is missing, have names of their own")
    func ownNames() async throws {
        try await withHouse { house in
            let services = house.services()
            let tooLong = ("idempotency-key", String(repeating: "k", count: 257))
            let refused = await #expect(throws: PosternError.self) {
                try await ResendSending.one(
                    .post("/resend/emails", headers: [tooLong], body: Self.email), house.caller, services)
            }
            let answer = ResendAPI().refusal(try #require(refused), requestID: "", path: "")
            #expect(try (answer.status, answer.object["name"]) == (400, .string("invalid_idempotency_key")))
            let incomplete = ProviderRequest.post("/resend/emails", body: #"{"to":"b@r.test"}"#)
            let missing = await #expect(throws: PosternError.self) {
                try await ResendSending.one(incomplete, house.caller, services)
            }
            let other = ResendAPI().refusal(try #require(missing), requestID: "", path: "")
            #expect(try (other.status, other.object["name"]) == (422, .string("missing_required_field")))
        }
    }

    @Test("an email is read and cancelled by the id of any of its copies, by those who may see it")
    func email() async throws {
        try await withHouse { house in
            let services = house.services()
            let body = """
                {"from":"A <a@example.com>","to":["b@r.test","C <c@r.test>"],"subject":"Hi","text":"x",
                 "reply_to":"help@example.com","scheduled_at":"\(house.clock.now().adding(seconds: 60))"}
                """
            let sent = try await ResendSending.one(.post("/resend/emails", body: body), house.caller, services)
            let id = try #require(try sent.object["id"]?.stringValue)
            let messages = try await services.messages.search(MessageQuery(), in: house.vault.id)
            #expect(messages.count == 2)
            for message in messages {
                let request = ProviderRequest.post("/resend/emails/x", parameters: ["id": message.id.text])
                let shown = try await ResendEmails.show(request, house.caller, services).object
                #expect((shown["object"], shown["id"]) == (.string("email"), .string(message.id.text)))
                #expect(shown["from"] == .string("A <a@example.com>"))
                #expect(shown["to"] == .array([.string("b@r.test"), .string("c@r.test")]))
                #expect(shown["reply_to"] == .array([.string("help@example.com")]))
                #expect(shown["last_event"] == .string("scheduled"))
                var narrow = house.caller
                narrow.labelPrefix = "other"
                await #expect(throws: PosternError.self) { try await ResendEmails.show(request, narrow, services) }
                let neighbour = Caller(
                    vault: VaultID(high: 1, low: 1), identity: .key(house.ids.next()), label: "tests", scopes: .all)
                await #expect(throws: PosternError.self) { try await ResendEmails.show(request, neighbour, services) }
                await #expect(throws: PosternError.self) {
                    try await ResendEmails.cancel(request, neighbour, services)
                }
            }
            let request = ProviderRequest.post("/resend/emails/x/cancel", parameters: ["id": id])
            for _ in 0..<2 {
                let answer = try await ResendEmails.cancel(request, house.caller, services).object
                #expect((answer["object"], answer["id"]) == (.string("email"), .string(id)))
            }
            let after = try await services.messages.search(MessageQuery(), in: house.vault.id)
            #expect(after.map(\.status) == [.cancelled, .cancelled])
        }
    }

    @Test("an id that is none, or of nothing, is not found", arguments: ["", "x", "msg_0000000000000000", "msg_'; --"])
    func noSuchEmail(_ id: String) async throws {
        try await withHouse { house in
            let refused = await #expect(throws: PosternError.self) {
                try await ResendEmails.show(
                    .post("/resend/emails/x", parameters: ["id": id]), house.caller, house.services())
            }
            #expect(refused?.code == .notFound)
        }
    }

    @Test("a strict batch goes as a whole or not at all")
    func strict() async throws {
        try await withHouse { house in
            let services = house.services()
            let answer = try await ResendSending.batch(
                .post("/resend/emails/batch", body: "[\(Self.email),\(Self.email)]"), house.caller, services)
            #expect(try answer.object["data"]?.arrayValue?.count == 2)
            await #expect(throws: PosternError.self) {
                try await ResendSending.batch(
                    .post("/resend/emails/batch", body: "[\(Self.email),{}]"), house.caller, services)
            }
            #expect(try await house.database.count("smtp_relay_logs") == 2)
        }
    }

    @Test("a permissive batch goes as far as it is valid, and says what is not")
    func permissive() async throws {
        try await withHouse { house in
            let headers = [("x-batch-validation", "permissive"), ("idempotency-key", "k")]
            let request = ProviderRequest.post(
                "/resend/emails/batch", headers: headers, body: "[{},\(Self.email),[],\(Self.email)]")
            for _ in 0..<2 {
                let answer = try await ResendSending.batch(request, house.caller, house.services()).object
                #expect(answer["data"]?.arrayValue?.count == 2)
                let errors = answer["errors"]?.arrayValue?.compactMap(\.objectValue) ?? []
                #expect(errors.map { $0["index"] } == [.integer(0), .integer(2)])
                #expect(errors.allSatisfy { $0["message"]?.stringValue?.isEmpty == false })
            }
            #expect(try await house.database.count("smtp_relay_logs") == 2, "the repeat is the same emails")
            for value in ["lenient", ""] {
                await #expect(throws: PosternError.self) {
                    try await ResendSending.batch(
                        .post("/x", headers: [("x-batch-validation", value)], body: "[]"), house.caller,
                        house.services())
                }
            }
        }
    }

    @Test("a permissive batch takes any key that one email may have, and no other")
    func permissiveKeys() async throws {
        try await withHouse { house in
            func send(_ key: String) async throws -> ProviderAnswer {
                let headers = [("x-batch-validation", "permissive"), ("idempotency-key", key)]
                return try await ResendSending.batch(
                    .post("/resend/emails/batch", headers: headers, body: "[\(Self.email),\(Self.email)]"),
                    house.caller, house.services())
            }
            let longest = String(repeating: "k", count: 256)
            for _ in 0..<2 {
                let answer = try await send(longest).object
                #expect((answer["data"]?.arrayValue?.count, answer["errors"]) == (2, .array([])))
            }
            #expect(try await house.database.count("smtp_relay_logs") == 2, "the repeat is the same emails")
            let refused = await #expect(throws: PosternError.self) { try await send(longest + "k") }
            let answer = ResendAPI().refusal(try #require(refused), requestID: "", path: "")
            #expect(try (answer.status, answer.object["name"]) == (400, .string("invalid_idempotency_key")))
        }
    }

    @Test("a file of many bytes may come as numbers, and one of too many may not")
    func numbers() async throws {
        try await withHouse { house in
            func email(_ count: Int) -> ProviderRequest {
                let bytes = Array(repeating: "7", count: count).joined(separator: ",")
                return .post(
                    "/resend/emails",
                    body: """
                        {"from":"a@example.com","to":"b@r.test","text":"x",
                         "attachments":[{"filename":"a.bin","content":[\(bytes)]}]}
                        """)
            }
            _ = try await ResendSending.one(email(150_000), house.caller, house.services())
            let refused = await #expect(throws: PosternError.self) {
                try await ResendSending.one(email(2_000_001), house.caller, house.services())
            }
            #expect(refused?.code == .malformedJSON)
        }
    }
}
