// The way of a browser or a program through single sign-on: bound to who began it, once, in time, and to nowhere else.

import CoreTestSupport
import Model
import OpenID
import OpenIDTestSupport
import People
import Sealing
import Store
import Testing
import WebTestSupport

@Suite("A single sign-on belongs to the browser that began it")
struct SingleSignOnFlowTests {
    private typealias House = SingleSignOnHouse

    @Test("somebody with an account signs in, and comes back to the page they wanted", arguments: TestEngine.all)
    func signIn(_ engine: TestEngine) async throws {
        try await House.with(on: engine) { house in
            let ada = try await house.people.add()
            guard case .signedIn(let signedIn, let page) = try await house.signIn(to: .page("/approvals?x=1")) else {
                Issue.record("nobody was signed in")
                return
            }
            #expect(page == "/approvals?x=1")
            #expect(signedIn.person.id == ada.id)
            #expect(signedIn.person.method == .openID)
            #expect(try await house.people.person(signedIn).id == ada.id)
            let records = try await house.people.records(.sessionBegin)
            #expect(records.count == 1)
            #expect(records.first?.after?.contains(house.provider.issuer) == true)
        }
    }

    @Test("the browser's question holds nothing that the code could be redeemed with")
    func question() async throws {
        try await House.with { house in
            let start = try await house.signOn.begin(to: .page("/"))
            let fields = House.fields(start.url)
            #expect(fields["redirect_uri"] == "https://mail.example.com/auth/oidc/callback")
            #expect(fields["code_challenge_method"] == "S256")
            #expect(fields["prompt"] == nil)
            #expect(fields["code_verifier"] == nil)
            #expect(start.url.utf8.count < 2000)
            // The state is sealed: it shows neither the path nor the nonce.
            let state = Base64URL.decode(fields["state"] ?? "") ?? []
            #expect(state.count > 100)
            #expect(!String(decoding: state, as: UTF8.self).contains(fields["nonce"] ?? "nonce"))
            try house.vouch(for: start, [:])
            _ = try await house.people.add()
            _ = try await house.finish(start)
            let sent = house.provider.requests.last { $0.target == "/token" }?.text ?? ""
            let verifier = sent.split(separator: "code_verifier=").last.map(String.init) ?? ""
            #expect(ProofKey.matches(verifier, fields["code_challenge"] ?? ""))
        }
    }

    @Test("a second answer, a late one and one of another browser are refused, and cost the provider nothing")
    func misuse() async throws {
        try await House.with { house in
            try await house.people.add()
            let start = try await house.signOn.begin(to: .page("/"))
            try house.vouch(for: start, [:])
            let other = try await house.signOn.begin(to: .page("/"))
            for browser in [nil, other.browser, Secret(""), Secret("x")] {
                await expectRefusal("did not begin") {
                    _ = try await house.signOn.finish(
                        house.answer(start), browser: browser, person: nil, visit: House.visit)
                }
            }
            #expect(house.provider.count("/token") == 0)
            #expect(try await house.finish(start).signedIn != nil)
            await expectRefusal("finished before") { _ = try await house.finish(start) }
            #expect(house.provider.count("/token") == 1)

            let slow = try await house.signOn.begin(to: .page("/"))
            try house.vouch(for: slow, [:])
            house.people.clock.advance(seconds: 600)
            await expectRefusal("longer than 10 minutes") { _ = try await house.finish(slow) }
            #expect(house.provider.count("/token") == 1)
        }
    }

    @Test("a state that we did not make is refused, be it changed by one character")
    func state() async throws {
        try await House.with { house in
            let start = try await house.signOn.begin(to: .page("/"))
            let state = House.fields(start.url)["state"] ?? ""
            let flipped = String(state.dropLast(4)) + (state.hasSuffix("AAAA") ? "BBBB" : "AAAA")
            for text in ["", "x", flipped, state + "A", state.lowercased(), String(repeating: "A", count: 10_000)] {
                await expectRefusal("did not begin") {
                    _ = try await house.signOn.finish(
                        SingleSignOn.Answer(state: text, code: Secret("c"), error: nil, issuer: nil),
                        browser: start.browser, person: nil, visit: House.visit)
                }
            }
        }
    }

    @Test("of two who come with one answer, one is signed in", arguments: TestEngine.all)
    func twice(_ engine: TestEngine) async throws {
        try await House.with(on: engine) { house in
            try await house.people.add()
            let start = try await house.signOn.begin(to: .page("/"))
            try house.vouch(for: start, [:])
            let count = await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 { group.addTask { (try? await house.finish(start).signedIn) != nil } }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(count == 1)
        }
    }

    @Test("one browser may sign in twice at once")
    func tabs() async throws {
        try await House.with { house in
            try await house.people.add()
            let first = try await house.signOn.begin(to: .page("/a"))
            let second = try await house.signOn.begin(to: .page("/b"), browser: first.browser)
            #expect(second.browser.reveal() == first.browser.reveal())
            try house.vouch(for: second, [:])
            #expect(try await house.finish(second).signedIn != nil)
            try house.vouch(for: first, [:])
            #expect(try await house.finish(first).signedIn != nil)
            // What is no cookie of ours is not made one.
            let third = try await house.signOn.begin(to: .page("/"), browser: Secret("chosen"))
            #expect(third.browser.reveal() != "chosen")
        }
    }

    @Test("the provider's refusals are told apart, and a session never begins")
    func refusals() async throws {
        try await House.with { house in
            try await house.people.add()
            for (error, code) in [
                ("access_denied", ErrorCode.signInRefused), ("server_error", .signInUnavailable),
                ("login_required", .signInRefused), ("<script>", .signInUnavailable),
            ] {
                let start = try await house.signOn.begin(to: .page("/x"))
                let finish = try await house.signOn.finish(
                    house.answer(start, code: nil, error: error), browser: start.browser, person: nil,
                    visit: House.visit)
                guard case .refused(let refusal, let retry) = finish.result else {
                    Issue.record("\(error) signed somebody in")
                    continue
                }
                #expect(refusal.code == code)
                #expect(retry == "/x")
                #expect(!refusal.detail.contains("script"))
            }
            house.provider.change { $0.token = .hangUp }
            let start = try await house.signOn.begin(to: .page("/"))
            #expect(try await house.finish(start).refusal?.code == .signInUnavailable)
            #expect(try await house.people.database.count("sessions") == 0)
        }
    }

    @Test("an answer of another issuer is refused before its code is used (RFC 9207)")
    func mixUp() async throws {
        try await House.with { house in
            try await house.people.add()
            let start = try await house.signOn.begin(to: .page("/"))
            try house.vouch(for: start, [:])
            let answer = SingleSignOn.Answer(
                state: House.fields(start.url)["state"] ?? "", code: Secret("c"), error: nil,
                issuer: "https://evil.example")
            let finish = try await house.signOn.finish(
                answer, browser: start.browser, person: nil, visit: House.visit)
            guard case .refused(let error, _) = finish.result else {
                Issue.record("it was taken")
                return
            }
            #expect(error.code == .signInRefused)
            #expect(house.provider.count("/token") == 0)
        }
    }

    @Test("codes that the provider does not take have an end, a good one takes no attempt away")
    func attempts() async throws {
        // Answers without a code, too: each spends its question, which is a row.
        try await House.with({ $0.addressAttempts = 5 }) { house in
            for number in 0..<8 {
                let start = try await house.signOn.begin(to: .page("/"))
                let finish = try await house.signOn.finish(
                    house.answer(start, code: nil, error: "access_denied"), browser: start.browser, person: nil,
                    visit: House.visit)
                guard case .refused(let error, _) = finish.result else {
                    Issue.record("not refused")
                    continue
                }
                #expect((error.code == .tooManyAttempts) == (number >= 5))
            }
            #expect(try await house.people.database.count("one_time_tokens") == 5)
        }
        try await House.with({ $0.addressAttempts = 5 }) { house in
            try await house.people.add()
            for _ in 0..<6 { #expect(try await house.signIn().signedIn != nil) }
            house.provider.change { $0.token = .json(#"{"error":"invalid_grant"}"#, status: 400) }
            for _ in 0..<5 {
                let start = try await house.signOn.begin(to: .page("/"))
                #expect(try await house.finish(start).refusal?.code == .signInRefused)
            }
            let count = house.provider.count("/token")
            #expect(try await house.signIn().refusal?.code == .tooManyAttempts)
            #expect(house.provider.count("/token") == count)
            house.people.clock.advance(seconds: 901)
            #expect(try await house.signIn().signedIn != nil)
        }
    }

    private func expectRefusal(_ words: String, _ attempt: () async throws -> Void) async {
        let error = await #expect(throws: PosternError.self) { try await attempt() }
        #expect(error?.code == .signInRefused)
        #expect(error?.detail.contains(words) == true, "\(error?.detail ?? "")")
    }
}

extension SingleSignOnFlowTests {
    @Test("paths that a browser may take for another site's are no pages of ours")
    func pages() {
        for path in ["/", "/approvals", "/a/b?c=d&e=%2F%2Fevil", "/./x", "/a//b", "/%5Cevil"] {
            #expect(SingleSignOnDestination.page(checking: path) == .page(path), "\(path)")
        }
        for path in [
            "", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example",
            "evil",
            "/a\\b", "javascript:alert(1)", " /", "/\t/evil.example", "/\n/evil.example", "\t//evil.example", "/a b",
            "/é",
            "/\u{0}", "/\r\nSet-Cookie: a=b", "/" + String(repeating: "a", count: 512),
        ] { #expect(SingleSignOnDestination.page(checking: path) == nil, "\(path)") }
    }

    @Test("a program is reached on the loopback by its address and port, and nowhere else (RFC 8252)")
    func loopback() {
        let challenge = ProofKey.challenge(for: String(repeating: "v", count: 43))
        func isTaken(_ redirect: String, _ challenge: String, _ state: String? = nil) -> Bool {
            SingleSignOnDestination.Loopback(redirect: redirect, challenge: challenge, state: state) != nil
        }
        for redirect in ["http://127.0.0.1:1", "http://127.0.0.1:65535/callback", "http://[::1]:8080/a/b-c_d.e"] {
            #expect(isTaken(redirect, challenge, "st-at_e.~1"), "\(redirect)")
        }
        for redirect in [
            "", "http://127.0.0.1", "http://127.0.0.1/", "http://127.0.0.1:", "http://127.0.0.1:0",
            "http://127.0.0.1:65536",
            "http://127.0.0.1:80@evil.example/", "http://127.0.0.1:80.evil.example",
            "http://127.0.0.1.evil.example:80/",
            "http://localhost:80/", "https://127.0.0.1:80/", "http://127.0.0.2:80/", "http://0.0.0.0:80/",
            "http://[::]:80/",
            "http://[::ffff:127.0.0.1]:80/", "http://127.0.0.1:80?x", "http://127.0.0.1:80/?x=1",
            "http://127.0.0.1:80/#x",
            "http://127.0.0.1:80/\\evil", "http://127.0.0.1:80/a%0d", "http://127.0.0.1:+80/", "http://127.0.0.1:８０/",
            "http://user@127.0.0.1:80/", "HTTP://127.0.0.1:80/", "http://127.0.0.1:80/\r\nX: y",
            "com.example.app:/callback",
            "http://127.0.0.1:000000080/", "http://evil.example:80/",
        ] { #expect(!isTaken(redirect, challenge), "\(redirect)") }
        for other in ["", "short", challenge + "A", challenge + "=", String(challenge.dropLast())] {
            #expect(!isTaken("http://127.0.0.1:1", other))
        }
        for state in ["", "a b", "a&b", "a\nb", String(repeating: "s", count: 201)] {
            #expect(!isTaken("http://127.0.0.1:1", challenge, state))
        }
    }
}
