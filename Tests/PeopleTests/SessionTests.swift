// Sessions: what shows them, how long they last, and that what ended is over at the next request.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@Suite("Sessions")
struct SessionTests {
    private func code(_ house: PeopleHouse, cookie: Secret<String>) async throws -> ErrorCode? {
        try await refusal { _ = try await house.sessions.person(cookie: cookie) }
    }

    private func code(_ house: PeopleHouse, token: Secret<String>) async throws -> ErrorCode? {
        try await refusal { _ = try await house.sessions.person(accessToken: token) }
    }

    /// Nothing that the session goes by is good for anything.
    private func isOver(_ house: PeopleHouse, _ signedIn: SignedIn) async throws -> Bool {
        let codes = [
            try await code(house, cookie: signedIn.cookie), try await code(house, token: signedIn.accessToken),
            try await refusal { _ = try await house.sessions.refresh(signedIn.refreshToken, visit: PeopleHouse.visit) },
        ]
        return codes == [.unauthorized, .unauthorized, .unauthorized]
    }

    @Test("a sign-out ends cookie, access token and refresh token at once", arguments: TestEngine.all)
    func signOut(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let (one, other) = (try await house.signIn(), try await house.signIn())
            #expect(
                try await house.sessions.sessions(of: user.id).map(\.id) == [other.person.session, one.person.session])
            _ = try await house.person(one)
            let (first, second) = (
                try await house.sessions.end(one.person.session, of: user.id, visit: PeopleHouse.visit),
                try await house.sessions.end(one.person.session, of: user.id, visit: PeopleHouse.visit)
            )
            #expect(first && !second)
            #expect(try await isOver(house, one))
            #expect(try await house.person(other).id == user.id)
            #expect(try await house.sessions.sessions(of: user.id).map(\.id) == [other.person.session])
            let records = try await house.records(.sessionEnd)
            #expect(records.count == 1 && records[0].actor == "ada@example.com")
        }
    }

    @Test("nobody ends a session of somebody else by its id")
    func othersSession() async throws {
        try await withPeople { house in
            try await house.add()
            let eve = try await house.add("eve@example.com")
            let signedIn = try await house.signIn()
            let ended = try await house.sessions.end(signedIn.person.session, of: eve.id, visit: PeopleHouse.visit)
            #expect(!ended)
            #expect(try await house.person(signedIn).email == "ada@example.com")
        }
    }

    @Test("all sessions but one end together, and that is one record", arguments: TestEngine.all)
    func endAll(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let sessions = [try await house.signIn(), try await house.signIn(), try await house.signIn()]
            for each in sessions { _ = try await house.person(each) }
            let ended = try await house.sessions.endAll(
                of: user.id, except: sessions[1].person.session, audit: house.audit(.sessionEnd))
            #expect(ended == 2)
            #expect(try await isOver(house, sessions[0]))
            #expect(try await isOver(house, sessions[2]))
            #expect(try await house.person(sessions[1]).id == user.id)
            #expect(try await house.records(.sessionEnd).count == 1)
            let again = try await house.sessions.endAll(
                of: user.id, except: sessions[1].person.session, audit: house.audit(.sessionEnd))
            #expect(again == 0)
        }
    }

    @Test(
        "what is no cookie and no token is refused like one that ended",
        arguments: [
            "", "x", String(repeating: "a", count: 43), String(repeating: "a", count: 100_000), "a.b.c", "..", "é.ü.ö",
        ])
    func garbage(text: String) async throws {
        try await withPeople { house in
            let codes = (try await code(house, cookie: Secret(text)), try await code(house, token: Secret(text)))
            #expect(codes == (.unauthorized, .unauthorized))
        }
    }

    @Test("a cookie ends twelve hours after its last use, and takes its session with it", arguments: TestEngine.all)
    func idle(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            for _ in 0..<3 {
                house.clock.advance(seconds: 12 * 3600 - 1)
                #expect(try await code(house, cookie: signedIn.cookie) == nil)
            }
            house.clock.advance(seconds: 12 * 3600)
            #expect(try await code(house, cookie: signedIn.cookie) == .unauthorized)
            #expect(try await isOver(house, signedIn))
            #expect(try await house.records(.sessionEnd).last?.after?.contains("\"idle\"") == true)
        }
    }

    @Test("a cookie ends seven days after the sign-in, however much it is used", arguments: TestEngine.all)
    func absolute(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            for _ in 0..<14 {
                #expect(try await code(house, cookie: signedIn.cookie) == nil)
                house.clock.advance(seconds: 12 * 3600 - 1)
            }
            house.clock.advance(seconds: 14)
            #expect(try await code(house, cookie: signedIn.cookie) == .unauthorized)
            #expect(try await isOver(house, signedIn))
        }
    }

    @Test("uses are written down together, and another process knows of them", arguments: TestEngine.all)
    func uses(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            let other = await house.neighbour()
            #expect(try await code(other, cookie: signedIn.cookie) == nil)
            house.clock.advance(seconds: 8 * 3600)
            #expect(try await code(house, cookie: signedIn.cookie) == nil)
            try await house.sessions.flushUses()
            #expect(try await house.sessions.sessions(of: user.id).first?.lastUsedAt == house.clock.now())
            // It last saw the cookie twelve hours ago, and looks again before it ends the session.
            house.clock.advance(seconds: 4 * 3600)
            #expect(try await code(other, cookie: signedIn.cookie) == nil)
            // An older use never takes the place of a newer one.
            let repository = SessionRepository(database: house.database)
            try await repository.recordUses([signedIn.person.session: Timestamp(milliseconds: 0)])
            #expect((try await house.sessions.sessions(of: user.id).first?.lastUsedAt.milliseconds ?? 0) > 0)
        }
    }

    @Test("a new role and a new membership hold at the next request, without a new sign-in", arguments: TestEngine.all)
    func roleChange(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add(role: .owner)
            let vault = try await house.vault()
            let signedIn = try await house.signIn()
            #expect(try await house.person(signedIn).role == .owner)
            _ = try await house.users.change(user.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                user, _ in
                var user = user
                user.role = .viewer
                return user
            }
            try await house.join(user, vault, as: .viewer)
            house.sessions.forget([user.id])
            let people = [
                try await house.person(signedIn), try await house.sessions.person(accessToken: signedIn.accessToken),
            ]
            for person in people { #expect(person.role == .viewer && person.memberships == [vault: .viewer]) }
        }
    }

    @Test("who is disabled or deleted is signed in nowhere at the next request", arguments: TestEngine.all)
    func disabled(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let (ada, bob) = (try await house.add(), try await house.add("bob@example.com"))
            let (one, other) = (try await house.signIn(), try await house.signIn("bob@example.com"))
            _ = (try await house.person(one), try await house.person(other))
            _ = try await house.users.change(ada.id, at: house.clock.now(), audit: house.audit(.userWrite)) { user, _ in
                var user = user
                user.isActive = false
                return user
            }
            _ = try await house.users.delete(bob.id, audit: house.audit(.userDelete)) { _, _ in }
            house.sessions.forget([ada.id, bob.id])
            #expect(try await isOver(house, one))
            #expect(try await isOver(house, other))
            // Enabled again, what ended stays ended.
            _ = try await house.users.change(ada.id, at: house.clock.now(), audit: house.audit(.userWrite)) { user, _ in
                var user = user
                user.isActive = true
                return user
            }
            house.sessions.forget([ada.id])
            #expect(try await isOver(house, one))
        }
    }

    @Test("what another process ended is over here once it was told", arguments: TestEngine.all)
    func otherProcess(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            let other = await house.neighbour()
            let counters = ChangeCounters(database: house.database)
            _ = try await other.person(signedIn)
            let before = try await counters.all()[.people]
            try await house.sessions.end(signedIn.person.session, of: user.id, visit: PeopleHouse.visit)
            #expect(try await counters.all()[.people] != before)
            try await other.sessions.forgetAll()
            #expect(try await isOver(other, signedIn))
        }
    }

    @Test("what was read before something was forgotten is not remembered after it")
    func race() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted)
            let user = try await house.add()
            let signedIn = try await house.signIn()
            // The session ends while a request has its row in hand.
            scripted.afterNextRead {
                _ = try? await house.sessions.end(signedIn.person.session, of: user.id, visit: PeopleHouse.visit)
            }
            _ = try? await house.person(signedIn)
            #expect(try await isOver(house, signedIn))
        }
    }

    @Test("a sign-in gives nothing to what was there before it: every text is new", arguments: TestEngine.all)
    func fixation(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let (first, second) = (try await house.signIn(), try await house.signIn())
            #expect(first.person.session != second.person.session)
            #expect(first.cookie.reveal() != second.cookie.reveal())
            #expect(first.refreshToken.reveal() != second.refreshToken.reveal())
            // A cookie that somebody else chose beforehand is nobody's.
            let planted = Secret(RandomToken.text(43))
            #expect(try await code(house, cookie: planted) == .unauthorized)
            _ = try await house.signIn()
            #expect(try await code(house, cookie: planted) == .unauthorized)
        }
    }

    @Test(
        "showing again who one is makes the session fresh under new texts; the old cookie is worth nothing",
        arguments: TestEngine.all)
    func reauthentication(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            _ = try await house.person(signedIn)
            house.clock.advance(seconds: 3600)
            let wrong = try await refusal {
                _ = try await house.sessions.reauthenticate(
                    signedIn.person, password: Secret("wrong"), code: nil, visit: PeopleHouse.visit)
            }
            let none = try await refusal {
                _ = try await house.sessions.reauthenticate(
                    signedIn.person, password: nil, code: nil, visit: PeopleHouse.visit)
            }
            #expect(wrong == .unauthorized && none == .unauthorized)
            #expect(try await house.person(signedIn).authenticatedAt < house.clock.now())
            let fresh = try await house.sessions.reauthenticate(
                signedIn.person, password: PeopleHouse.password, code: nil, visit: PeopleHouse.visit)
            #expect(fresh.person.session == signedIn.person.session)
            #expect(fresh.person.authenticatedAt == house.clock.now())
            #expect(try await house.person(fresh).authenticatedAt == house.clock.now())
            #expect(try await code(house, cookie: signedIn.cookie) == .unauthorized)
            let refreshed = try await house.sessions.refresh(fresh.refreshToken, visit: PeopleHouse.visit)
            #expect(refreshed.person.authenticatedAt == house.clock.now())
        }
    }

    @Test("nobody shows who they are with the password of somebody else")
    func othersPassword() async throws {
        try await withPeople { house in
            try await house.add()
            try await house.add("eve@example.com", password: Secret("the password of eve"))
            let signedIn = try await house.signIn()
            let code = try await refusal {
                _ = try await house.sessions.reauthenticate(
                    signedIn.person, password: Secret("the password of eve"), code: nil, visit: PeopleHouse.visit)
            }
            #expect(code == .unauthorized)
        }
    }

    @Test("a session that ended is not made fresh", arguments: TestEngine.all)
    func endedIsNotRenewed(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            try await house.sessions.end(signedIn.person.session, of: user.id, visit: PeopleHouse.visit)
            let codes = [
                try await refusal {
                    _ = try await house.sessions.reauthenticate(
                        signedIn.person, password: PeopleHouse.password, code: nil, visit: PeopleHouse.visit)
                },
                try await refusal {
                    _ = try await house.sessions.renew(signedIn.person, method: .openID, visit: PeopleHouse.visit)
                },
            ]
            #expect(codes == [.unauthorized, .unauthorized])
        }
    }

    @Test("somebody with too many sessions loses the one that was used longest ago", arguments: TestEngine.all)
    func tooMany(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            var sessions: [SignedIn] = []
            for _ in 0...SessionRepository.limit {
                house.clock.advance(seconds: 1)
                sessions.append(try await house.desk.begin(user, method: .openID, visit: PeopleHouse.visit))
            }
            #expect(try await isOver(house, sessions[0]))
            #expect(try await house.person(sessions[1]).id == user.id)
            #expect(try await house.sessions.sessions(of: user.id).count == SessionRepository.limit)
        }
    }

    @Test("what is over is deleted a day later, and nothing else", arguments: TestEngine.all)
    func sweep(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let (ended, _, living) = (try await house.signIn(), try await house.signIn(), try await house.signIn())
            _ = try await house.accounts.makeResetLink(for: user.id, audit: house.audit(.userWrite))
            let sweep = SessionSweep(sessions: house.sessions)
            try await house.sessions.end(ended.person.session, of: user.id, visit: PeopleHouse.visit)
            #expect(try await sweep.round() == 0)
            house.clock.advance(seconds: 2 * 86_400 + 1)
            // The session, the link, and the counts of the account, here and everywhere, and the address.
            #expect(try await sweep.round() == 5)
            #expect(try await house.database.count("sessions") == 2)
            #expect(try await house.database.count("refresh_tokens") == 2)
            #expect(
                try await refusal {
                    _ = try await house.sessions.refresh(living.refreshToken, visit: PeopleHouse.visit)
                } == nil)
            house.clock.advance(seconds: 32 * 86_400)
            try await sweep.round()
            #expect(try await house.database.count("sessions") == 0)
        }
    }

    @Test("a long user agent is cut, and shown in the list of sessions")
    func userAgent() async throws {
        try await withPeople { house in
            let user = try await house.add()
            _ = try await house.desk.signIn(
                email: "ada@example.com", password: PeopleHouse.password,
                visit: Visit(address: "192.0.2.7", userAgent: String(repeating: "x", count: 10_000)))
            let session = try #require(try await house.sessions.sessions(of: user.id).first)
            #expect(session.userAgent?.count == 256 && session.address == "192.0.2.7")
            #expect(session.document["method"]?.stringValue == "password")
        }
    }
}
