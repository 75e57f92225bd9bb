// Mailgun's way of showing a key, and its form of errors.

import JSON
import Model
import Sealing
import Testing

@testable import Providers

@Suite("Mailgun's API")
struct MailgunAPITests {
    private let api = MailgunAPI()

    private func message(_ error: PosternError) throws -> String {
        let answer = api.refusal(error, requestID: "req_1", path: "/mailgun/v3/example.com/messages")
        let document = try JSONParser.parse(answer.body).objectValue
        #expect(document?.members.map(\.name) == ["message"])
        return try #require(document?["message"]?.stringValue)
    }

    @Test("the key is the password of the user api", arguments: ["Basic YXBpOmFrXzE6Mg==", "basic YXBpOmFrXzE6Mg=="])
    func key(_ field: String) throws {
        let request = ProviderRequest(
            method: "POST", path: "/mailgun/v3/x/messages", headers: [("authorization", field)])
        #expect(try api.credentials(request).reveal() == "ak_1:2")
    }

    @Test(
        "without one the request is not signed in",
        // No field, no credentials, another user, no colon, no base64, not UTF-8.
        arguments: [
            nil, "Basic ", "Basic cm9vdDphaw==", "Basic YXBpYWs=", "Basic YXBpOmFr%", "Basic YXBpOv8=", "Bearer ak_1",
        ])
    func noKey(_ field: String?) {
        let headers = field.map { [(name: "authorization", value: $0)] } ?? []
        let error = #expect(throws: PosternError.self) {
            try api.credentials(ProviderRequest(method: "POST", path: "/mailgun/v3/x/messages", headers: headers))
        }
        #expect(error?.code == .unauthorized)
    }

    @Test("every error has the one form, and a status that Mailgun's clients know", arguments: ErrorCode.allCases)
    func complete(_ code: ErrorCode) throws {
        let error = PosternError(code, "the \"case\"")
        #expect(try !message(error).isEmpty)
        let status = api.refusal(error, requestID: "req_1", path: "").status
        #expect(status >= 500 || [400, 401, 403, 404, 405, 409, 413, 429].contains(status))
        #expect((status >= 500) == (code.entry.httpStatus >= 500), "who is to blame")
    }

    @Test("all problems stand in one sentence, each with its field")
    func fields() throws {
        let error = PosternError.validation([
            JSONProblem(pointer: "from", message: "is required"), JSONProblem(pointer: "", message: "has no recipient"),
        ])
        #expect(try message(error) == "from is required; the message has no recipient")
    }

    @Test("a wrong key is Forbidden and nothing more")
    func forbidden() throws {
        #expect(try message(PosternError(.unauthorized, "the key was revoked")) == "Forbidden")
        #expect(api.refusal(PosternError(.unauthorized, "x"), requestID: "", path: "").status == 401)
    }
}
