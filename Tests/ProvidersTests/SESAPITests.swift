// Amazon SES's operations over a vault on a real database: what is sent, what is asked, what is refused.

import CoreTestSupport
import JSON
import Logging
import Model
import Outbox
import Providers
import Rates
import Store
import Testing

@Suite("SES operations")
struct SESAPITests {
    private static let email =
        "Action=SendEmail&Version=2010-12-01&Source=ada%40example.com"
        + "&Destination.ToAddresses.member.1=bob%40receiver.test&Message.Subject.Data=Hello"
        + "&Message.Body.Text.Data=Hello+there"
    private static let path = "/v2/email/outbound-emails"
    private static let document = """
        {"FromEmailAddress": "ada@example.com", "Destination": {"ToAddresses": ["a@receiver.test", "b@receiver.test"]},
         "Content": {"Simple": {"Subject": {"Data": "Hello"}, "Body": {"Text": {"Data": "Hello there"}}}}}
        """

    @Test(
        "a query that sends is answered with the id under which the message is in the log",
        arguments: [("POST", true), ("POST", false), ("GET", false)])
    func sendByQuery(_ method: String, _ isInBody: Bool) async throws {
        try await withHouse { house in
            let account = Account(house)
            let answer = try await account.call(
                method, query: isInBody ? "" : Self.email, body: isInBody ? Self.email : "")
            #expect(answer.status == 200)
            #expect(answer.text.hasPrefix("<SendEmailResponse xmlns=\"http://ses.amazonaws.com/doc/2010-12-01/\">"))
            let id = try #require(answer.element("MessageId").first)
            let message = try #require(try await account.find(id))
            #expect(message.recipient == "bob@receiver.test")
            #expect(answer.element("RequestId") == ["req-1"])
        }
    }

    @Test("a document that sends is answered with the id of its first message")
    func sendByDocument() async throws {
        try await withHouse { house in
            let account = Account(house)
            let answer = try await account.call(path: "/v2/email/outbound-emails", body: Self.document)
            #expect(answer.status == 200)
            let id = try #require(try answer.json["MessageId"]?.stringValue)
            #expect(try await account.find(id)?.recipient == "a@receiver.test")
            #expect(try await account.count() == 2)
        }
    }

    @Test("a call that a client repeats is one message, another call is another")
    func invocations() async throws {
        try await withHouse { house in
            let account = Account(house)
            var ids: [String] = []
            for invocation in ["one", "one", "two"] {
                let answer = try await account.call(
                    headers: [("amz-sdk-invocation-id", invocation)], body: Self.email)
                ids += answer.element("MessageId")
            }
            #expect(ids.count == 3 && ids[0] == ids[1] && ids[0] != ids[2])
            #expect(try await account.count() == 2)
            await #expect(throws: PosternError.self, "the same call with another body") {
                try await account.call(headers: [("amz-sdk-invocation-id", "one")], body: Self.email + "!")
            }
        }
    }

    @Test("an action that is not offered is named, and so is a missing one")
    func actions() async throws {
        try await withHouse { house in
            let account = Account(house)
            let unknown = try await account.call(body: "Action=Delete%3CIdentity&Identity=example.com")
            #expect(unknown.status == 400)
            #expect(unknown.element("Code") == ["InvalidAction"])
            #expect(unknown.element("Message")[0].contains("Delete&lt;Identity"))
            #expect(try await account.call(body: "Version=2010-12-01").element("Code") == ["MissingAction"])
            #expect(try await account.call(body: "").element("Code") == ["MissingAction"])
        }
    }

    @Test("templates are refused by name, in each of their three places")
    func templates() async throws {
        try await withHouse { house in
            let account = Account(house)
            for body in ["Action=SendTemplatedEmail&Template=t", "Action=SendBulkTemplatedEmail&Template=t"] {
                let error = await #expect(throws: PosternError.self) { try await account.call(body: body) }
                #expect(error?.code == .unsupportedFeature && error?.detail.contains("templates") == true)
            }
            let error = await #expect(throws: PosternError.self) {
                try await account.call(path: "/v2/email/outbound-bulk-emails", body: "{}")
            }
            #expect(error?.code == .unsupportedFeature && error?.detail.contains("templates") == true)
        }
    }

    @Test(
        "bodies that are no form and no document are refused",
        arguments: [
            ("/", "Action=%GG"), ("/", "=x"), ("/v2/email/outbound-emails", "{"), ("/v2/email/outbound-emails", ""),
        ])
    func malformed(_ path: String, _ body: String) async throws {
        try await withHouse { house in
            let error = await #expect(throws: PosternError.self) {
                try await Account(house).call(path: path, body: body)
            }
            #expect(error?.code == (path == "/" ? .malformedForm : .malformedJSON))
        }
    }

    // MARK: The account

    @Test("a vault without limits has no quota, and counts what was sent in a day", arguments: TestEngine.all)
    func unlimited(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let account = Account(house)
            _ = try await account.call(path: "/v2/email/outbound-emails", body: Self.document)
            let quota = try await account.call(body: "Action=GetSendQuota")
            #expect(quota.element("Max24HourSend") == ["-1.0"])
            #expect(quota.element("MaxSendRate") == ["1000.0"])
            #expect(quota.element("SentLast24Hours") == ["2.0"])
            house.clock.advance(seconds: 86_401)
            #expect(try await account.call(body: "Action=GetSendQuota").element("SentLast24Hours") == ["0.0"])
        }
    }

    @Test("the quota is that of the tightest limit")
    func limited() async throws {
        let limits = TestHouse.settings.changing([
            "send_rate_limit": .integer(72_000), "key_send_rate_limit": .integer(36_000),
            "key_burst_ceiling": .integer(10),
        ])
        try await withHouse(settings: limits) { house in
            let account = Account(house)
            let quota = try await account.call(body: "Action=GetSendQuota")
            #expect(quota.element("Max24HourSend") == ["864000.0"])
            #expect(quota.element("MaxSendRate") == ["10.0"])
            var slow = house.caller
            slow.limits = [KeyRateLimit(key: house.ids.next(), limit: RateLimit(perHour: 100, burst: 5))]
            let own = try await Account(house, slow).call(body: "Action=GetSendQuota")
            #expect(own.element("Max24HourSend") == ["2400.0"])
            #expect(own.element("MaxSendRate") == ["1.0"], "tools divide by the whole part")
        }
    }

    @Test("the account says of shadow mode what SES says of its sandbox", arguments: [true, false])
    func account(_ isLive: Bool) async throws {
        try await withHouse(settings: TestHouse.settings.changing(["live_send_enabled": .bool(isLive)])) { house in
            let account = try await Account(house).call("GET", path: "/v2/email/account").json
            #expect(account["ProductionAccessEnabled"] == .bool(isLive))
            #expect(account["SendingEnabled"] == .bool(true))
            let sent = account["SendQuota"]?.objectValue?["SentLast24Hours"]
            #expect(sent == .integer(0) || sent == .number(0))
            let enabled = try await Account(house).call(body: "Action=GetAccountSendingEnabled")
            #expect(enabled.element("Enabled") == ["true"])
        }
    }

    @Test("statistics tell quarters of an hour apart", arguments: TestEngine.all)
    func statistics(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let account = Account(house)
            #expect(try await account.call(body: "Action=GetSendStatistics").element("DeliveryAttempts") == [])
            _ = try await account.call(body: Self.email)
            house.clock.advance(seconds: 1800)
            _ = try await account.call(path: "/v2/email/outbound-emails", body: Self.document)
            let statistics = try await account.call(body: "Action=GetSendStatistics")
            #expect(statistics.element("DeliveryAttempts") == ["1", "2"])
            #expect(statistics.element("Bounces") == ["0", "0"])
            #expect(statistics.element("Timestamp") == ["2027-01-15T08:00:00.000Z", "2027-01-15T08:30:00.000Z"])
        }
    }

    @Test("another vault's mail is not counted")
    func tenancy() async throws {
        try await withHouse { house in
            _ = try await Account(house).call(body: Self.email)
            let neighbour = try await house.neighbour()
            let account = Account(house, neighbour.caller)
            #expect(try await account.call(body: "Action=GetSendQuota").element("SentLast24Hours") == ["0.0"])
            #expect(try await account.call(body: "Action=GetSendStatistics").element("DeliveryAttempts") == [])
            #expect(try await account.call(body: "Action=ListIdentities").text.contains("example.com") == false)
        }
    }

    @Test("who may not read the log, or not all of it, is told of its own mail only", arguments: TestEngine.all)
    func ownCounts(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            func caller(_ label: String, _ scopes: Scopes, prefix: String? = nil) -> Caller {
                var caller = Caller(
                    vault: house.vault.id, identity: .key(house.ids.next()), label: label, scopes: scopes)
                caller.labelPrefix = prefix
                return caller
            }
            let sender = caller("crm-a", .send)
            for other in [house.caller, caller("crm-a", .send), caller("crm-b", .send)] {
                _ = try await Account(house, other).call(body: Self.email)
            }
            for (asking, own, all) in [
                (sender, 2, false), (caller("crm-c", [.send, .read], prefix: "crm-"), 2, false),
                (caller("reader", .read), 0, true), (caller("admin", .admin), 0, true),
            ] {
                let before = try await Account(house).count()
                if own > 0 { _ = try await Account(house, asking).call(path: Self.path, body: Self.document) }
                let account = Account(house, asking)
                let expected = all ? before : own
                let quota = try await account.call(body: "Action=GetSendQuota")
                #expect(quota.element("SentLast24Hours") == ["\(Double(expected))"], "\(asking.label)")
                let points = try await account.call(body: "Action=GetSendStatistics")
                #expect(points.element("DeliveryAttempts") == ["\(expected)"], "\(asking.label)")
                let sent = try await account.call("GET", path: "/v2/email/account")
                    .json["SendQuota"]?.objectValue?["SentLast24Hours"]
                #expect(
                    sent == .integer(Int64(expected)) || sent == .number(Double(expected)), "\(asking.label)")
            }
        }
    }

    @Test("a count looks at so many rows and no more, the newest, those of a label's other callers included")
    func countedRows() async throws {
        #expect(MessageRepository.countedRows <= 50_000)
        try await withHouse { house in
            let messages = MessageRepository(database: house.database)
            let since = Timestamp(milliseconds: 0)
            let namesake = Caller(
                vault: house.vault.id, identity: .key(house.ids.next()), label: house.caller.label, scopes: .send)
            for caller in [house.caller, house.caller, namesake] {
                _ = try await Account(house, caller).call(body: Self.email)
                house.clock.advance(seconds: 1800)
            }
            #expect(try await messages.count(since: since, in: house.vault.id, rows: 2) == 2)
            #expect(try await messages.count(since: since, by: house.caller, in: house.vault.id) == 2)
            #expect(try await messages.count(since: since, by: house.caller, in: house.vault.id, rows: 2) == 1)
            let all = try await messages.statistics(since: since, per: 900, in: house.vault.id)
            let newest = try await messages.statistics(since: since, per: 900, in: house.vault.id, rows: 2)
            #expect(all.count == 3 && newest == Array(all.dropFirst()))
        }
    }

    // MARK: Identities

    @Test("identities are the domains that the caller may send from, page by page")
    func identities() async throws {
        let domains: [JSONValue] = ["a.test", "b.test", "*.c.test"].map(JSONValue.string)
        let settings = TestHouse.settings.changing(["allowed_sender_domains": .array(domains)])
        try await withHouse(settings: settings) { house in
            let account = Account(house)
            let all = try await account.call(body: "Action=ListIdentities")
            #expect(all.element("member") == ["a.test", "b.test", "*.c.test"])
            #expect(all.element("NextToken") == [])
            let first = try await account.call(body: "Action=ListIdentities&MaxItems=2&IdentityType=Domain")
            #expect(first.element("member") == ["a.test", "b.test"])
            let token = try #require(first.element("NextToken").first)
            let second = try await account.call(body: "Action=ListIdentities&MaxItems=2&NextToken=\(token)")
            #expect(second.element("member") == ["*.c.test"])
            #expect(second.element("NextToken") == [])
            #expect(
                try await account.call(body: "Action=ListIdentities&IdentityType=EmailAddress").element("member") == [])
            #expect(try await account.call(body: "Action=ListVerifiedEmailAddresses").element("member") == [])
            for wrong in ["MaxItems=0", "MaxItems=1001", "MaxItems=x", "NextToken=z.test", "IdentityType=Phone"] {
                let error = await #expect(throws: PosternError.self, "\(wrong)") {
                    try await account.call(body: "Action=ListIdentities&\(wrong)")
                }
                #expect(error?.code == .validationFailed)
            }
            var narrow = house.caller
            narrow.senderDomains = [try #require(DomainPattern("b.test"))]
            #expect(
                try await Account(house, narrow).call(body: "Action=ListIdentities").element("member") == ["b.test"])
        }
    }

    @Test("what may be a sender is verified already, what may not is not")
    func verification() async throws {
        try await withHouse { house in
            let account = Account(house)
            let answer = try await account.call(
                body: "Action=GetIdentityVerificationAttributes&Identities.member.1=example.com"
                    + "&Identities.member.2=other.test&Identities.member.3=ada%40example.com")
            #expect(answer.element("key") == ["example.com", "ada@example.com"])
            #expect(answer.element("VerificationStatus") == ["Success", "Success"])
            let verified = try await account.call(body: "Action=VerifyEmailIdentity&EmailAddress=ada%40example.com")
            #expect(
                verified.status == 200
                    && verified.text.contains("<VerifyEmailIdentityResult></VerifyEmailIdentityResult>"))
            for address in ["ada%40other.test", "", "x"] {
                let error = await #expect(throws: PosternError.self) {
                    try await account.call(body: "Action=VerifyEmailIdentity&EmailAddress=\(address)")
                }
                #expect(error?.code == .validationFailed)
            }
        }
    }

    // MARK: Rights

    @Test("a key that may only read asks, and does not send")
    func rights() async throws {
        try await withHouse { house in
            let reader = Caller(vault: house.vault.id, identity: .key(house.ids.next()), label: "reader", scopes: .read)
            let account = Account(house, reader)
            let quota = try await account.call(body: "Action=GetSendQuota")
            #expect(quota.status == 200)
            let error = await #expect(throws: PosternError.self) { try await account.call(body: Self.email) }
            #expect(error?.code == .forbidden)
            let count = try await account.count()
            #expect(count == 0)
        }
    }
}

/// The operations as one caller has them.
private struct Account {
    let house: TestHouse
    let caller: Caller
    let services: ProviderServices

    init(_ house: TestHouse, _ caller: Caller? = nil) {
        self.house = house
        self.caller = caller ?? house.caller
        services = ProviderServices(
            pipeline: house.pipeline(), messages: MessageRepository(database: house.database), vaults: house.vaults,
            limiter: RateLimiter(
                database: house.database, isShared: false, clock: house.clock, logger: Logger(label: "tests")),
            clock: house.clock)
    }

    func call(
        _ method: String = "POST",
        path: String = "/",
        query: String = "",
        headers: [(name: String, value: String)] = [],
        body: String = ""
    ) async throws -> ProviderAnswer {
        let operation = SESAPI().operations.first { $0.method == method && $0.path == path }
        let request = ProviderRequest(
            method: method, path: "/ses" + path, query: query, headers: headers, body: Array(body.utf8),
            requestID: "req-1")
        return try await #require(operation).handle(request, caller, services)
    }

    func find(_ id: String) async throws -> Message? {
        try await services.messages.find(try #require(MessageID(id)), in: house.vault.id)
    }

    func count() async throws -> Int {
        try await services.messages.count(since: Timestamp(milliseconds: 0), in: house.vault.id)
    }
}

extension ProviderAnswer {
    fileprivate var text: String { String(decoding: body, as: UTF8.self) }

    fileprivate var json: JSONObject {
        get throws { try JSONParser.parse(body).objectValue ?? JSONObject() }
    }

    /// The texts of all elements of a name that have nothing but text in them.
    fileprivate func element(_ name: String) -> [String] {
        text.split(separator: "<\(name)>", omittingEmptySubsequences: false).dropFirst().compactMap { rest in
            guard let end = rest.firstRange(of: "</\(name)>") else { return nil }
            let inner = rest[..<end.lowerBound]
            return inner.contains("<") ? nil : String(inner)
        }
    }
}
