// The table of operations and what the configuration may say about it.

import JSON
import Testing

@testable import MailerQREST

@Suite("MailerQ's operations")
struct MailerQOperationsTests {
    private func open(_ operations: MailerQOperations) -> [String] {
        operations.list.filter(\.isOpen).map(\.operation.description)
    }

    @Test("unless told otherwise all that reads is open and all that writes is closed")
    func standard() {
        #expect(
            open(MailerQOperations()) == [
                "GET /api/jobs", "GET /api/queues", "GET /api/results", "GET /v1/pauses", "GET /v1/errors",
                "GET /v1/pools", "GET /v1/poolips", "GET /v1/suppressions", "GET /v1/externalmtas",
            ])
        #expect(MailerQOperations().list.count == 21)
    }

    @Test("a list opens what it names and nothing else")
    func list() throws {
        #expect(
            open(try .parse("GET /v1/pauses, POST /v1/pauses ,delete  /v1/pools"))
                == ["GET /v1/pauses", "POST /v1/pauses", "DELETE /v1/pools"])
        #expect(open(try .parse("none")) == [])
    }

    @Test(
        "an entry that is none is named in a sentence",
        arguments: [
            ("", "lists nothing"), (" ", "\"\" is not a method and a path"), (",", "lists nothing"),
            ("GET", "\"GET\" is not a method and a path"), ("GET /v1/pauses DELETE", "is not a method and a path"),
            ("PUT /v1/pauses", "/v1/pauses takes GET, POST, DELETE, not PUT"),
            ("POST /api/jobs", "/api/jobs takes GET, not POST"),
            ("GET /v1/pausess", "\"/v1/pausess\" is not an operation of MailerQ; known: /api/jobs, /api/queues"),
            ("GET /v1/pauses/", "is not an operation"), ("GET v1/pauses", "is not an operation"),
            ("POST /v1/inject", "/v1/inject stays closed"), ("GET /v1/pauses, none", "is not a method and a path"),
            ("GET /v1/pauses,,GET /nothing", "is not an operation"),
        ])
    func mistakes(text: String, sentence: String) {
        let problem = #expect(throws: MailerQOperations.Problem.self) { try MailerQOperations.parse(text) }
        #expect(problem?.description.contains(sentence) == true, "\(problem?.description ?? "")")
    }

    @Test(
        "only the very spelling of an open operation finds it",
        arguments: [
            ("GET", "/v1/pauses/"), ("GET", "//v1/pauses"), ("GET", "/v1/../v1/pauses"), ("GET", "/v1/./pauses"),
            ("GET", "/v1%2Fpauses"), ("GET", "/v1/pause%73"), ("GET", "/V1/pauses"), ("GET", "/v1/pauses?x"),
            ("GET", "/v1/pauses#"), ("GET", "/v1/pauses%00"), ("GET", "/v1/pauses;x"), ("GET", "v1/pauses"),
            ("GET", ""), ("GET", "/"), ("GET", "/v1/inject"), ("POST", "/v1/inject"), ("POST", "/v1/pauses"),
            ("PUT", "/v1/pauses"), ("get", "/v1/pauses"), ("GET", "/v1/paus\u{65}\u{301}s"),
        ])
    func spelling(method: String, path: String) {
        #expect(MailerQOperations().find(method, path) == nil)
    }

    @Test("what is open is found")
    func found() {
        #expect(MailerQOperations().find("GET", "/v1/poolips")?.fields.map(\.name) == ["name"])
        #expect(MailerQOperations().find("GET", "/api/jobs"[...])?.description == "GET /api/jobs")
    }

    @Test("inject is not in the table at all")
    func inject() { #expect(!MailerQOperation.all.contains { $0.path.contains("inject") }) }

    @Test("a body goes out with what was declared, in the table's order")
    func document() throws {
        let operation = try #require(
            MailerQOperation.all.first { $0.description == "POST /v1/pauses" })
        var reader = JSONReader(
            JSONObject(["cluster": .bool(true), "domain": .string("a.org"), "pool": .null, "expire": .integer(9)]))
        #expect(
            String(decoding: operation.document(&reader), as: UTF8.self)
                == #"{"domain":"a.org","cluster":true,"expire":9}"#)
        #expect(reader.problems.isEmpty)
    }

    @Test("what is undeclared, mistyped or missing is a problem each")
    func problems() throws {
        let operation = try #require(MailerQOperation.all.first { $0.description == "POST /v1/errors" })
        var reader = JSONReader(
            JSONObject(["domain": .integer(7), "cluster": .string("yes"), "mime": .string("x"), "recipient": .null]))
        _ = operation.document(&reader)
        #expect(reader.problems.map(\.pointer) == ["/code", "/domain", "/cluster", "/mime", "/recipient"])
    }
}
