// Programs that sign in through a browser (RFC 8252), and people who have to show again who they are.

import CoreTestSupport
import Model
import OpenID
import OpenIDTestSupport
import People
import Sealing
import Store
import Testing

@Suite("Programs, and showing again who one is")
struct SingleSignOnProgramTests {
    private typealias House = SingleSignOnHouse

    private static let verifier = Secret(String(repeating: "w", count: 64))

    private func program(_ state: String? = "st4te") throws -> SingleSignOnDestination {
        .program(
            try #require(
                SingleSignOnDestination.Loopback(
                    redirect: "http://127.0.0.1:7777/callback",
                    challenge: ProofKey.challenge(for: Self.verifier.reveal()), state: state)))
    }

    private func code(_ ending: House.Ending) throws -> Secret<String> {
        guard case .program(let url) = ending else { throw NoCode(ending: "\(ending)") }
        #expect(url.hasPrefix("http://127.0.0.1:7777/callback?code="))
        let fields = House.fields(url)
        #expect(fields["state"] == "st4te")
        return Secret(try #require(fields["code"]))
    }

    private struct NoCode: Error { let ending: String }

    @Test("a program gets a code that is good once, for a minute, and for itself", arguments: TestEngine.all)
    func redeem(_ engine: TestEngine) async throws {
        try await House.with(on: engine) { house in
            let ada = try await house.people.add()
            let first = try code(try await house.signIn(to: program()))
            #expect(try await house.people.database.count("sessions") == 0)
            for verifier in ["", String(repeating: "x", count: 64), ProofKey.challenge(for: Self.verifier.reveal())] {
                await expectRefusal {
                    _ = try await house.signOn.redeem(code: first, verifier: Secret(verifier), visit: House.visit)
                }
            }
            let signedIn = try await house.signOn.redeem(code: first, verifier: Self.verifier, visit: House.visit)
            #expect(signedIn.person.id == ada.id)
            #expect(try await house.people.sessions.person(accessToken: signedIn.accessToken).id == ada.id)
            await expectRefusal {
                _ = try await house.signOn.redeem(code: first, verifier: Self.verifier, visit: House.visit)
            }
            let late = try code(try await house.signIn(to: program()))
            house.people.clock.advance(seconds: 60)
            await expectRefusal {
                _ = try await house.signOn.redeem(code: late, verifier: Self.verifier, visit: House.visit)
            }
        }
    }

    @Test("a state is no code, a code is no state, and what was disabled in between gets no session")
    func confusion() async throws {
        try await House.with { house in
            let ada = try await house.people.add()
            let start = try await house.signOn.begin(to: program())
            let state = House.fields(start.url)["state"] ?? ""
            await expectRefusal {
                _ = try await house.signOn.redeem(code: Secret(state), verifier: Self.verifier, visit: House.visit)
            }
            try house.vouch(for: start, [:])
            let code = try code(try await house.finish(start))
            await expectRefusal {
                _ = try await house.signOn.finish(
                    SingleSignOn.Answer(state: code.reveal(), code: Secret("c"), error: nil, issuer: nil),
                    browser: start.browser, person: nil, visit: House.visit)
            }
            try await disable(ada, house)
            await expectRefusal {
                _ = try await house.signOn.redeem(code: code, verifier: Self.verifier, visit: House.visit)
            }
        }
    }

    @Test("a program learns of a refusal")
    func refusal() async throws {
        try await House.with { house in
            guard case .program(let url) = try await house.signIn(to: program()) else {
                Issue.record("the program was told nothing")
                return
            }
            #expect(url.hasPrefix("http://127.0.0.1:7777/callback?error=access_denied&error_description="))
            #expect(url.hasSuffix("&state=st4te"))
            #expect(House.fields(url)["error_description"]?.contains("no account") == true)
        }
    }

    @Test("only a sign-in at the provider since then counts as showing again who one is")
    func again() async throws {
        try await House.with { house in
            try await house.people.add()
            let now = house.people.clock.now().seconds
            let old = try #require(try await house.signIn(["auth_time": "\(now - 3000)"]).signedIn)
            #expect(old.person.authenticatedAt.seconds == now - 3000)
            let unsaid = try #require(try await house.signIn().signedIn)
            #expect(unsaid.person.authenticatedAt == Timestamp(milliseconds: 0))

            let start = try await house.signOn.begin(to: .page("/"), person: old.person)
            let fields = House.fields(start.url)
            #expect(fields["prompt"] == "login")
            #expect(fields["max_age"] == "0")
            #expect(fields["login_hint"] == "ada@example.com")
            for claims: KeyValuePairs<String, String?> in [[:], ["auth_time": "\(now - 3000)"]] {
                let error = try await house.signIn(claims, again: old.person).refusal
                #expect(error?.code == .signInRefused)
                #expect(error?.detail.contains("auth_time") == true)
            }
            let fresh = try #require(
                try await house.signIn(["auth_time": "\(now + 5)"], again: old.person).signedIn)
            #expect(fresh.person.session == old.person.session)
            #expect(fresh.person.authenticatedAt.seconds == now)
            #expect(fresh.cookie.reveal() != old.cookie.reveal())
            await #expect(throws: PosternError.self) { _ = try await house.people.person(old) }
        }
    }

    @Test("somebody else at the provider renews nobody's session, and is linked with nobody")
    func other() async throws {
        try await House.with({ $0.defaultRole = .member }) { house in
            try await house.people.add()
            try await house.people.add("bob@example.com", name: "Bob")
            let ada = try #require(try await house.signIn().signedIn)
            for email in ["bob@example.com", "new@example.com"] {
                let error = try await house.signIn(
                    ["sub": #""other""#, "email": #""\#(email)""#, "auth_time": "\(house.provider.now)"],
                    again: ada.person
                ).refusal
                #expect(error?.detail.contains("somebody else") == true)
            }
            #expect(try await house.people.database.count("user_identities") == 1)
            #expect(try await house.user("new@example.com") == nil)
        }
    }

    private func disable(_ user: User, _ house: House) async throws {
        _ = try await house.people.users.change(
            user.id, at: house.people.clock.now(), audit: house.people.audit(.userWrite)
        ) { user, _ in
            var user = user
            user.isActive = false
            return user
        }
        house.people.sessions.forget([user.id])
    }

    private func expectRefusal(_ attempt: () async throws -> Void) async {
        let error = await #expect(throws: PosternError.self) { try await attempt() }
        #expect(error?.code == .signInRefused)
    }
}
