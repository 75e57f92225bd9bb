// Postmark's way in: its key, its answers, its batches of which each message stands for itself, and its numbers for errors.

import CoreTestSupport
import JSON
import Model
import SQL
import Sealing
import Testing

@testable import Providers

@Suite("Postmark's API")
struct PostmarkAPITests {
    @Test("the same paths answer below /postmark and at the root, and go by one setting")
    func paths() {
        let paths = PostmarkAPI.all.flatMap { api in api.operations.map { "\($0.method) \(api.base)\($0.path)" } }
        let known = [
            "POST /email", "POST /email/batch", "POST /email/withTemplate", "POST /email/batchWithTemplates",
            "GET /server",
        ]
        let based = known.map { $0.split(separator: " ").joined(separator: " /postmark") }
        #expect(Set(paths) == Set(known + based))
        #expect(paths.count == Set(paths).count)
    }

    @Test("auth_mode has one entry for an operation, however its path is written")
    func settingsPaths() throws {
        for api in PostmarkAPI.all {
            for operation in api.operations {
                let path = api.base + operation.path
                let twin = path.hasPrefix("/postmark/") ? path : "/postmark" + path
                #expect(api.settingsBase + operation.path == twin)
            }
        }
        let modes = try AuthModes(environment: "both,/postmark/email=smtp")
        let alias = try #require(PostmarkAPI.all.first { $0.base == "/email" })
        #expect(alias.operations.map { modes.mode(for: alias.settingsBase + $0.path) }.allSatisfy { $0 == .smtp })
    }

    @Test("a key is the server token, and an empty one is none")
    func credentials() throws {
        let api = PostmarkAPI.all[0]
        let key = try api.credentials(.post("/postmark/email", headers: [("x-postmark-server-token", "ak_1")]))
        #expect(key.reveal() == "ak_1")
        for headers in [[], [("x-postmark-server-token", "")], [("authorization", "Bearer ak_1")]] {
            #expect(throws: PosternError.self) { try api.credentials(.post("/postmark/email", headers: headers)) }
        }
    }

    @Test(
        "an error has Postmark's number and status",
        arguments: [
            (ErrorCode.unauthorized, 401, 10), (.senderDomainNotAllowed, 422, 400), (.malformedJSON, 422, 402),
            (.forbidden, 422, 405), (.approvalRequired, 422, 405), (.unsupportedMediaType, 415, 409),
            (.rateLimited, 429, 429), (.repeatedMessage, 429, 429), (.validationFailed, 422, 300),
            (.unsupportedFeature, 422, 300), (.messageTooLarge, 413, 300), (.notFound, 404, 300),
            (.methodNotAllowed, 405, 300), (.idempotencyConflict, 422, 300), (.storageUnavailable, 503, 100),
            (.overloaded, 503, 100), (.internalError, 500, 100),
        ])
    func errors(_ code: ErrorCode, _ status: Int, _ number: Int) throws {
        let answer = PostmarkAPI.all[1].refusal(PosternError(code, "so it is"), requestID: "req", path: "/email")
        #expect(answer.status == status)
        let body = try answer.object
        #expect(body["ErrorCode"] == .integer(Int64(number)))
        #expect(body["Message"]?.stringValue?.contains("so it is") == true)
    }

    @Test("no error has the number 0, which says that all is well")
    func noZero() throws {
        for code in ErrorCode.allCases {
            let answer = PostmarkAPI.all[0].refusal(PosternError(code, "x"), requestID: "", path: "")
            #expect(try answer.object["ErrorCode"] != .integer(0))
            #expect(answer.status >= 400)
        }
    }

    @Test("a message is answered with the addresses as they came, and the id of its first copy")
    func one() async throws {
        try await withHouse { house in
            let answer = try await PostmarkSending.one(
                .post(
                    "/postmark/email",
                    body: #"{"From":"a@example.com","To":"B <b@r.test>, c@r.test","Bcc":"d@r.test","TextBody":"x"}"#),
                house.caller, house.services())
            let body = try answer.object
            #expect(body["To"] == .string("B <b@r.test>, c@r.test"))
            #expect((body["Cc"], body["Bcc"]) == (nil, .string("d@r.test")))
            #expect((body["ErrorCode"], body["Message"]) == (.integer(0), .string("OK")))
            #expect(body["SubmittedAt"] == .string(house.clock.now().description))
            #expect(body["MessageID"]?.stringValue.flatMap(MessageID.init) != nil)
            #expect(try await house.database.count("smtp_relay_logs") == 3)
        }
    }

    @Test("each message of a batch is accepted or refused on its own")
    func batch() async throws {
        try await withHouse { house in
            let answer = try await PostmarkSending.batch(
                .post(
                    "/email/batch",
                    body: """
                        [{"From":"a@example.com","To":"b@r.test","TextBody":"x"}, 7, {"To":"b@r.test"},
                         {"From":"a@elsewhere.test","To":"b@r.test","TextBody":"x"},
                         {"From":"a@example.com","To":"c@r.test","TextBody":"x"}]
                        """),
                house.caller, house.services())
            #expect(answer.status == 200)
            #expect(try answer.numbers == [0, 300, 300, 400, 0])
            #expect(try await house.database.count("smtp_relay_logs") == 2)
        }
    }

    @Test("what stands still for all is tried once; before any yes it is the answer to the whole")
    func standstill() async throws {
        try await withHouse { house in
            let scripted = ScriptedDatabase(house.database)
            let services = house.services(on: scripted)
            let message = #"{"From":"a@example.com","To":"b@r.test","TextBody":"x"}"#
            let batch = ProviderRequest.post("/email/batch", body: "[\(message),\(message),\(message)]")
            scripted.failNextWrites([SQLError(.unavailable, "not now")])
            let refused = await #expect(throws: PosternError.self) {
                try await PostmarkSending.batch(batch, house.caller, services)
            }
            #expect(refused?.code == .storageUnavailable)
            #expect(scripted.writeCount == 1, "the others were not tried")
            let rows = try await house.database.count("smtp_relay_logs")
            #expect(rows == 0)
        }
    }

    @Test("a batch has at most 500 messages, and is an array")
    func batchLimits() async throws {
        try await withHouse { house in
            let many = "[" + Array(repeating: "{}", count: 501).joined(separator: ",") + "]"
            let answer = try await PostmarkSending.batch(
                .post("/email/batch", body: many), house.caller, house.services())
            #expect(answer.status == 422)
            #expect(try answer.object["ErrorCode"] == .integer(410))
            await #expect(throws: PosternError.self) {
                try await PostmarkSending.batch(.post("/email/batch", body: "{}"), house.caller, house.services())
            }
            await #expect(throws: PosternError.self) {
                try await PostmarkSending.one(.post("/email", body: "[]"), house.caller, house.services())
            }
        }
    }

    @Test("a batch takes any key that one email may have, and one that none may have is refused as a whole")
    func batchKeys() async throws {
        try await withHouse { house in
            let message = #"{"From":"a@example.com","To":"b@r.test","TextBody":"x"}"#
            func send(_ key: String) async throws -> ProviderAnswer {
                try await PostmarkSending.batch(
                    .post("/email/batch", headers: [("idempotency-key", key)], body: "[\(message),\(message)]"),
                    house.caller, house.services())
            }
            let longest = String(repeating: "k", count: 256)
            for _ in 0..<2 {
                let numbers = try await send(longest).numbers
                #expect(numbers == [0, 0])
            }
            #expect(try await house.database.count("smtp_relay_logs") == 2, "the repeat is the same messages")
            let refused = await #expect(throws: PosternError.self) { try await send(longest + "k") }
            #expect(refused?.code == .validationFailed)
        }
    }

    @Test("no key of a single email meets a part of a batch")
    func partsOfTheirOwn() async throws {
        try await withHouse { house in
            let message = #"{"From":"a@example.com","To":"b@r.test","TextBody":"x"}"#
            _ = try await PostmarkSending.batch(
                .post("/email/batch", headers: [("idempotency-key", "a")], body: "[\(message),\(message)]"),
                house.caller, house.services())
            for key in ["a", "a#0", "a#1"] {
                let answer = try await PostmarkSending.one(
                    .post("/email", headers: [("idempotency-key", key)], body: message), house.caller,
                    house.services())
                #expect(try answer.object["ErrorCode"] == .integer(0), "\(key)")
            }
            #expect(try await house.database.count("smtp_relay_logs") == 5)
        }
    }

    @Test("templates are refused by name")
    func templates() async throws {
        try await withHouse { house in
            let refused = await #expect(throws: PosternError.self) {
                try await PostmarkSending.template(.post("/email/withTemplate"), house.caller, house.services())
            }
            #expect(refused?.code == .unsupportedFeature)
            #expect(refused?.detail.contains("TemplateId") == true)
        }
    }
}

extension ProviderAnswer {
    fileprivate var numbers: [Int64] {
        get throws {
            try (JSONParser.parse(body).arrayValue ?? []).map { $0.objectValue?["ErrorCode"]?.integerValue ?? -1 }
        }
    }
}
