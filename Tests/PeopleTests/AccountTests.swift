// What people change on their own accounts, and what the machine's operator does for them.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import TestSupport
import Testing

@Suite("Accounts")
struct AccountTests {
    private let new = Secret("another good sentence")

    private func change(_ house: PeopleHouse, _ person: Person, _ current: Secret<String>?, _ new: Secret<String>)
        async throws -> ErrorCode?
    {
        try await refusal {
            try await house.accounts.changePassword(person, current: current, new: new, visit: PeopleHouse.visit)
        }
    }

    @Test("a new password takes the present one, ends all other sessions and keeps this", arguments: TestEngine.all)
    func password(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let (signedIn, other) = (try await house.signIn(), try await house.signIn())
            _ = (try await house.person(signedIn), try await house.person(other))
            let codes = [
                try await change(house, signedIn.person, Secret("wrong"), new),
                try await change(house, signedIn.person, nil, new),
                try await change(house, signedIn.person, PeopleHouse.password, Secret("short")),
                try await change(house, signedIn.person, PeopleHouse.password, Secret("ada@example.com")),
            ]
            #expect(codes == [.unauthorized, .unauthorized, .weakPassword, .weakPassword])
            #expect(try await house.person(other).email == "ada@example.com")
            #expect(try await change(house, signedIn.person, PeopleHouse.password, new) == nil)
            #expect(try await house.person(signedIn).email == "ada@example.com")
            for text in [other.cookie] {
                #expect(try await refusal { _ = try await house.sessions.person(cookie: text) } == .unauthorized)
            }
            #expect(
                try await refusal { _ = try await house.sessions.refresh(other.refreshToken, visit: PeopleHouse.visit) }
                    == .unauthorized)
            #expect(try await refusal { _ = try await house.signIn() } == .unauthorized)
            _ = try await house.signIn("ada@example.com", new)
            let changes = try await house.records(.accountSecure).filter { $0.outcome == "done" }
            #expect(changes.count == 1 && changes[0].after?.contains("\"password\"") == true)
        }
    }

    @Test("who has no password sets a first one, once", arguments: TestEngine.all)
    func firstPassword(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add(password: nil)
            let signedIn = try await house.desk.begin(user, method: .openID, visit: PeopleHouse.visit)
            // A session of yesterday, perhaps stolen, makes itself no way in that outlasts it.
            house.clock.advance(seconds: 901)
            #expect(try await change(house, signedIn.person, nil, new) == .reauthenticationRequired)
            let fresh = try await house.sessions.renew(signedIn.person, method: .openID, visit: PeopleHouse.visit)
            #expect(try await change(house, fresh.person, nil, new) == nil)
            #expect(try await change(house, fresh.person, nil, PeopleHouse.password) == .unauthorized)
            #expect(try await house.signIn("ada@example.com", new).person.id == user.id)
        }
    }

    @Test("a name is one line that can be shown", arguments: TestEngine.all)
    func rename(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            _ = try await house.person(signedIn)
            for name in ["", " ", "a\nb", "a\0b", "a\u{202E}\u{7}b", String(repeating: "x", count: 121)] {
                let code = try await refusal {
                    _ = try await house.accounts.rename(signedIn.person, to: name, visit: PeopleHouse.visit)
                }
                #expect(code == .validationFailed, "\(name.debugDescription)")
            }
            let user = try await house.accounts.rename(signedIn.person, to: "  Ada   King ", visit: PeopleHouse.visit)
            #expect(user.name == "Ada King")
            #expect(try await house.person(signedIn).name == "Ada King")
            #expect(try await house.records(.accountWrite).count == 1)
        }
    }

    @Test("an instance gets one first owner, of two who try at once as well", arguments: TestEngine.all)
    func firstOwner(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            func make(_ email: String, _ password: String = "four unrelated words") async throws -> ErrorCode? {
                try await refusal {
                    _ = try await house.accounts.makeFirstOwner(
                        email: email, name: "Ada", password: Secret(password), audit: house.audit(.machine))
                }
            }
            #expect(try await make("ada@example.com", "short") == .weakPassword)
            #expect(try await make("no address") == .validationFailed)
            async let first = make("ada@example.com")
            async let second = make("bob@example.com")
            let codes = [try await first, try await second]
            #expect(codes.filter { $0 == nil }.count == 1 && codes.filter { $0 == .conflict }.count == 1)
            #expect(try await make("eve@example.com") == .conflict)
            #expect(try await house.users.list(page: Page()).map(\.role) == [.owner])
            #expect(try await house.records(.machine).count == 1)
        }
    }

    @Test("the card's password is checked without a session, an attempt or a record")
    func check() async throws {
        try await withPeople { house in
            let user = try await house.add()
            for _ in 0..<12 {
                let isRight = try await house.accounts.check(email: "ada@example.com", password: Secret("wrong"))
                #expect(!isRight)
            }
            #expect(try await house.accounts.check(email: "Ada@example.com", password: PeopleHouse.password))
            #expect(try await house.database.count("sessions") == 0)
            #expect(try await house.database.count("sign_in_attempts") == 0)
            #expect(try await house.records(.sessionBegin).isEmpty)
            try await house.database.write { connection in
                try connection.execute("UPDATE users SET is_active = 0 WHERE id = \(user.id.text)")
            }
            #expect(try await !house.accounts.check(email: "ada@example.com", password: PeopleHouse.password))
        }
    }

    @Test("a way back in: unlocked, without the second factor if asked, with a link", arguments: TestEngine.all)
    func recover(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            _ = try await house.secondFactor(signedIn)
            for _ in 0..<11 { _ = try await refusal { _ = try await house.signIn("ada@example.com", Secret("x")) } }
            let nobody = try await house.accounts.recover(
                email: "nobody@example.com", removesSecondFactor: true, audit: house.audit(.machine))
            #expect(nobody == nil)
            for (removes, code) in [(false, .secondFactorRequired), (true, nil)] as [(Bool, ErrorCode?)] {
                let link = try await house.accounts.recover(
                    email: "ADA@example.com", removesSecondFactor: removes, audit: house.audit(.machine))
                let token = try #require(link?.reveal().split(separator: "#token=").last)
                try await house.accounts.reset(token: Secret(String(token)), password: new, visit: Visit(door: "cli"))
                #expect(try await refusal { _ = try await house.signIn("ada@example.com", new) } == code)
            }
            #expect(try await house.records(.machine).count == 5)
        }
    }

    @Test("people are told what happened to their accounts, without a link that could be another's")
    func notices() async throws {
        try await withPeople { house in
            let user = try await house.add()
            let (signedIn, other) = (try await house.signIn(), try await house.signIn())
            try await house.withLetters {
                try await house.accounts.changePassword(
                    signedIn.person, current: PeopleHouse.password, new: new, visit: PeopleHouse.visit)
                _ = try await house.secondFactor(signedIn)
                _ = try await house.accounts.newRecoveryCodes(signedIn.person, visit: PeopleHouse.visit)
                try await house.accounts.removeTOTP(signedIn.person, visit: PeopleHouse.visit)
                _ = try await house.sessions.refresh(signedIn.refreshToken, visit: PeopleHouse.visit)
                _ = try await refusal {
                    _ = try await house.sessions.refresh(
                        signedIn.refreshToken, visit: Visit(address: "203.0.113.66"))
                }
                // What somebody else did to it.
                _ = try await house.accounts.removeSecondFactor(of: user.id, audit: house.audit(.userWrite))
                // And what came to nothing is no letter.
                _ = try await refusal {
                    _ = try await house.sessions.refresh(other.refreshToken, visit: PeopleHouse.visit)
                }
                try await eventually("six letters") { house.mail.letters.count == 6 }
            }
            let letters = house.mail.letters
            #expect(letters.allSatisfy { $0.to == "ada@example.com" && $0.token == nil })
            let parts = [
                "the password was changed", "a second factor was added", "the recovery codes were replaced",
                "the second factor was removed", "a refresh token was used twice", "the second factor was removed",
            ]
            for (letter, part) in zip(letters, parts) { #expect(letter.text.contains(part)) }
            #expect(letters[4].text.contains("203.0.113.66") && letters[0].text.contains("192.0.2.7"))
        }
    }
}
