// SendGrid's way of showing a key, and its form of errors.

import JSON
import Model
import Sealing
import Testing

@testable import Providers

@Suite("SendGrid's API")
struct SendGridAPITests {
    private let api = SendGridAPI()

    private func errors(_ error: PosternError) throws -> [JSONObject] {
        let answer = api.refusal(error, requestID: "req_1", path: "/sendgrid/v3/mail/send")
        let document = try JSONParser.parse(answer.body).objectValue
        #expect(document?.members.map(\.name) == ["errors"])
        return try #require(document?["errors"]?.arrayValue).compactMap(\.objectValue)
    }

    @Test("the key is the bearer's", arguments: ["Bearer ak_1", "bearer  ak_1", "BEARER ak_1"])
    func key(_ field: String) throws {
        let request = ProviderRequest(
            method: "POST", path: "/sendgrid/v3/mail/send", headers: [("authorization", field)])
        #expect(try api.credentials(request).reveal() == "ak_1")
    }

    @Test("without one the request is not signed in", arguments: [nil, "", "Bearer", "Bearer ", "Basic YTpi", "ak_1"])
    func noKey(_ field: String?) {
        let headers = field.map { [(name: "authorization", value: $0)] } ?? []
        let error = #expect(throws: PosternError.self) {
            try api.credentials(ProviderRequest(method: "POST", path: "/sendgrid/v3/mail/send", headers: headers))
        }
        #expect(error?.code == .unauthorized)
    }

    @Test("every error has the one form, and a status that SendGrid's clients know", arguments: ErrorCode.allCases)
    func complete(_ code: ErrorCode) throws {
        let error = PosternError(code, "the \"case\"")
        for entry in try errors(error) {
            #expect(entry.members.map(\.name) == ["message", "field", "help"])
            #expect(entry["message"]?.stringValue?.isEmpty == false)
            #expect(entry["help"]?.stringValue?.hasPrefix(code.rawValue) == true)
        }
        let status = api.refusal(error, requestID: "req_1", path: "").status
        #expect(status != 422 && (400..<600).contains(status))
        #expect((status >= 500) == (code.entry.httpStatus >= 500), "who is to blame")
    }

    @Test("each problem is an error with its field in dots")
    func fields() throws {
        let entries = try errors(
            .validation([
                JSONProblem(pointer: "/personalizations/0/to/1/email", message: "is not an email address"),
                JSONProblem(pointer: "/headers/X~1A~0B", message: "is reserved"),
                JSONProblem(pointer: "", message: "expected an object"),
            ]))
        #expect(
            entries.map { $0["field"] } == [.string("personalizations.0.to.1.email"), .string("headers.X/A~B"), .null])
        #expect(entries[0]["message"]?.stringValue == "personalizations.0.to.1.email is not an email address")
        #expect(entries[2]["message"]?.stringValue == "The payload expected an object")
    }

    @Test("a wrong key and a sender that is not allowed are told in SendGrid's words and fields")
    func known() throws {
        let unauthorized = try errors(PosternError(.unauthorized, "the key was revoked"))
        #expect(unauthorized.count == 1 && unauthorized[0]["field"] == .null)
        #expect(unauthorized[0]["message"]?.stringValue?.hasPrefix("The provided authorization grant") == true)
        #expect(try errors(PosternError(.senderDomainNotAllowed, "no")).map { $0["field"] } == [.string("from")])
    }

    @Test("a limit that was hit is told in SendGrid's header fields")
    func limit() {
        let rate = RateStatus(name: "vault", limit: RateLimit(perHour: 10, burst: 5), remaining: 0, resetSeconds: 9)
        let answer = api.refusal(
            PosternError(.rateLimited, "too many", retryAfter: 360, rate: rate), requestID: "req_1", path: "")
        #expect(answer.status == 429)
        let fields = Dictionary(uniqueKeysWithValues: answer.headers.map { ($0.name, $0.value) })
        #expect(fields["X-RateLimit-Limit"] == "10")
        #expect(fields["X-RateLimit-Remaining"] == "0")
        #expect(fields["X-RateLimit-Reset"] == "9")
    }
}
