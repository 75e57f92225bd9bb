// Guessing passwords and codes: so many tries an account and an address, however they are made.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@Suite("Guessing")
struct GuessingTests {
    private func guess(
        _ house: PeopleHouse,
        _ email: String = "ada@example.com",
        _ password: String = "wrong",
        from address: String? = "192.0.2.7"
    ) async throws -> ErrorCode? {
        try await refusal { _ = try await house.signIn(email, Secret(password), from: address) }
    }

    @Test(
        "ten wrong ones from one place lock the account there for a quarter of an hour, for the right password too",
        arguments: TestEngine.all)
    func account(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            try await house.add("bob@example.com")
            for _ in 0..<10 { #expect(try await guess(house) == .unauthorized) }
            #expect(try await guess(house) == .tooManyAttempts)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
            #expect(try await guess(house, "ADA@example.com", "four unrelated words") == .tooManyAttempts)
            // Others are not locked by it.
            #expect(try await guess(house, "bob@example.com", "four unrelated words") == nil)
            do {
                _ = try await house.signIn()
            } catch let error as PosternError {
                #expect(error.retryAfter == 900)
            }
            house.clock.advance(seconds: 899)
            #expect(try await guess(house) == .tooManyAttempts)
            house.clock.advance(seconds: 2)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
            let locked = try await house.records(.sessionBegin).filter { $0.after?.contains("\"locked\":true") == true }
            #expect(locked.count == 1 && locked[0].actor == "ada@example.com")
        }
    }

    @Test("who is locked out and goes on trying waits no longer for it")
    func noExtension() async throws {
        try await withPeople { house in
            try await house.add()
            for _ in 0..<10 { _ = try await guess(house) }
            for _ in 0..<8 {
                house.clock.advance(seconds: 100)
                #expect(try await guess(house) == .tooManyAttempts)
            }
            house.clock.advance(seconds: 101)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
        }
    }

    @Test("an account that nobody has locks like any other")
    func unknown() async throws {
        try await withPeople { house in
            var codes: [ErrorCode?] = []
            for _ in 0..<11 { codes.append(try await guess(house, "nobody@example.com")) }
            #expect(codes == Array(repeating: .unauthorized, count: 10) + [.tooManyAttempts])
        }
    }

    @Test("who fails elsewhere does not lock the owner out at home", arguments: TestEngine.all)
    func elsewhere(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.accountAttempts = 3 }) { house in
            try await house.add()
            for _ in 0..<3 { #expect(try await guess(house, from: "198.51.100.1") == .unauthorized) }
            #expect(try await guess(house, from: "198.51.100.1") == .tooManyAttempts)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
            // And the owner's sign-in does not let the stranger go on.
            #expect(try await guess(house, from: "198.51.100.1") == .tooManyAttempts)
            // A place is a household: other addresses of the same network of IPv6 are no other place.
            for number in 0..<3 {
                #expect(try await guess(house, from: "2001:db8::\(number)") == .unauthorized)
            }
            #expect(try await guess(house, from: "2001:db8::9") == .tooManyAttempts)
        }
    }

    @Test("from all places together an account has ten times as many", arguments: TestEngine.all)
    func everywhere(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.accountAttempts = 3 }) { house in
            try await house.add()
            for number in 0..<30 {
                #expect(try await guess(house, from: "198.51.100.\(number / 3)") == .unauthorized)
            }
            #expect(try await guess(house, from: "203.0.113.1") == .tooManyAttempts)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
            house.clock.advance(seconds: 901)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
        }
    }

    @Test(
        "fifty guesses at the same moment are ten guesses, from one place or from everywhere", arguments: TestEngine.all
    )
    func parallel(engine: TestEngine) async throws {
        for isOnePlace in [true, false] {
            let adjust: (inout PeopleConfiguration) -> Void = {
                $0.addressAttempts = 1000
                $0.accountAttempts = isOnePlace ? 10 : 1
            }
            try await withPeople(engine, adjust) { house in
                try await house.add()
                let other = await house.neighbour()
                let codes = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                    for number in 0..<50 {
                        group.addTask {
                            // Two processes; the last of the places is nobody's yet.
                            try await guess(
                                number % 2 == 0 ? house : other, "ada@example.com", "wrong \(number)",
                                from: isOnePlace ? "203.0.113.7" : "203.0.113.\(number)")
                        }
                    }
                    return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
                }
                #expect(codes.filter { $0 == .unauthorized }.count == 10)
                #expect(codes.filter { $0 == .tooManyAttempts }.count == 40)
                #expect(
                    try await guess(house, "ada@example.com", "four unrelated words", from: "203.0.113.7")
                        == .tooManyAttempts)
            }
        }
    }

    @Test("a restart gives no new guesses, and another process none beside", arguments: TestEngine.all)
    func restart(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            for _ in 0..<5 { #expect(try await guess(house) == .unauthorized) }
            let next = await house.neighbour()
            for _ in 0..<5 { #expect(try await guess(next) == .unauthorized) }
            #expect(try await guess(next) == .tooManyAttempts)
            #expect(try await guess(house) == .tooManyAttempts)
        }
    }

    @Test("one address may fail thirty times, at whatever accounts", arguments: TestEngine.all)
    func address(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.addressAttempts = 5 }) { house in
            try await house.add()
            for number in 0..<5 { #expect(try await guess(house, "user\(number)@example.com") == .unauthorized) }
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
            #expect(try await guess(house, "not an address at all") == .tooManyAttempts)
            // The account has nothing of it while its visitor is refused, not even a row.
            #expect(
                try await house.database.count("sign_in_attempts", where: "subject LIKE '%ada@example.com%'") == 0)
            #expect(try await guess(house, "ada@example.com", "four unrelated words", from: "192.0.2.8") == nil)
        }
    }

    @Test("who is locked out fills no table, and writes nothing", arguments: TestEngine.all)
    func refusedIsNoWrite(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted) { $0.addressAttempts = 3 }
            for number in 0..<3 { #expect(try await guess(house, "user\(number)@example.com") == .unauthorized) }
            let (rows, writes) = (try await house.database.count("sign_in_attempts"), scripted.writeCount)
            for number in 0..<200 {
                #expect(try await guess(house, "fresh\(number)@example.com") == .tooManyAttempts)
            }
            #expect(try await house.database.count("sign_in_attempts") == rows)
            #expect(scripted.writeCount == writes)
        }
    }

    @Test(
        "a limit that is used up between the look and the count refuses, and leaves nothing", arguments: TestEngine.all)
    func lockedMeanwhile(engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted) { $0.addressAttempts = 1 }
            let other = await house.neighbour()
            scripted.afterNextRead {
                _ = try? await guess(other, "first@example.com")
            }
            #expect(try await guess(house, "second@example.com") == .tooManyAttempts)
            #expect(
                try await database.count("sign_in_attempts", where: "subject LIKE '%first@example.com%'") == 2)
            #expect(
                try await database.count("sign_in_attempts", where: "subject LIKE '%second@example.com%'") == 0)
        }
    }

    @Test("of IPv6 a network of 64 bits is one address, and IPv4 in IPv6 is IPv4")
    func networks() async throws {
        try await withPeople(.standard, { $0.addressAttempts = 2 }) { house in
            let visitors: [(address: String, isRefused: Bool)] = [
                ("2001:db8:1:2::1", false), ("2001:db8:1:2:ffff:1:2:3", false), ("2001:DB8:1:2:0:0:0:9", true),
                ("2001:db8:1:3::1", false), ("2001:db8::1", false), ("::1", false), ("::2", false), ("::3", true),
                ("::ffff:192.0.2.1", false), ("192.0.2.1", false), ("192.0.2.1", true),
            ]
            for (number, visitor) in visitors.enumerated() {
                let code = try await guess(house, "user\(number)@example.com", from: visitor.address)
                #expect(code == (visitor.isRefused ? .tooManyAttempts : .unauthorized), "\(visitor.address)")
            }
        }
    }

    @Test("sign-ins that succeed cost an address nothing, so that an office can sign in", arguments: TestEngine.all)
    func office(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.addressAttempts = 3 }) { house in
            try await house.add()
            for _ in 0..<6 { #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil) }
            // But they give it no more than their own attempt back.
            for number in 0..<3 { #expect(try await guess(house, "user\(number)@example.com") == .unauthorized) }
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
        }
    }

    @Test("a right sign-in forgets the account's failures")
    func forgiven() async throws {
        try await withPeople { house in
            try await house.add()
            for _ in 0..<3 {
                for _ in 0..<9 { #expect(try await guess(house) == .unauthorized) }
                #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
            }
        }
    }

    @Test("codes are guesses too: the right password alone does not forgive them", arguments: TestEngine.all)
    func codes(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let (totp, _) = try await house.secondFactor(try await house.signIn())
            house.clock.advance(seconds: 60)
            let right = house.code(totp).reveal()
            var refused: [ErrorCode?] = []
            for number in 0..<12 {
                let wrong = right == "00000\(number % 10)" ? "999999" : "00000\(number % 10)"
                refused.append(try await refusal { _ = try await house.signIn(code: wrong) })
            }
            #expect(refused == Array(repeating: .unauthorized, count: 10) + [.tooManyAttempts, .tooManyAttempts])
            #expect(try await refusal { _ = try await house.signIn(code: right) } == .tooManyAttempts)
            // Somebody knows the password: each of these is written down.
            let records = try await house.records(.sessionBegin).filter { $0.reason == "code" }
            #expect(records.count == 10)
        }
    }

    @Test("the password asked for again, and for its own change, is no way around", arguments: TestEngine.all)
    func otherQuestions(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            var codes: [ErrorCode?] = []
            for number in 0..<12 { codes.append(try await showAgain(house, signedIn.person, "wrong", number)) }
            #expect(codes == Array(repeating: .unauthorized, count: 10) + [.tooManyAttempts, .tooManyAttempts])
            #expect(try await showAgain(house, signedIn.person, "four unrelated words", 0) == .tooManyAttempts)
            // It is that session's thief who is kept out: whoever signs in anew has shown who they are.
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
            house.clock.advance(seconds: 901)
            #expect(try await showAgain(house, signedIn.person, "four unrelated words", 0) == nil)
        }
    }

    @Test("no lock of sign-ins keeps somebody who is signed in from showing it again", arguments: TestEngine.all)
    func againThoughLocked(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.addressAttempts = 10 }) { house in
            try await house.add()
            let signedIn = try await house.signIn()
            for _ in 0..<10 { #expect(try await guess(house) == .unauthorized) }
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
            #expect(try await showAgain(house, signedIn.person, "wrong", 0) == .unauthorized)
            #expect(try await showAgain(house, signedIn.person, "four unrelated words", 0) == nil)
            #expect(try await showAgain(house, signedIn.person, "four unrelated words", 1) == nil)
        }
    }

    @Test("failures of showing it again that nobody wrote down are written down as what they are")
    func againTally() async throws {
        try await withPeople { house in
            let user = try await house.add()
            let signedIn = try await house.signIn()
            for _ in 0..<4 { _ = try await showAgain(house, signedIn.person, "wrong", 0) }
            house.clock.advance(seconds: 901)
            _ = try await SessionSweep(sessions: house.sessions).round()
            let last = try #require(try await house.records(.accountSecure).last)
            #expect(last.actor == user.id.text && last.outcome == "failed")
            #expect(last.after?.contains("\"attempts\":4") == true)
        }
    }

    /// Shows again who one is, or, by an odd number, changes the password: to what it was not, so that it goes on from there.
    private func showAgain(
        _ house: PeopleHouse,
        _ person: Person,
        _ password: String,
        _ number: Int
    ) async throws -> ErrorCode? {
        try await refusal {
            if number % 2 == 0 {
                _ = try await house.sessions.reauthenticate(
                    person, password: Secret(password), code: nil, visit: PeopleHouse.visit)
            } else {
                try await house.accounts.changePassword(
                    person, current: Secret(password), new: Secret("another good sentence"),
                    visit: PeopleHouse.visit)
            }
        }
    }

    @Test("an admin unlocks, at all places, and that is written down", arguments: TestEngine.all)
    func unlock(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.accountAttempts = 3 }) { house in
            let user = try await house.add("a_a%\\@example.com")
            let neighbour = try await house.add("aba%\\@example.com")
            let signedIn = try await house.signIn(user.email)
            let attempts = SignInAttemptRepository(database: house.database)
            let account = SignInLimit.account(user.email, attempts: 30)
            for _ in 0..<4 { _ = try await guess(house, neighbour.email) }
            for number in 0..<33 { _ = try await guess(house, user.email, from: "198.51.100.\(number / 3)") }
            for _ in 0..<3 { _ = try await showAgain(house, signedIn.person, "wrong", 0) }
            #expect(try await guess(house, user.email, "four unrelated words") == .tooManyAttempts)
            #expect(try await attempts.lockedUntil(account, at: house.clock.now()) != nil)
            try await house.accounts.unlock(user.id, audit: house.audit(.userWrite))
            #expect(try await attempts.lockedUntil(account, at: house.clock.now()) == nil)
            for address in ["192.0.2.8", "198.51.100.0", "198.51.100.9"] {
                #expect(try await guess(house, user.email, "four unrelated words", from: address) == nil)
            }
            #expect(try await showAgain(house, signedIn.person, "four unrelated words", 0) == nil)
            // Whose address only looks alike stays locked.
            #expect(try await guess(house, neighbour.email, "four unrelated words") == .tooManyAttempts)
            #expect(try await house.records(.userWrite).count == 3)
        }
    }

    @Test("what nobody could check costs no attempt")
    func overloaded() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted) { $0.accountAttempts = 1 }
            try await house.add()
            // The limits are read, the attempt is counted, the account is read, and the write of the session fails.
            let failing = SQLError(.unavailable, "busy")
            scripted.afterNextRead { scripted.afterNextRead { scripted.failNextWrites([failing]) } }
            await #expect(throws: SQLError.self) { _ = try await house.signIn() }
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
        }
    }
}
