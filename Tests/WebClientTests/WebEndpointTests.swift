// Where a service is: what is taken for an address, what is not, and that credentials never show.

import Sealing
import Testing

@testable import WebClient

@Suite("Endpoints")
struct WebEndpointTests {
    @Test(
        "an address is read into origin and base",
        arguments: [
            ("http://rabbit:15672", "http://rabbit:15672", "http://rabbit:15672"),
            ("https://MailerQ.Example.com/", "https://mailerq.example.com", "https://mailerq.example.com"),
            ("HTTPS://h/a/b//", "https://h", "https://h/a/b"),
            ("http://[2001:db8::1]:8485/x", "http://[2001:db8::1]:8485", "http://[2001:db8::1]:8485/x"),
            ("http://127.0.0.1", "http://127.0.0.1", "http://127.0.0.1"),
            ("http://a_b-c.d:1", "http://a_b-c.d:1", "http://a_b-c.d:1"),
        ])
    func addresses(text: String, origin: String, base: String) throws {
        let endpoint = try WebEndpoint.parse(text)
        #expect(endpoint.origin == origin)
        #expect(endpoint.base == base)
        #expect(endpoint.authorization == nil)
    }

    @Test(
        "what cannot be an address is refused, without repeating it",
        arguments: [
            "", "rabbit:15672", "ftp://h", "http://", "http:///x", "http://:80", "http://h:", "http://h:0",
            "http://h:65536", "http://h:80x", "http://h?x", "http://h/#x", "http://h/?x=1", "http://h\\@evil/",
            "http://h /", "http://h\r\nX: y", "http://secret@h", "http://secret:%zz@h", "http://:secret@h",
            "http://u:secret%@h", "http://u:%+1secret@h", "http://[]", "http://[::1", "http://[::1]x", "http://hé",
        ])
    func refusals(text: String) {
        let error = #expect(throws: WebError.self) { try WebEndpoint.parse(text) }
        #expect(error?.code == .invalidURL)
        #expect(error?.description.contains("secret") == false)
    }

    @Test("credentials in an address become Basic, decoded first (RFC 7617 §2)")
    func userInfo() throws {
        let endpoint = try WebEndpoint.parse("https://us%40er:p%3Aa%2Fss@h:1/x")
        #expect(endpoint.authorization?.reveal() == "Basic dXNAZXI6cDphL3Nz")
        #expect(endpoint.base == "https://h:1/x")
    }

    @Test("a token and a password never show in any description")
    func hidden() throws {
        let plain = try WebEndpoint.parse("http://h/base-secret")
        for endpoint in [
            try WebEndpoint.parse("http://user:secret@h/base-secret"), try plain.authorized(token: Secret("secret")),
            try plain.authorized(username: "user", password: Secret("secret")),
        ] {
            var dumped = ""
            dump(endpoint, to: &dumped)
            for text in ["\(endpoint)", String(reflecting: endpoint), dumped] {
                #expect(!text.contains("secret") && !text.contains("c2VjcmV0"), "\(text)")
            }
            #expect("\(endpoint)" == "http://h")
        }
    }

    @Test("a token that would break out of its field is refused", arguments: ["", "a b", "a\r\nX: y", "é"])
    func badToken(token: String) throws {
        let endpoint = try WebEndpoint.parse("http://h")
        let error = #expect(throws: WebError.self) { try endpoint.authorized(token: Secret(token)) }
        #expect(error?.code == .invalidURL)
    }

    @Test("a whole address keeps its query and its last slash")
    func wholeAddress() throws {
        #expect(try WebEndpoint.parse("https://h/a/?t=1", isWhole: true).base == "https://h/a/?t=1")
        #expect(try WebEndpoint.parse("https://u:p@h?t=a@b", isWhole: true).base == "https://h?t=a@b")
        #expect(throws: WebError.self) { try WebEndpoint.parse("https://h/a#t", isWhole: true) }
    }

    @Test("a path segment is escaped, so that it stays one")
    func escaping() {
        #expect(WebRequest.escaped("/") == "%2F")
        #expect(WebRequest.escaped("a b?c&d=é~") == "a%20b%3Fc%26d%3D%C3%A9~")
    }
}
