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
        "ten wrong ones lock an account for a quarter of an hour, for the right password too", arguments: TestEngine.all
    )
    func account(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add()
            try await house.add("bob@example.com")
            for _ in 0..<10 { #expect(try await guess(house) == .unauthorized) }
            #expect(try await guess(house) == .tooManyAttempts)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
            #expect(
                try await guess(house, "ADA@example.com", "four unrelated words", from: "198.51.100.1")
                    == .tooManyAttempts)
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

    @Test("fifty guesses at the same moment are ten guesses", arguments: TestEngine.all)
    func parallel(engine: TestEngine) async throws {
        try await withPeople(engine, { $0.addressAttempts = 1000 }) { house in
            try await house.add()
            let other = await house.neighbour()
            let codes = try await withThrowingTaskGroup(of: ErrorCode?.self) { group in
                for number in 0..<50 {
                    group.addTask {
                        // Two processes, from everywhere; one of the last ones is right.
                        try await guess(
                            number % 2 == 0 ? house : other, "ada@example.com", "wrong \(number)",
                            from: "203.0.113.\(number)")
                    }
                }
                return try await group.reduce(into: [ErrorCode?]()) { $0.append($1) }
            }
            #expect(codes.filter { $0 == .unauthorized }.count == 10)
            #expect(codes.filter { $0 == .tooManyAttempts }.count == 40)
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
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
            #expect(try await guess(house, "ada@example.com", "four unrelated words", from: "192.0.2.8") == nil)
            // Nothing was counted against the account while its visitor was refused.
            #expect(
                try await house.database.count(
                    "sign_in_attempts", where: "subject = 'account:ada@example.com' AND failures > 0") == 0)
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
                #expect(try await guess(house, "ada@example.com", "four unrelated words", from: nil) == nil)
                house.clock.advance(seconds: 901)
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

    @Test("the password asked for again, and for its own change, is no way around")
    func otherQuestions() async throws {
        try await withPeople { house in
            try await house.add()
            let signedIn = try await house.signIn()
            var codes: [ErrorCode?] = []
            for _ in 0..<4 {
                codes.append(
                    try await refusal {
                        _ = try await house.sessions.reauthenticate(
                            signedIn.person, password: Secret("wrong"), code: nil, visit: PeopleHouse.visit)
                    })
                codes.append(
                    try await refusal {
                        try await house.accounts.changePassword(
                            signedIn.person, current: Secret("wrong"), new: Secret("another good sentence"),
                            visit: PeopleHouse.visit)
                    })
                codes.append(try await guess(house))
            }
            #expect(codes == Array(repeating: .unauthorized, count: 10) + [.tooManyAttempts, .tooManyAttempts])
        }
    }

    @Test("an admin unlocks, and that is written down", arguments: TestEngine.all)
    func unlock(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            for _ in 0..<11 { _ = try await guess(house) }
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == .tooManyAttempts)
            try await house.accounts.unlock(user.id, audit: house.audit(.userWrite))
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
            #expect(try await house.records(.userWrite).count == 2)
        }
    }

    @Test("what nobody could check costs no attempt")
    func overloaded() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await PeopleHouse(scripted) { $0.accountAttempts = 1 }
            try await house.add()
            // The attempt is counted, and the write of the session fails.
            let failing = SQLError(.unavailable, "busy")
            scripted.failNextWrites([])
            scripted.afterNextRead { scripted.failNextWrites([failing]) }
            await #expect(throws: SQLError.self) { _ = try await house.signIn() }
            #expect(try await guess(house, "ada@example.com", "four unrelated words") == nil)
        }
    }
}
