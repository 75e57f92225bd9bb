// Answers in the product's own form: lists with a cursor, problem documents, the page of error codes.

import HTTPTypes
import Hummingbird
import JSON
import Model
import Testing

@testable import HTTPAPI

@Suite("Answers")
struct ResponsesTests {
    private func problem(_ error: PosternError) async throws -> Answer {
        try await Answer(
            .problem(error, requestID: "req_1", docs: "https://p.example/docs/errors#\(error.code.rawValue)"))
    }

    @Test("each code makes a problem document with its status, title and fix", arguments: ErrorCode.allCases)
    func document(code: ErrorCode) async throws {
        let answer = try await problem(PosternError(code, "this case"))
        let docs = "https://p.example/docs/errors#\(code.rawValue)"
        #expect(answer.status == code.entry.httpStatus)
        #expect(answer.headers[.contentType] == "application/problem+json; charset=utf-8")
        #expect(answer.headers[.cacheControl] == "no-store")
        #expect(
            try answer.object
                == JSONObject([
                    "type": .string(docs), "title": .string(code.entry.title),
                    "status": .integer(Int64(code.entry.httpStatus)), "code": .string(code.rawValue),
                    "detail": .string("this case"), "fix": .string(code.entry.fix), "docs": .string(docs),
                    "request_id": .string("req_1"),
                ]))
    }

    @Test("what can be tried again says when, and nothing else does", arguments: ErrorCode.allCases)
    func retryAfter(code: ErrorCode) async throws {
        let answer = try await problem(PosternError(code, "this case"))
        #expect((answer.headers[.retryAfter] != nil) == (code.entry.httpStatus == 503))
        #expect(try await problem(PosternError(code, "this case", retryAfter: 60)).headers[.retryAfter] == "60")
    }

    @Test("only a missing sign-in asks for one (RFC 9110 §11.6.1)")
    func challenge() async throws {
        #expect(
            try await problem(PosternError(.unauthorized, "")).headers[.wwwAuthenticate]?.hasPrefix("Bearer") == true)
        #expect(try await problem(PosternError(.forbidden, "")).headers[.wwwAuthenticate] == nil)
    }

    @Test("each thing that is wrong has a pointer, a sentence and a code")
    func errors() async throws {
        let error = PosternError.validation([
            JSONProblem(pointer: "/colour", message: "unknown field"),
            JSONProblem(pointer: "/to/1", message: "is not an address: \"<\" \u{1B}[31m"),
        ])
        let errors = try await problem(error).object["errors"]?.arrayValue?.compactMap(\.objectValue)
        #expect(errors?.map { $0["code"]?.stringValue } == ["unknown_field", "invalid"])
        #expect(errors?.map { $0["pointer"]?.stringValue } == ["/colour", "/to/1"])
        #expect(errors?[1]["message"]?.stringValue == "is not an address: \"<\" \u{1B}[31m")
    }

    @Test("a thousand things that are wrong make no endless answer")
    func manyErrors() async throws {
        let problems = (0..<1000).map { JSONProblem(pointer: "/\($0)", message: "is wrong") }
        let object = try await problem(.validation(problems)).object
        #expect(object["errors"]?.arrayValue?.count == 50)
        #expect(object["detail"]?.stringValue == "/0 is wrong (and 999 more)")
    }

    @Test("a full page has a cursor, a page that is not full has none", arguments: [(3, "c"), (4, nil)])
    func cursor(limit: Int, cursor: String?) async throws {
        let list = Response.list(["a", "b", "c"], limit: limit, cursor: { $0 }) { item, writer in
            writer.object { $0.member("name", item) }
        }
        let object = try await Answer(list).object
        #expect(object["data"]?.arrayValue?.count == 3)
        #expect(object["next_cursor"] == cursor.map { .string($0) } ?? .null)
    }

    @Test("the page of error codes has an anchor for each, and no script could run in it")
    func errorPage() async throws {
        let answer = try await Answer(ErrorPage.response)
        for code in ErrorCode.allCases {
            #expect(answer.text.contains("<h2 id=\"\(code.rawValue)\">"))
            #expect(answer.text.contains("HTTP \(code.entry.httpStatus), SMTP \(code.entry.smtpCode)"))
        }
        #expect(answer.headers[.contentSecurityPolicy]?.hasPrefix("default-src 'none'") == true)
    }
}
