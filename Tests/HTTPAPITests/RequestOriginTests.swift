// Which requests count as those of our own pages, and which cookies they get.

import HTTPTypes
import Hummingbird
import Model
import NIOCore
import People
import Sealing
import Testing

@testable import HTTPAPI

@Suite("Origin of requests")
struct RequestOriginTests {
    private func request(
        _ fields: [(HTTPField.Name, String)],
        authority: String? = "postern.internal:8025"
    ) -> Request {
        var headers = HTTPFields()
        for (name, value) in fields { headers.append(HTTPField(name: name, value: value)) }
        let head = HTTPRequest(
            method: .post, scheme: "http", authority: authority, path: "/auth/login", headerFields: headers)
        return Request(head: head, body: RequestBody(buffer: ByteBuffer()))
    }

    private func isRefused(_ fields: (String, String)..., authority: String? = "postern.internal:8025") -> Bool {
        let named = fields.compactMap { name, value in HTTPField.Name(name).map { ($0, value) } }
        do throws(PosternError) {
            try RequestOrigin.check(
                request(named, authority: authority), publicURL: "https://Postern.example.com:443/mail")
            return false
        } catch {
            #expect(error.code == .csrfRefused)
            return true
        }
    }

    @Test("a program, which says nothing of where it comes from, passes")
    func programs() {
        #expect(!isRefused())
        #expect(!isRefused(authority: nil))
    }

    @Test("a page of the public address, or of the host that was asked, passes")
    func ours() {
        #expect(!isRefused(("Origin", "https://postern.example.com")))
        #expect(!isRefused(("Origin", "http://postern.internal:8025")))
        #expect(!isRefused(("Origin", "https://postern.example.com"), ("Sec-Fetch-Site", "same-origin")))
        #expect(!isRefused(("Sec-Fetch-Site", "none")))
    }

    @Test(
        "any other page does not",
        arguments: [
            "https://evil.example", "null", "", "https://postern.example.com.evil.example",
            "http://postern.example.com",
            "https://postern.example.com:8443", "https://postern.example.com/", "https://evil@postern.example.com",
            "HTTPS://POSTERN.EXAMPLE.COM", "postern.example.com", "http://postern.internal", "*",
        ])
    func others(origin: String) {
        #expect(isRefused(("Origin", origin)))
    }

    @Test(
        "what the browser itself says of the sender goes before the origin",
        arguments: ["cross-site", "same-site", "x"])
    func site(value: String) {
        #expect(isRefused(("Sec-Fetch-Site", value)))
        #expect(isRefused(("Sec-Fetch-Site", value), ("Origin", "https://postern.example.com")))
    }

    @Test("the token of a session's pages is made from its cookie, and from nothing else")
    func token() {
        let token = SessionCookies.csrf(for: Secret("A"))
        // base64url(SHA-256("csrf:A")), reckoned with another program.
        #expect(token == "x8pwdgG3lLetfgDqq6kr-pZZ0gLxvQUjvoJ-HvTd6hY")
        #expect(token != SessionCookies.csrf(for: Secret("B")))
        #expect(SessionCookies.csrf(for: Secret("")).utf8.count == 43)
    }

    @Test("cookies are taken away with the flags that they were made with", arguments: [true, false])
    func clear(isSecure: Bool) {
        var response = Response(status: .ok)
        SessionCookies(publicURL: isSecure ? "HTTPS://postern.example.com" : "http://localhost:8025").clear(
            on: &response)
        let suffix = isSecure ? "; Secure" : ""
        #expect(
            response.headers[values: .setCookie] == [
                "postern_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0\(suffix)",
                "postern_csrf=; Path=/; SameSite=Lax; Max-Age=0\(suffix)",
                "postern_refresh=; Path=/auth; HttpOnly; SameSite=Strict; Max-Age=0\(suffix)",
            ])
    }
}
