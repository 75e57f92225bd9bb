// The second factor: asked for after the password, good for one use, and no way back but its recovery codes.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@Suite("Second factor")
struct SecondFactorTests {
    @Test("it is asked for after the right password, and not before", arguments: TestEngine.all)
    func order(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let (totp, _) = try await house.secondFactor(try await house.signIn())
            house.clock.advance(seconds: 60)
            func attempt(_ password: Secret<String>, _ code: String?) async throws -> ErrorCode? {
                try await refusal { _ = try await house.signIn("ada@example.com", password, code: code) }
            }
            let code = house.code(totp).reveal()
            #expect(try await attempt(PeopleHouse.password, nil) == .secondFactorRequired)
            #expect(try await attempt(Secret("wrong"), nil) == .unauthorized)
            #expect(try await attempt(Secret("wrong"), code) == .unauthorized)
            #expect(try await attempt(PeopleHouse.password, "000000") == .unauthorized)
            #expect(try await attempt(PeopleHouse.password, "") == .unauthorized)
            let signedIn = try await house.signIn(code: code)
            #expect(signedIn.person.method == .secondFactor && signedIn.person.hasSecondFactor)
            #expect(try await house.person(signedIn).method == .secondFactor)
        }
    }

    @Test("a code works once, and none of before it after it", arguments: TestEngine.all)
    func replay(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let (totp, _) = try await house.secondFactor(try await house.signIn())
            // The code that set it up is used as well.
            #expect(try await refusal { _ = try await house.signIn(code: house.code(totp).reveal()) } == .unauthorized)
            house.clock.advance(seconds: 90)
            let (before, now, after) = (house.code(totp, steps: -1), house.code(totp), house.code(totp, steps: 1))
            _ = try await house.signIn(code: now.reveal())
            for used in [now, before] {
                #expect(try await refusal { _ = try await house.signIn(code: used.reveal()) } == .unauthorized)
            }
            // Another process knows it as well; the next step still counts.
            let other = await house.neighbour()
            #expect(try await refusal { _ = try await other.signIn(code: now.reveal()) } == .unauthorized)
            _ = try await other.signIn(code: after.reveal())
            house.clock.advance(seconds: 30)
            #expect(try await refusal { _ = try await house.signIn(code: after.reveal()) } == .unauthorized)
        }
    }

    @Test("of ten who come with one code at the same moment one gets in", arguments: TestEngine.all)
    func parallel(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.accountAttempts = 100 }) { house in
            try await house.add()
            let (totp, recovery) = try await house.secondFactor(try await house.signIn())
            house.clock.advance(seconds: 60)
            for code in [house.code(totp), recovery[0]] {
                let answers = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                    for _ in 0..<10 {
                        group.addTask { try await refusal { _ = try await house.signIn(code: code.reveal()) } }
                    }
                    return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
                }
                #expect(answers.filter { $0 == nil }.count == 1)
                #expect(answers.filter { $0 == .unauthorized }.count == 9)
            }
        }
    }

    @Test("clocks may be half a minute apart, and no more")
    func drift() async throws {
        try await withPeople { house in
            try await house.add()
            let (totp, _) = try await house.secondFactor(try await house.signIn())
            house.clock.advance(seconds: 300)
            for steps in [-2, 2] as [Int64] {
                let code = house.code(totp, steps: steps).reveal()
                #expect(try await refusal { _ = try await house.signIn(code: code) } == .unauthorized)
            }
            _ = try await house.signIn(code: house.code(totp, steps: -1).reveal())
            _ = try await house.signIn(code: house.code(totp, steps: 1).reveal())
        }
    }

    @Test("a recovery code works once, however it is typed", arguments: TestEngine.all)
    func recovery(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let (_, codes) = try await house.secondFactor(try await house.signIn())
            #expect(codes.count == 10 && Set(codes.map { $0.reveal() }).count == 10)
            #expect(codes.allSatisfy { $0.reveal().utf8.count == 19 })
            let typed = codes[0].reveal().uppercased().replacing("-", with: " ").replacing("0", with: "O")
            let signedIn = try await house.signIn(code: typed)
            #expect(signedIn.person.method == .secondFactor)
            #expect(try await refusal { _ = try await house.signIn(code: codes[0].reveal()) } == .unauthorized)
            _ = try await house.signIn(code: codes[9].reveal())
            #expect(try await house.accounts.recoveryCodesLeft(of: user.id) == 8)
            for code in codes {
                let stored = try await house.everything()
                #expect(!stored.contains(code.reveal()) && !stored.contains(code.reveal().replacing("-", with: "")))
            }
        }
    }

    @Test("the codes of somebody else are of no use")
    func othersCodes() async throws {
        try await withPeople { house in
            try await house.add()
            try await house.add("eve@example.com")
            let (_, _) = try await house.secondFactor(try await house.signIn())
            let (totp, codes) = try await house.secondFactor(try await house.signIn("eve@example.com"))
            house.clock.advance(seconds: 60)
            #expect(try await refusal { _ = try await house.signIn(code: codes[0].reveal()) } == .unauthorized)
            #expect(try await refusal { _ = try await house.signIn(code: house.code(totp).reveal()) } == .unauthorized)
            _ = try await house.signIn("eve@example.com", code: codes[0].reveal())
        }
    }

    @Test("new recovery codes take the place of the old ones", arguments: TestEngine.all)
    func newCodes(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let none = try await refusal {
                _ = try await house.accounts.newRecoveryCodes(signedIn.person, visit: PeopleHouse.visit)
            }
            #expect(none == .conflict)
            let (_, old) = try await house.secondFactor(signedIn)
            let new = try await house.accounts.newRecoveryCodes(signedIn.person, visit: PeopleHouse.visit)
            #expect(try await refusal { _ = try await house.signIn(code: old[1].reveal()) } == .unauthorized)
            _ = try await house.signIn(code: new[1].reveal())
        }
    }

    @Test("one that is being set up changes nothing until its code was given", arguments: TestEngine.all)
    func candidate(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let nothing = try await refusal {
                _ = try await house.accounts.confirmTOTP(
                    signedIn.person, code: Secret("123456"), visit: PeopleHouse.visit)
            }
            #expect(nothing == .conflict)
            let begun = try await house.accounts.beginTOTP(signedIn.person, visit: PeopleHouse.visit)
            #expect(
                begun.uri.reveal().hasPrefix(
                    "otpauth://totp/Postern:ada%40example.com?secret=\(begun.secret.reveal())&issuer=Postern"))
            let wrong = try await refusal {
                _ = try await house.accounts.confirmTOTP(
                    signedIn.person, code: Secret("12345"), visit: PeopleHouse.visit)
            }
            #expect(wrong == .unauthorized)
            // Still by password alone.
            _ = try await house.signIn()
            #expect(try await !house.person(signedIn).hasSecondFactor)
            let (first, _) = try await house.secondFactor(signedIn)
            house.clock.advance(seconds: 60)
            // A second one that is begun and left leaves the first in force.
            let again = try await house.accounts.beginTOTP(signedIn.person, visit: PeopleHouse.visit)
            let second = TOTP(secret: Secret(try #require(Base32.decode(again.secret.reveal()))))
            #expect(
                try await refusal { _ = try await house.signIn(code: house.code(second).reveal()) } == .unauthorized)
            _ = try await house.signIn(code: house.code(first).reveal())
        }
    }

    @Test("setting it up makes this session one of both factors, and ends those of one", arguments: TestEngine.all)
    func sessions(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let (signedIn, other) = (try await house.signIn(), try await house.signIn())
            _ = (try await house.person(signedIn), try await house.person(other))
            _ = try await house.secondFactor(signedIn)
            let person = try await house.person(signedIn)
            #expect(person.method == .secondFactor && person.hasSecondFactor)
            #expect(try await refusal { _ = try await house.person(other) } == .unauthorized)
        }
    }

    @Test("taken away, the password is enough again, and nothing of it is left", arguments: TestEngine.all)
    func removal(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            let (totp, codes) = try await house.secondFactor(signedIn)
            house.clock.advance(seconds: 60)
            let other = try await house.signIn(code: codes[0].reveal())
            try await house.accounts.removeTOTP(signedIn.person, visit: PeopleHouse.visit)
            #expect(try await refusal { _ = try await house.person(other) } == .unauthorized)
            #expect(try await !house.person(signedIn).hasSecondFactor)
            #expect(try await house.signIn().person.method == .password)
            #expect(try await house.database.count("recovery_codes") == 0)
            #expect(
                try await house.database.count("users", where: "totp_secret IS NOT NULL OR totp_candidate IS NOT NULL")
                    == 0)
            _ = totp
            // An admin takes it from somebody who lost it, and all their sessions end.
            _ = try await house.secondFactor(signedIn)
            let removed = try await house.accounts.removeSecondFactor(of: user.id, audit: house.audit(.userWrite))
            #expect(removed?.hasSecondFactor == false)
            #expect(try await refusal { _ = try await house.person(signedIn) } == .unauthorized)
        }
    }

    @Test("showing again who one is takes the code as well")
    func reauthentication() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            let (totp, _) = try await house.secondFactor(signedIn)
            house.clock.advance(seconds: 60)
            func again(_ password: Secret<String>?, _ code: Secret<String>?) async throws -> ErrorCode? {
                try await refusal {
                    _ = try await house.sessions.reauthenticate(
                        signedIn.person, password: password, code: code, visit: PeopleHouse.visit)
                }
            }
            #expect(try await again(PeopleHouse.password, nil) == .secondFactorRequired)
            #expect(try await again(nil, house.code(totp)) == .unauthorized)
            #expect(try await again(PeopleHouse.password, house.code(totp)) == nil)
            #expect(try await again(PeopleHouse.password, house.code(totp)) == .unauthorized)
        }
    }

    @Test("who has no password shows the code alone, and who has neither cannot")
    func withoutPassword() async throws {
        try await withPeople { house in
            let user = try await house.add(password: nil)
            let signedIn = try await house.desk.begin(user, method: .openID, visit: PeopleHouse.visit)
            func again(_ code: Secret<String>?) async throws -> ErrorCode? {
                try await refusal {
                    _ = try await house.sessions.reauthenticate(
                        signedIn.person, password: nil, code: code, visit: PeopleHouse.visit)
                }
            }
            #expect(try await again(nil) == .unauthorized)
            let (totp, _) = try await house.secondFactor(signedIn)
            house.clock.advance(seconds: 60)
            #expect(try await again(Secret("000000")) == .unauthorized)
            #expect(try await again(house.code(totp)) == nil)
        }
    }

    @Test("the secret is sealed for its owner, and opens nowhere else", arguments: TestEngine.all)
    func sealed(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let (ada, eve) = (try await house.add(), try await house.add("eve@example.com"))
            let (totp, _) = try await house.secondFactor(try await house.signIn())
            let stored = try await house.database.read { connection in
                try connection.row("SELECT totp_secret FROM users WHERE id = \(ada.id.text)")?.blob(0)
            }
            let sealed = try #require(stored)
            #expect(sealed.count > 20 && !sealed.elementsEqual(totp.bytes.reveal()))
            #expect(!(try await house.everything()).contains(totp.base32.reveal()))
            // Copied into the row of somebody else it opens nothing.
            try await house.database.write { connection in
                try connection.execute("UPDATE users SET totp_secret = \(sealed) WHERE id = \(eve.id.text)")
            }
            house.clock.advance(seconds: 60)
            await #expect(throws: SealingError.self) {
                _ = try await house.signIn("eve@example.com", code: house.code(totp).reveal())
            }
        }
    }
}
