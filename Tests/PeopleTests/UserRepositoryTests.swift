// Users in the database: one for an address, the last owner seen as such by two at once, and gone with all that is theirs.

import CoreTestSupport
import JSON
import Model
import People
import SQL
import Sealing
import Store
import Testing

@Suite("Users")
struct UserRepositoryTests {
    private struct LastOwner: Error {}

    @Test("two owners who demote each other at the same moment leave one", arguments: TestEngine.all)
    func lastOwner(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let owners = [try await house.add(role: .owner), try await house.add("bob@example.com", role: .owner)]
            let users = [house.users, UserRepository(database: house.database)]
            let audit = house.audit(.userWrite)
            let now = house.clock.now()
            let passed = await withTaskGroup(of: Bool.self) { group in
                for (owner, repository) in zip(owners, users) {
                    group.addTask {
                        (try? await repository.change(owner.id, at: now, audit: audit) { user, scene in
                            guard scene.otherOwners > 0 else { throw LastOwner() }
                            var user = user
                            user.role = .member
                            return user
                        }) != nil
                    }
                }
                return await group.reduce(into: [Bool]()) { $0.append($1) }
            }
            #expect(passed.filter { $0 }.count == 1)
            #expect(try await house.database.count("users", where: "role = 'owner'") == 1)
        }
    }

    @Test("an owner who cannot sign in is none whom the instance could rest on", arguments: TestEngine.all)
    func owners(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add(role: .owner)
            let idle = try await house.add("bob@example.com", role: .owner, password: nil)
            func others() async throws -> Int {
                var seen = -1
                let box = Box()
                _ = try await house.users.change(user.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                    user, scene in
                    box.value = scene.otherOwners
                    return user
                }
                seen = box.value
                return seen
            }
            #expect(try await others() == 0)
            try await house.database.write { connection in
                try connection.execute(
                    """
                    INSERT INTO user_identities (issuer, subject, user_id, created_at)
                    VALUES ('https://id.example.com', '1', \(idle.id.text), 0)
                    """)
            }
            #expect(try await others() == 1)
            try await house.database.write { connection in
                try connection.execute("UPDATE users SET is_active = 0 WHERE id = \(idle.id.text)")
            }
            #expect(try await others() == 0)
        }
    }

    @Test(
        "the rules see who asks as they are at the commit, and vaults that would be left alone",
        arguments: TestEngine.all)
    func scene(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let (user, asker) = (try await house.add(), try await house.add("bob@example.com", role: .admin))
            let (one, two) = (try await house.vault("one"), try await house.vault("two"))
            try await house.join(user, one, as: .owner)
            try await house.join(user, two, as: .owner)
            try await house.join(asker, two, as: .owner)
            let seen = Box()
            func look() async throws -> (role: InstanceRole?, alone: [VaultID]) {
                _ = try await house.users.change(
                    user.id, by: asker.id, at: house.clock.now(), audit: house.audit(.userWrite)
                ) { user, scene in
                    (seen.role, seen.vaults) = (scene.asker?.role, scene.soleOwnerOf)
                    return user
                }
                return (seen.role, seen.vaults)
            }
            var (role, alone) = try await look()
            #expect(role == .admin && alone == [one])
            _ = try await house.users.change(asker.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                user, _ in
                var user = user
                user.isActive = false
                return user
            }
            (role, alone) = try await look()
            #expect(role == nil && Set(alone) == [one, two])
        }
    }

    @Test(
        "a link for the account as it was is none for one that may more, or that is disabled", arguments: TestEngine.all
    )
    func links(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            func links(after change: @escaping @Sendable (inout User) -> Void) async throws -> Int64 {
                _ = try await house.accounts.makeResetLink(for: user.id, audit: house.audit(.userWrite))
                _ = try await house.users.change(user.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                    user, _ in
                    var user = user
                    change(&user)
                    return user
                }
                return try await house.database.count("one_time_tokens")
            }
            #expect(try await links { $0.name = "Ada King" } == 1)
            #expect(try await links { $0.role = .admin } == 0)
            #expect(try await links { $0.role = .viewer } == 1)
            #expect(try await links { $0.isActive = false } == 0)
        }
    }

    @Test("an address is one user's", arguments: TestEngine.all)
    func unique(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            try await house.add("Ada@Example.com")
            do {
                try await house.add("ADA@example.COM")
                Issue.record("a second user with the address")
            } catch let error as SQLError {
                #expect(error.code == .constraint)
            }
            #expect(try await house.users.find(email: "ada@EXAMPLE.com")?.email == "Ada@example.com")
            #expect(try await house.users.count() == 1)
        }
    }

    @Test("a change that changes nothing writes nothing and makes nobody forget", arguments: TestEngine.all)
    func unchanged(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let user = try await house.add()
            let counters = ChangeCounters(database: house.database)
            let before = try await counters.all()
            let same = try await house.users.change(user.id, at: house.clock.now(), audit: house.audit(.userWrite)) {
                user, _ in user
            }
            let none = try await house.users.change(
                house.ids.next(), at: house.clock.now(), audit: house.audit(.userWrite)
            ) { user, _ in user }
            #expect(same?.id == user.id && none == nil)
            #expect(try await counters.all() == before)
            #expect(try await house.records(.userWrite).count == 1)
        }
    }

    @Test("a list by pages, by what address or name hold, by role and by who is active", arguments: TestEngine.all)
    func list(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            for number in 0..<5 {
                try await house.add("user\(number)@example.com", name: "User \(number)", password: nil)
            }
            let odd = try await house.add("100%_x@example.com", name: "Ödd \\ One", role: .admin, password: nil)
            let first = try await house.users.list(page: Page(limit: 4))
            let rest = try await house.users.list(page: Page(after: first[3].id.text, limit: 4))
            #expect(first.count == 4 && rest.count == 2 && Set((first + rest).map(\.id)).count == 6)
            func found(_ query: String) async throws -> [String] {
                try await house.users.list(page: Page(), query: query).map(\.email)
            }
            #expect(try await found("USER 3") == ["user3@example.com"])
            #expect(try await found("user4@") == ["user4@example.com"])
            for query in ["%", "_", "\\", "0%_X"] {
                let emails = try await found(query)
                #expect(emails == ["100%_x@example.com"], "\(query)")
            }
            #expect(try await found("' OR 1=1 --").isEmpty)
            #expect(try await house.users.list(page: Page(), role: .admin).map(\.id) == [odd.id])
            #expect(try await house.users.list(page: Page(), isActive: false).isEmpty)
            #expect(
                try await house.users.list(page: Page(), query: "example", role: .member, isActive: true).count == 5)
        }
    }

    @Test(
        "a deleted user is gone with everything that is theirs, and what they did stands in the audit log",
        arguments: TestEngine.all)
    func delete(engine: TestEngine) async throws {
        try await withPeople(engine) { house in
            let (user, other) = (try await house.add(), try await house.add("bob@example.com"))
            let vault = try await house.vault()
            try await house.join(user, vault, as: .owner)
            try await house.join(other, vault, as: .owner)
            let signedIn = try await house.signIn()
            _ = try await house.secondFactor(signedIn)
            _ = try await house.accounts.makeResetLink(for: user.id, audit: house.audit(.userWrite))
            let kept = try await refusal {
                _ = try await house.users.delete(user.id, audit: house.audit(.userDelete)) { _, _ in
                    throw PosternError(.lastOwner, "no")
                }
            }
            #expect(kept == .lastOwner)
            #expect(try await house.users.find(user.id) != nil)
            let gone = try await house.users.delete(user.id, audit: house.audit(.userDelete)) { _, _ in }
            #expect(gone?.id == user.id)
            for table in ["sessions", "recovery_codes", "one_time_tokens", "memberships"] {
                let count = try await house.database.count(table, where: "user_id = '\(user.id.text)'")
                #expect(count == 0, "\(table)")
            }
            #expect(try await house.database.count("refresh_tokens") == 0)
            #expect(try await house.database.count("memberships") == 1)
            #expect(try await house.records(.userDelete).count == 1)
            let second = try await house.users.delete(user.id, audit: house.audit(.userDelete)) { _, _ in }
            #expect(second == nil)
        }
    }

    @Test("a person as the gate would see them, for those who ask what somebody may")
    func person() async throws {
        try await withPeople { house in
            let user = try await house.add(role: .admin)
            let vault = try await house.vault()
            try await house.join(user, vault, as: .operator)
            let person = try #require(try await house.users.person(user.id, at: house.clock.now()))
            #expect(person.role == .admin && person.memberships == [vault: .operator])
            #expect(person.session.text == "ses_0000000000000000" && person.authenticatedAt == house.clock.now())
            #expect(person.method == .password)
            // With all that they have: what wants a second factor is not refused to who has one.
            _ = try await house.secondFactor(try await house.signIn())
            let strong = try #require(try await house.users.person(user.id, at: house.clock.now()))
            #expect(strong.method == .secondFactor)
            let foreign = try await house.add("bob@example.com", password: nil)
            #expect(try await house.users.person(foreign.id, at: house.clock.now())?.method == .openID)
            #expect(try await house.users.person(house.ids.next(), at: house.clock.now()) == nil)
            try await house.database.write { connection in
                try connection.execute("UPDATE users SET is_active = 0 WHERE id = \(user.id.text)")
            }
            #expect(try await house.users.person(user.id, at: house.clock.now()) == nil)
        }
    }

    /// What a closure inside a transaction saw; the write is over before anybody looks.
    private final class Box: @unchecked Sendable {
        var value = -1
        var role: InstanceRole?
        var vaults: [VaultID] = []
    }
}
