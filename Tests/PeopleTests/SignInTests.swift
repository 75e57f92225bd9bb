// Signing in by password: who gets in, who does not, and what the refused learn by it.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@Suite("Sign-in")
struct SignInTests {
    @Test(
        "the right password opens a session, whose cookie and access token both say who it is",
        arguments: TestEngine.all)
    func signIn(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let vault = try await house.vault()
            try await house.join(user, vault, as: .operator)
            let signedIn = try await house.signIn()
            #expect(signedIn.expiresIn == 900)
            #expect(signedIn.cookie.reveal().utf8.count == 43 && signedIn.refreshToken.reveal().hasPrefix("rt_"))
            let people = [
                signedIn.person, try await house.person(signedIn),
                try await house.sessions.person(accessToken: signedIn.accessToken),
            ]
            for person in people {
                #expect(person.id == user.id && person.email == "ada@example.com" && person.role == .member)
                #expect(person.memberships == [vault: .operator] && person.method == .password)
                #expect(person.session == signedIn.person.session && person.authenticatedAt == house.clock.now())
            }
            #expect(try await house.users.find(user.id)?.lastSignInAt == house.clock.now())
        }
    }

    @Test("an address is one in any case, and its domain in any form")
    func spelling() async throws {
        try await withPeople { house in
            try await house.add("Ada.Lovelace@BÜCHER.example")
            for email in ["ada.lovelace@bücher.example", "ADA.LOVELACE@xn--bcher-kva.EXAMPLE"] {
                #expect(try await house.signIn(email).person.email == "Ada.Lovelace@bücher.example")
            }
            // A Kelvin sign folds to k, and is none.
            try await house.add("kim@example.com")
            #expect(try await refusal { _ = try await house.signIn("\u{212A}im@example.com") } == .unauthorized)
        }
    }

    @Test("a wrong password, an unknown address and an account without a password are refused in the same words")
    func refusals() async throws {
        try await withPeople { house in
            try await house.add()
            try await house.add("sso@example.com", password: nil)
            var sentences: Set<String> = []
            for (email, password) in [
                ("ada@example.com", "wrong password"), ("nobody@example.com", "wrong password"),
                ("sso@example.com", "wrong password"), ("ada@example.com", ""), ("", ""), ("ada", "x"),
                ("' OR 1=1 --@example.com", "x"), ("ada@example.com\0", "four unrelated words"),
            ] {
                do {
                    _ = try await house.signIn(email, Secret(password), from: nil)
                    Issue.record("signed in as \(email)")
                } catch let error as PosternError {
                    #expect(error.code == .unauthorized)
                    sentences.insert("\(error.detail) \(error.fix) \(error.problems) \(error.retryAfter ?? 0)")
                }
            }
            #expect(sentences.count == 1)
        }
    }

    @Test("an unknown address makes the same statements as a wrong password, and takes the time of one")
    func sameWork() async throws {
        try await withDatabase { database in
            let recorder = StatementRecorder(database)
            let house = try await PeopleHouse(recorder) { $0.accountAttempts = 100 }
            let user = try await house.add()
            // As costly as those of real accounts.
            let hash = try await house.accounts.hash(PeopleHouse.password, for: "", name: "")
            try await database.write { connection in
                try connection.execute("UPDATE users SET password_hash = \(hash) WHERE id = \(user.id.text)")
            }
            func attempt(_ email: String) async throws -> (statements: [String], time: Duration) {
                _ = recorder.take()
                let time = try await ContinuousClock().measure {
                    let code = try await refusal { _ = try await house.signIn(email, Secret("wrong password")) }
                    #expect(code == .unauthorized)
                }
                return (recorder.take().map(\.text), time)
            }
            var best = (known: Duration.seconds(60), unknown: Duration.seconds(60))
            for _ in 0..<4 {
                let (known, unknown) = (
                    try await attempt("ada@example.com"), try await attempt("nobody@example.com")
                )
                #expect(known.statements == unknown.statements)
                best = (min(best.known, known.time), min(best.unknown, unknown.time))
            }
            // The hash is most of it: without one the unknown would take less than a tenth.
            #expect(best.unknown > best.known / 2)
        }
    }

    @Test("a disabled account is refused as such only to who knows its password")
    func disabled() async throws {
        try await withPeople { house in
            let user = try await house.add()
            _ = try await house.users.change(user.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                user, _ in
                var user = user
                user.isActive = false
                return user
            }
            #expect(try await refusal { _ = try await house.signIn() } == .signInRefused)
            #expect(
                try await refusal { _ = try await house.signIn("ada@example.com", Secret("wrong")) } == .unauthorized)
            #expect(
                try await refusal {
                    _ = try await house.desk.begin(user, method: .openID, visit: PeopleHouse.visit)
                } == .signInRefused)
            #expect(try await house.database.count("sessions") == 0)
        }
    }

    @Test("where the instance takes no passwords, the right one is of no use")
    func noPasswords() async throws {
        try await withPeople(.standard, { $0.passwordSignIn = false }) { house in
            let user = try await house.add()
            #expect(try await refusal { _ = try await house.signIn() } == .signInRefused)
            let signedIn = try await house.desk.begin(user, method: .openID, visit: PeopleHouse.visit)
            #expect(try await house.person(signedIn).method == .openID)
        }
    }

    @Test("a sign-in elsewhere is as fresh as that one was, and never fresher than now")
    func authenticatedElsewhere() async throws {
        try await withPeople { house in
            let user = try await house.add()
            let now = house.clock.now()
            for (claimed, stored) in [
                (now.adding(seconds: -7200), now.adding(seconds: -7200)), (now.adding(seconds: 60), now),
            ] {
                let signedIn = try await house.desk.begin(
                    user, method: .openID, authenticatedAt: claimed, visit: PeopleHouse.visit)
                #expect(try await house.person(signedIn).authenticatedAt == stored)
            }
        }
    }

    @Test(
        "sign-ins and failures stand in the audit log, with the address and never the password",
        arguments: TestEngine.all)
    func audit(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            for _ in 0..<3 {
                _ = try await refusal { _ = try await house.signIn("ada@example.com", Secret("not-the-password")) }
            }
            _ = try await refusal { _ = try await house.signIn("eve@example.com", Secret("not-the-password")) }
            // Somebody typed the password into the wrong field.
            _ = try await refusal { _ = try await house.signIn("four unrelated words", Secret("x")) }
            let signedIn = try await house.signIn()
            let records = try await house.records(.sessionBegin)
            #expect(records.map(\.outcome) == ["failed", "failed", "done"])
            #expect(records.map(\.actor) == ["ada@example.com", "eve@example.com", "ada@example.com"])
            #expect(records[0].reason == "password")
            #expect(records.last?.after?.contains("\"failures_before\":3") == true)
            let all = try await house.everything()
            for secret in [
                "not-the-password", "four unrelated words", signedIn.cookie.reveal(), signedIn.refreshToken.reveal(),
                signedIn.accessToken.reveal(),
            ] {
                #expect(!all.contains(secret), "the database holds \(secret.prefix(8))…")
            }
            #expect(all.contains(user.id.text))
        }
    }

    @Test(
        "failures that nobody wrote down one by one are written down when their time is over", arguments: TestEngine.all
    )
    func tally(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            func fail(_ email: String) async throws {
                _ = try await refusal { _ = try await house.signIn(email, Secret("wrong")) }
            }
            for _ in 0..<4 { try await fail("ada@example.com") }
            for _ in 0..<3 { try await fail("eve@example.com") }
            house.clock.advance(seconds: 901)
            try await fail("ada@example.com")
            var records = try await house.records(.sessionBegin)
            #expect(
                records.map(\.actor) == ["ada@example.com", "eve@example.com", "ada@example.com", "ada@example.com"])
            #expect(records[2].after?.contains("\"attempts\":4") == true)
            // The one place and all places together.
            #expect(try await SessionSweep(sessions: house.sessions).round() == 2)
            records = try await house.records(.sessionBegin)
            #expect(records.last?.actor == "eve@example.com" && records.last?.after?.contains("\"attempts\":3") == true)
            #expect(try await SessionSweep(sessions: house.sessions).round() == 0)
        }
    }

    @Test("what showed the right password is worth nothing once the password changed", arguments: TestEngine.all)
    func changedMeanwhile(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted)
            let user = try await house.add()
            let hash = try await house.accounts.hash(Secret("another good sentence"), for: "", name: "")
            // Between the look at the password and the session.
            scripted.afterNextRead {
                _ = try? await database.write { connection in
                    try connection.execute("UPDATE users SET password_hash = \(hash) WHERE id = \(user.id.text)")
                }
            }
            #expect(try await refusal { _ = try await house.signIn() } == .unauthorized)
            #expect(try await database.count("sessions") == 0)
        }
    }
}

extension PeopleHouse {
    /// Every text and every blob of the tables of people, as one text.
    func everything() async throws -> String {
        let tables = [
            "users", "sessions", "refresh_tokens", "one_time_tokens", "recovery_codes", "sign_in_attempts",
            "audit_records",
        ]
        var all = ""
        for table in tables {
            let rows = try await database.read { try $0.rows(SQLStatement(stringLiteral: "SELECT * FROM \(table)")) }
            for value in rows.flatMap(\.values) {
                switch value {
                case .text(let text): all += text + "\n"
                case .blob(let bytes): all += String(decoding: bytes, as: UTF8.self) + "\n"
                case .null, .integer, .real: break
                }
            }
        }
        return all
    }
}
