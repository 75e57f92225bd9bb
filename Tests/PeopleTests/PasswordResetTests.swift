// Links that set a password: once, in time, and without telling who has an account.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import TestSupport
import Testing

@Suite("Password reset")
struct PasswordResetTests {
    private let new = Secret("another good sentence")

    private func link(_ house: PeopleHouse, _ user: User) async throws -> Secret<String> {
        let link = try await house.accounts.makeResetLink(for: user.id, audit: house.audit(.userWrite)).reveal()
        let parts = link.split(separator: "#token=")
        #expect(parts.count == 2 && parts[0] == "https://mail.example.com/reset-password")
        return Secret(String(parts[1]))
    }

    private func reset(_ house: PeopleHouse, _ token: Secret<String>, _ password: Secret<String>? = nil) async throws
        -> ErrorCode?
    {
        try await refusal {
            try await house.accounts.reset(token: token, password: password ?? new, visit: PeopleHouse.visit)
        }
    }

    @Test("a link works once", arguments: TestEngine.all)
    func once(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let token = try await link(house, user)
            #expect(try await reset(house, token) == nil)
            #expect(try await reset(house, token) == .invitationInvalid)
            #expect(try await refusal { _ = try await house.signIn() } == .unauthorized)
            _ = try await house.signIn("ada@example.com", new)
            let records = try await house.records(.accountSecure)
            #expect(records.count == 1 && records[0].after?.contains("password_reset") == true)
        }
    }

    @Test("of ten who come with one link at the same moment one sets the password", arguments: TestEngine.all)
    func parallel(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let token = try await link(house, user)
            let answers = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for number in 0..<4 {
                    group.addTask { try await reset(house, token, Secret("good sentence of \(number)")) }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(answers.filter { $0 == nil }.count == 1)
            #expect(answers.filter { $0 == .invitationInvalid }.count == 3)
        }
    }

    @Test(
        "a link works in its time, one that was asked for by mail for an hour, one of an admin for a day",
        arguments: TestEngine.all)
    func time(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            try await house.withLetters {
                for (wait, code) in [(3599.0, nil), (3600, .invitationInvalid)] as [(Double, ErrorCode?)] {
                    let count = house.mail.links.count
                    try await house.accounts.requestReset(email: "ADA@example.com", visit: PeopleHouse.visit)
                    try await eventually("a letter") { house.mail.links.count == count + 1 }
                    let token = try #require(house.mail.links.last?.token)
                    house.clock.advance(seconds: wait)
                    #expect(try await reset(house, token) == code)
                }
            }
            let token = try await link(house, user)
            house.clock.advance(seconds: 86_400)
            #expect(try await reset(house, token) == .invitationInvalid)
        }
    }

    @Test("a weak password is refused, and the link works on")
    func weak() async throws {
        try await withPeople { house in
            let user = try await house.add()
            let token = try await link(house, user)
            #expect(try await reset(house, token, Secret("short")) == .weakPassword)
            #expect(try await reset(house, token, Secret("ada@example.com")) == .weakPassword)
            #expect(try await reset(house, token) == nil)
        }
    }

    @Test(
        "what is no link is refused like one that was used",
        arguments: ["", "rst_", "rst_" + String(repeating: "x", count: 43), "x"])
    func garbage(text: String) async throws {
        try await withPeople { house in
            try await house.add()
            let code = try await reset(house, Secret(text))
            #expect(code == .invitationInvalid)
        }
    }

    @Test("a link of another purpose is none", arguments: TestEngine.all)
    func otherPurpose(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let text = "rst_" + RandomToken.text(43)
            let now = house.clock.now()
            try await OneTimeTokenRepository(database: house.database).insert(
                OneTimeToken(
                    digest: Digest.sha256(text), purpose: "openid", user: user.id, createdAt: now,
                    expiresAt: now.adding(seconds: 600)))
            #expect(try await reset(house, Secret(text)) == .invitationInvalid)
        }
    }

    @Test("all sessions end, a lock ends, and the second factor stays", arguments: TestEngine.all)
    func effects(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            let (totp, _) = try await house.secondFactor(signedIn)
            house.clock.advance(seconds: 60)
            for _ in 0..<11 { _ = try await refusal { _ = try await house.signIn("ada@example.com", Secret("x")) } }
            let token = try await link(house, user)
            #expect(try await reset(house, token) == nil)
            #expect(try await refusal { _ = try await house.person(signedIn) } == .unauthorized)
            #expect(try await refusal { _ = try await house.signIn("ada@example.com", new) } == .secondFactorRequired)
            _ = try await house.signIn("ada@example.com", new, code: house.code(totp).reveal())
        }
    }

    @Test("a new link takes the place of the one before, and a new password of all", arguments: TestEngine.all)
    func replaced(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let (first, second) = (try await link(house, user), try await link(house, user))
            #expect(try await reset(house, first) == .invitationInvalid)
            let signedIn = try await house.signIn()
            try await house.accounts.changePassword(
                signedIn.person, current: PeopleHouse.password, new: new, visit: PeopleHouse.visit)
            #expect(try await reset(house, second) == .invitationInvalid)
        }
    }

    @Test("asking for an address that nobody has makes the same statements and gets the same answer")
    func unknown() async throws {
        try await withDatabase { database in
            let recorder = StatementRecorder(database)
            let house = try await PeopleHouse(recorder)
            try await house.add()
            try await house.add("sso@example.com", password: nil)
            var statements: [[String]] = []
            for email in ["ada@example.com", "nobody@example.com", "sso@example.com"] {
                _ = recorder.take()
                // Whatever a letter takes is done behind the answer, and nobody runs that here.
                try await house.accounts.requestReset(email: email, visit: PeopleHouse.visit)
                statements.append(recorder.take().map(\.text))
            }
            #expect(statements[0] == statements[1] && statements[0] == statements[2] && !statements[0].isEmpty)
        }
    }

    @Test("a letter goes to the address of the account, and to nobody else", arguments: TestEngine.all)
    func letters(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let disabled = try await house.add("bob@example.com")
            let elsewhere = try await house.add("sso@example.com", password: nil)
            _ = try await house.users.change(disabled.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                user, _ in
                var user = user
                user.isActive = false
                return user
            }
            try await house.database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO user_identities (issuer, subject, user_id, created_at)
                    VALUES ('https://id.example.com', '1', \(elsewhere.id.text), 0)
                    """)
            }
            try await house.withLetters {
                for email in [
                    "nobody@example.com", "bob@example.com", "sso@example.com", "no address", "ada@example.com\0",
                ] {
                    try await house.accounts.requestReset(email: email, visit: PeopleHouse.visit)
                }
                try await house.accounts.requestReset(email: "Ada@EXAMPLE.com", visit: PeopleHouse.visit)
                try await eventually("a letter") { !house.mail.letters.isEmpty }
            }
            // They are answered in their order, so that a letter to one of the others would have come before.
            #expect(house.mail.letters.map(\.to) == ["ada@example.com"])
            #expect(try await house.database.count("one_time_tokens") == 1)
            let token = try #require(house.mail.letters[0].token)
            #expect(!(try await house.everything()).contains(token.reveal()))
            #expect(try await reset(house, token) == nil)
        }
    }

    @Test("nobody is sent letters without end, and nobody learns that", arguments: TestEngine.all)
    func flood(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            try await house.add("bob@example.com")
            try await house.withLetters {
                for number in 0..<10 {
                    try await house.accounts.requestReset(
                        email: "ada@example.com", visit: Visit(address: "203.0.113.\(number)"))
                }
                try await house.accounts.requestReset(email: "bob@example.com", visit: PeopleHouse.visit)
                try await eventually("the last letter") { house.mail.letters.last?.to == "bob@example.com" }
            }
            #expect(house.mail.letters.filter { $0.to == "ada@example.com" }.count == 3)
            // One address that asks for many is told so, whoever they are.
            var codes: [ErrorCode?] = []
            for number in 0..<22 {
                codes.append(
                    try await refusal {
                        try await house.accounts.requestReset(
                            email: "user\(number)@example.com", visit: Visit(address: "198.51.100.9"))
                    })
            }
            #expect(codes == Array(repeating: nil, count: 20) + [.tooManyAttempts, .tooManyAttempts])
        }
    }

    @Test("a link of somebody who was disabled since is none", arguments: TestEngine.all)
    func disabled(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let token = try await link(house, user)
            try await house.database.write { connection in
                try connection.execute("UPDATE users SET is_active = 0 WHERE id = \(user.id.text)")
            }
            #expect(try await reset(house, token) == .invitationInvalid)
            #expect(try await refusal { _ = try await link(house, user) } == .notFound)
        }
    }
}
