// The query of a list is read strictly: a mistyped filter is an error and not a longer list.

import HTTPTypes
import Hummingbird
import JSON
import Model
import NIOCore
import Store
import Testing

@testable import HTTPAPI

@Suite("Query")
struct QueryTests {
    private func query(_ text: String) -> Query {
        let head = HTTPRequest(method: .get, scheme: "http", authority: "localhost", path: "/v1/messages?\(text)")
        return Query(Request(head: head, body: RequestBody(buffer: ByteBuffer())))
    }

    @Test("a page has 50 rows unless the query says otherwise")
    func defaultLimit() throws {
        var query = query("")
        let page = query.page()
        #expect((page.limit, page.after) == (50, ""))
        try query.finish()
    }

    @Test("a page has 1 to 200 rows", arguments: ["1", "200"])
    func limit(text: String) throws {
        var query = query("limit=\(text)")
        #expect(query.limit() == Int(text))
        try query.finish()
    }

    @Test("any other number of rows is refused", arguments: ["0", "201", "-1", "many", "1.5", "99999999999999999999"])
    func badLimit(text: String) {
        var query = query("limit=\(text)")
        _ = query.limit()
        #expect(query.problems == [JSONProblem(pointer: "?limit", message: "must be from 1 to 200")])
    }

    @Test("a parameter that nobody asks for is refused by its name")
    func unknown() throws {
        var query = query("status=queued&stauts=queued")
        #expect(query.text("status") == "queued")
        let error = try #require(throws: PosternError.self) { try query.finish() }
        #expect(error.code == .validationFailed)
        #expect(error.problems == [JSONProblem(pointer: "?stauts", message: "unknown parameter")])
    }

    @Test("all problems are named in one answer, in the order of reading")
    func several() throws {
        var query = query("limit=0&since=yesterday&colour=red")
        _ = query.limit()
        _ = query.time("since")
        let error = try #require(throws: PosternError.self) { try query.finish() }
        #expect(error.problems.map(\.pointer) == ["?limit", "?since", "?colour"])
    }

    @Test("a name that is endless is not handed back whole")
    func endlessName() throws {
        var query = query(String(repeating: "x", count: 5000) + "=1")
        let error = try #require(throws: PosternError.self) { try query.finish() }
        #expect(error.problems.first?.pointer.utf8.count == 65)
    }

    @Test("an empty value is no value")
    func empty() throws {
        var query = query("recipient=&limit=")
        #expect(query.text("recipient") == nil)
        #expect(query.limit() == 50)
        try query.finish()
    }

    @Test("a value of 512 bytes is taken, and one more is refused")
    func longValue() throws {
        var fits = query("q=" + String(repeating: "x", count: 512))
        #expect(fits.text("q")?.utf8.count == 512)
        var over = query("q=" + String(repeating: "x", count: 513))
        #expect(over.text("q") == nil)
        #expect(over.problems.map(\.pointer) == ["?q"])
    }

    @Test("escapes are resolved, and an escaped ampersand separates nothing")
    func escapes() throws {
        var query = query("recipient=ann%2Bnews%40example.org&q=a%26status%3Dqueued")
        #expect(query.text("recipient") == "ann+news@example.org")
        #expect(query.text("q") == "a&status=queued")
        try query.finish()
    }

    @Test("a parameter that may be repeated gives all its values in order")
    func repeated() throws {
        var query = query("to=a@example.org&to=b@example.org")
        #expect(query.all("to") == ["a@example.org", "b@example.org"])
        try query.finish()
    }

    @Test("a time is RFC 3339")
    func time() throws {
        var query = query("since=2026-11-20T18:00:00Z&until=2026-11-20")
        #expect(query.time("since") == Timestamp("2026-11-20T18:00:00Z"))
        #expect(query.time("until") == nil)
        #expect(query.problems.map(\.pointer) == ["?until"])
    }
}

@Suite("Media types")
struct MediaTypeTests {
    @Test(
        "parameters, case and white space do not matter",
        arguments: [
            "application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;x=y",
        ])
    func matching(type: String) { #expect(type.hasMediaType("application/json")) }

    @Test(
        "another type does not match",
        arguments: ["", ";", "application/jsonp", "application/json5; x", "text/plain; application/json", "json"])
    func other(type: String) { #expect(!type.hasMediaType("application/json")) }
}
