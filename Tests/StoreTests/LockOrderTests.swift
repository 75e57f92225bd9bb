// Everything locks in one order: what two processes do at once on one PostgreSQL never ends in a deadlock, which would hold the
// counter of people and the instance's log, and with them every sign-in, until the engine finds it.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import TestSupport
import Testing

@Suite("Lock order")
struct LockOrderTests {
    /// What a process does over and over beside the other one's sign-ins.
    enum Work: String, Sendable, CaseIterable {
        case newVaults, renames, refusals, members
    }

    private struct Process: Sendable {
        let house: TestHouse
        let database: any SQLDatabase
        let user: User

        func signIn(_ number: Int) async throws {
            let now = house.clock.now()
            let session = SessionRecord(
                id: house.ids.next(), user: user.id, method: .password, createdAt: now, authenticatedAt: now,
                lastUsedAt: now, expiresAt: now.adding(seconds: 3_600), address: nil, userAgent: nil)
            let low = UInt8(truncatingIfNeeded: number)
            let texts = SessionRepository.Texts(cookie: [1, low], refresh: [2, low])
            let entry = house.audit(as: "session.begin")
            let standing = try await SessionRepository(database: database).begin(
                session, texts: texts, refreshUntil: session.expiresAt,
                audit: { user, _ in entry(user.id.text, nil, nil) }
            ) { _, _ in }
            #expect(standing != nil)
        }

        func work(_ work: Work, _ number: Int) async throws {
            let (now, vaults) = (house.clock.now(), VaultRepository(database: database))
            switch work {
            case .newVaults:
                let vault = Vault(
                    id: house.ids.next(), slug: "v-\(number)", name: "v", wrappedDataKey: [1], createdAt: now)
                try await vaults.insert(vault, owner: user.id, audit: house.audit(as: "vault.create"))
            case .renames:
                let new = try await vaults.change(house.vault.id, at: now, audit: house.audit(as: "vault.write")) {
                    vault, _ in
                    var vault = vault
                    vault.name = "n-\(number)"
                    return vault
                }
                #expect(new?.name == "n-\(number)")
            case .refusals:
                let entry = house.audit(as: "key.write")
                try await AuditRepository(database: database).append([
                    (entry("a", nil, nil), nil), (entry("b", nil, nil), house.vault.id), (entry("c", nil, nil), nil),
                ])
            case .members:
                let member = try await MembershipRepository(database: database).set(
                    user.id, number % 2 == 0 ? .owner : .viewer, in: house.vault.id, askedBy: nil, at: now,
                    audit: house.audit(as: "member.write")
                ) { _ in }
                #expect(member != nil)
            }
        }
    }

    /// Deadlocks that the engine found in a database. Its sessions tell what they saw when they end.
    private func deadlocks(_ name: String) async throws -> String? {
        try await TemporaryPostgreSQL.shared().execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = '\(name)'")
    }

    /// Two processes, each doing one thing after the other; nothing fails, and the engine had no deadlock to end.
    private func meet(
        _ rounds: Int = 100,
        _ one: @escaping @Sendable (_ process: Process, _ number: Int) async throws -> Void,
        _ two: @escaping @Sendable (_ process: Process, _ number: Int) async throws -> Void
    ) async throws -> String? {
        try await withHouse(.postgreSQL) { house in
            let user = User(
                id: house.ids.next(), email: "ann@example.org", name: "Ann", role: .member,
                createdAt: house.clock.now())
            _ = try await UserRepository(database: house.database).insert(
                user, passwordHash: nil, audit: house.audit(as: "user.write"))
            let name = try await house.database.read { connection in
                try connection.row("SELECT current_database()::text")?.text(0)
            }
            let database = try #require(name)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for body in [one, two] {
                    group.addTask {
                        let process = Process(
                            house: house, database: try await TestEngine.join(database), user: user)
                        do {
                            for number in 0..<rounds { try await body(process, number) }
                            await process.database.close()
                        } catch {
                            await process.database.close()
                            throw error
                        }
                    }
                }
                try await group.waitForAll()
            }
            return try await deadlocks(database)
        }
    }

    @Test(
        "sign-ins beside changes of vaults, of members and refusals wait for each other, and never in a circle",
        arguments: Work.allCases)
    func signIns(_ work: Work) async throws {
        let deadlocks = try await meet { process, number in
            try await process.signIn(number)
        } _: { process, number in
            try await process.work(work, number)
        }
        #expect(deadlocks == "0")
    }

    @Test(
        "refusals of several vaults beside changes of the same vault", arguments: [Work.newVaults, .renames, .members])
    func refusals(_ work: Work) async throws {
        let deadlocks = try await meet { process, number in
            try await process.work(.refusals, number)
        } _: { process, number in
            try await process.work(work, number)
        }
        #expect(deadlocks == "0")
    }

    @Test("a sign-in makes no other process forget anything, until it ends a session")
    func beginning() async throws {
        try await withHouse { house in
            let user = User(
                id: house.ids.next(), email: "ann@example.org", name: "Ann", role: .member,
                createdAt: house.clock.now())
            _ = try await UserRepository(database: house.database).insert(
                user, passwordHash: nil, audit: house.audit(as: "user.write"))
            let process = Process(house: house, database: house.database, user: user)
            let counters = ChangeCounters(database: house.database)
            let before = try await counters.all()[.people]
            for number in 0..<SessionRepository.limit { try await process.signIn(number) }
            #expect(try await counters.all()[.people] == before)
            try await process.signIn(SessionRepository.limit)
            #expect(try await counters.all()[.people] == before.map { $0 + 1 })
        }
    }
}
