// Refresh tokens: each works once, and one that comes again ends the session of whoever has it.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@Suite("Refresh")
struct RefreshTests {
    private func code(_ house: PeopleHouse, _ token: Secret<String>) async throws -> ErrorCode? {
        try await refusal { _ = try await house.sessions.refresh(token, visit: PeopleHouse.visit) }
    }

    @Test(
        "each refresh gives new texts for the same session, and the old cookie is worth nothing",
        arguments: TestEngine.all)
    func rotation(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            var current = try await house.signIn()
            let session = current.person.session
            for _ in 0..<3 {
                _ = try await house.person(current)
                house.clock.advance(seconds: 901)
                #expect(
                    try await refusal { _ = try await house.sessions.person(accessToken: current.accessToken) }
                        == .unauthorized)
                let next = try await house.sessions.refresh(current.refreshToken, visit: PeopleHouse.visit)
                #expect(next.person.session == session && next.refreshToken.reveal() != current.refreshToken.reveal())
                #expect(try await house.sessions.person(accessToken: next.accessToken).session == session)
                #expect(try await house.person(next).session == session)
                let old = current.cookie
                #expect(try await refusal { _ = try await house.sessions.person(cookie: old) } == .unauthorized)
                current = next
            }
        }
    }

    @Test(
        "a token that comes a second time ends the session, the thief's texts and the owner's, and is written down",
        arguments: TestEngine.all)
    func theft(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let (signedIn, unrelated) = (try await house.signIn(), try await house.signIn())
            let thief = try await house.sessions.refresh(signedIn.refreshToken, visit: Visit(address: "203.0.113.66"))
            _ = try await house.person(thief)
            #expect(try await code(house, signedIn.refreshToken) == .unauthorized)
            for text in [thief.cookie, signedIn.cookie] {
                #expect(try await refusal { _ = try await house.sessions.person(cookie: text) } == .unauthorized)
            }
            for text in [thief.accessToken, signedIn.accessToken] {
                #expect(try await refusal { _ = try await house.sessions.person(accessToken: text) } == .unauthorized)
            }
            #expect(try await code(house, thief.refreshToken) == .unauthorized)
            // Other sessions of the same person are not concerned.
            #expect(try await house.person(unrelated).id == user.id)
            let records = try await house.records(.sessionEnd)
            #expect(records.count == 1)
            #expect(
                records[0].outcome == "failed" && records[0].reason == "refresh_reuse" && records[0].actor == user.email
            )
        }
    }

    @Test("the thief who comes second is found out as well", arguments: TestEngine.all)
    func lateThief(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            var owner = try await house.sessions.refresh(signedIn.refreshToken, visit: PeopleHouse.visit)
            owner = try await house.sessions.refresh(owner.refreshToken, visit: PeopleHouse.visit)
            #expect(try await code(house, signedIn.refreshToken) == .unauthorized)
            #expect(try await refusal { _ = try await house.person(owner) } == .unauthorized)
        }
    }

    @Test(
        "of two who come with one token at the same moment one is served, and the session ends",
        arguments: TestEngine.all)
    func parallel(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let other = await house.neighbour()
            let answers = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for number in 0..<10 {
                    group.addTask { try await code(number % 2 == 0 ? house : other, signedIn.refreshToken) }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(answers.filter { $0 == nil }.count == 1)
            #expect(answers.filter { $0 == .unauthorized }.count == 9)
            #expect(try await house.database.count("sessions", where: "ended_at IS NULL") == 0)
            #expect(try await house.records(.sessionEnd).count == 1)
        }
    }

    @Test("what showed again who it is has new tokens, and the old one is a stolen one", arguments: TestEngine.all)
    func afterReauthentication(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let fresh = try await house.sessions.reauthenticate(
                signedIn.person, password: PeopleHouse.password, code: nil, visit: PeopleHouse.visit)
            #expect(try await code(house, signedIn.refreshToken) == .unauthorized)
            #expect(try await refusal { _ = try await house.person(fresh) } == .unauthorized)
        }
    }

    @Test("thirty days after the sign-in all is over, however often it was refreshed")
    func absolute() async throws {
        try await withPeople { house in
            try await house.add()
            var current = try await house.signIn()
            for _ in 0..<29 {
                house.clock.advance(seconds: 86_400)
                current = try await house.sessions.refresh(current.refreshToken, visit: PeopleHouse.visit)
            }
            house.clock.advance(seconds: 86_399)
            current = try await house.sessions.refresh(current.refreshToken, visit: PeopleHouse.visit)
            house.clock.advance(seconds: 1)
            #expect(try await code(house, current.refreshToken) == .unauthorized)
            #expect(
                try await refusal { _ = try await house.sessions.person(accessToken: current.accessToken) }
                    == .unauthorized)
        }
    }

    @Test("where cookies last longer than refresh tokens, both have their own end", arguments: TestEngine.all)
    func shorterThanCookies(engine: TestEngine) async throws {
        let day = 86_400
        try await withPeople(
            engine,
            { ($0.refreshLifetime, $0.sessionLifetime, $0.sessionIdle) = (2 * day, 90 * day, 30 * day) }
        ) { house in
            try await house.add()
            var current = try await house.signIn()
            house.clock.advance(seconds: Double(day))
            current = try await house.sessions.reauthenticate(
                current.person, password: PeopleHouse.password, code: nil, visit: PeopleHouse.visit)
            current = try await house.sessions.refresh(current.refreshToken, visit: PeopleHouse.visit)
            house.clock.advance(seconds: Double(day))
            #expect(try await code(house, current.refreshToken) == .unauthorized)
            for _ in 0..<4 {
                house.clock.advance(seconds: Double(20 * day))
                _ = try await house.person(current)
            }
            house.clock.advance(seconds: Double(8 * day))
            #expect(try await refusal { _ = try await house.person(current) } == .unauthorized)
        }
    }

    @Test("what is no refresh token costs no write")
    func garbage() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted)
            try await house.add()
            let signedIn = try await house.signIn()
            let before = scripted.writeCount
            let texts = [
                "", "rt_", "rt_" + String(repeating: "x", count: 43), signedIn.cookie.reveal(),
                signedIn.accessToken.reveal(), "rt_" + signedIn.cookie.reveal(), signedIn.refreshToken.reveal() + "x",
            ]
            for text in texts {
                let code = try await code(house, Secret(text))
                #expect(code == .unauthorized)
            }
            #expect(scripted.writeCount == before)
        }
    }

    @Test("who was disabled in the meantime is not refreshed", arguments: TestEngine.all)
    func disabled(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            // Not through us: the row alone says so.
            try await house.database.write { connection in
                try connection.execute("UPDATE users SET is_active = 0 WHERE id = \(user.id.text)")
            }
            #expect(try await code(house, signedIn.refreshToken) == .unauthorized)
            let found = try await refusal { _ = try await house.person(signedIn) }
            #expect(found == .unauthorized)
        }
    }
}
