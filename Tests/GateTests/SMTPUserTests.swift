// SMTP users that a key makes stay within the key; sessions end when their login does, wherever that was done.

import CoreTestSupport
import Gate
import Model
import SQL
import Sealing
import Store
import Testing

@Suite("SMTP users")
struct SMTPUserTests {
    private func networks(_ texts: String...) -> [IPNetwork] { texts.compactMap { try? IPNetwork(parsing: $0) } }
    private func domains(_ texts: String...) -> [DomainPattern] { texts.compactMap(DomainPattern.init) }

    private func key(
        _ house: TestHouse,
        _ scopes: Scopes = [.send, .admin],
        _ change: (inout CallerDirectory.KeyRequest) -> Void = { _ in }
    ) async throws -> Caller {
        var request = CallerDirectory.KeyRequest(label: "bill-admin", kind: .tool, scopes: scopes)
        change(&request)
        return try await house.callers.issueKey(request, in: house.vault.id).key.caller
    }

    private func code(_ attempt: () async throws -> Void) async throws -> ErrorCode? {
        do {
            try await attempt()
            return nil
        } catch let error as PosternError {
            return error.code
        }
    }

    @Test("a login has what its key is bound to, where nothing else is asked for")
    func inheritance() async throws {
        try await withHouse { house in
            let asker = try await key(house) {
                $0.senderDomains = domains("*.acme.com")
                $0.allowedIPs = networks("192.0.2.0/24")
                $0.ipPool = "warm"
            }
            let (user, password) = try await house.callers.addUser(
                .init(label: "x"), by: asker, in: house.vault.id, audit: house.audit())
            #expect(user.senderDomains == domains("*.acme.com") && user.allowedIPs == networks("192.0.2.0/24"))
            let caller = try await house.authenticator.authenticate(
                username: user.username, password: password, from: "192.0.2.9")
            #expect(caller.senderDomains == domains("*.acme.com") && caller.ipPool == "warm" && caller.scopes == .send)
        }
    }

    @Test("no login reaches further than the key that makes or changes it")
    func widening() async throws {
        try await withHouse { house in
            let asker = try await key(house) {
                $0.senderDomains = domains("acme.com")
                $0.allowedIPs = networks("192.0.2.0/24")
            }
            for request in [
                CallerDirectory.UserRequest(senderDomains: domains("*.acme.com")),
                CallerDirectory.UserRequest(allowedIPs: networks("0.0.0.0/0")),
            ] {
                let code = try await code {
                    _ = try await house.callers.addUser(
                        request, by: asker, in: house.vault.id, audit: house.audit())
                }
                #expect(code == .forbidden)
            }
            let wide = try await house.callers.addUser(
                .init(username: "wide"), by: nil, in: house.vault.id, audit: house.audit()
            ).user
            let own = try await house.callers.addUser(
                .init(username: "own"), by: asker, in: house.vault.id, audit: house.audit()
            ).user
            var wider = CallerDirectory.UserChange()
            wider.senderDomains = .some(nil)
            for (id, change) in [(own.id, wider), (wide.id, CallerDirectory.UserChange())] {
                #expect(
                    try await code {
                        _ = try await house.callers.changeUser(
                            id, change, by: asker, in: house.vault.id, audit: house.audit())
                    } == .forbidden)
            }
            // Who renews a password holds it.
            #expect(
                try await code {
                    _ = try await house.callers.rotateUser(
                        wide.id, by: asker, in: house.vault.id, audit: house.audit())
                } == .forbidden)
            _ = try await house.callers.rotateUser(own.id, by: asker, in: house.vault.id, audit: house.audit())
        }
    }

    @Test("a key that cannot send, expires, is limited or is an agent's makes no login")
    func outliving() async throws {
        try await withHouse { house in
            let askers = [
                try await key(house, .admin),
                try await key(house) { $0.expiresAt = house.clock.now().adding(seconds: 99) },
                try await key(house) { $0.limit = RateLimit(perHour: 1, burst: 1) },
                try await key(house) { $0.kind = .agent },
            ]
            for asker in askers {
                #expect(
                    try await code {
                        _ = try await house.callers.addUser(
                            .init(), by: asker, in: house.vault.id, audit: house.audit())
                    } == .forbidden)
            }
            #expect(try await house.database.count("smtp_relay_users") == 0)
        }
    }

    @Test("a caller with a label prefix makes, sees, changes and deletes only logins within it")
    func sight() async throws {
        try await withHouse { house in
            let asker = try await key(house) { $0.labelPrefix = "bill-" }
            let vault = house.vault.id
            let outside = try await house.callers.addUser(username: "other", label: "other", in: vault).user
            let inside = try await house.callers.addUser(
                .init(label: "bill-1"), by: asker, in: vault, audit: house.audit()
            ).user
            #expect(try await house.callers.users(for: asker, page: Page()).map(\.id) == [inside.id])
            for request in [CallerDirectory.UserRequest(), .init(username: "bill-x", label: "x")] {
                #expect(
                    try await code {
                        _ = try await house.callers.addUser(request, by: asker, in: vault, audit: house.audit())
                    } == .forbidden)
            }
            var moving = CallerDirectory.UserChange()
            moving.label = "other"
            #expect(
                try await code {
                    _ = try await house.callers.changeUser(
                        inside.id, moving, by: asker, in: vault, audit: house.audit())
                } == .forbidden)
            for attempt in [
                { _ = try await house.callers.user(outside.id, for: asker) },
                { _ = try await house.callers.rotateUser(outside.id, by: asker, in: vault, audit: house.audit()) },
                {
                    _ = try await house.callers.changeUser(
                        outside.id, .init(), by: asker, in: vault, audit: house.audit())
                },
                { try await house.callers.deleteUser(outside.id, by: asker, in: vault, audit: house.audit()) },
            ] as [() async throws -> Void] {
                #expect(try await code(attempt) == .notFound)
            }
            try await house.callers.deleteUser(inside.id, by: asker, in: vault, audit: house.audit())
        }
    }

    @Test("a new password ends the old one and the sessions that it opened, and no others")
    func rotation() async throws {
        try await withHouse { house in
            let (user, old) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            let (_, other) = try await house.callers.addUser(username: "other", label: nil, in: house.vault.id)
            let session = try await house.authenticator.signIn(username: "robot", password: old)
            let bystander = try await house.authenticator.signIn(username: "other", password: other)
            let (_, new) = try await house.callers.rotateUser(
                user.id, by: nil, in: house.vault.id, audit: house.audit())
            #expect(!session.isValid && bystander.isValid)
            #expect(
                try await code { _ = try await house.authenticator.signIn(username: "robot", password: old) }
                    == .unauthorized)
            let fresh = try await house.authenticator.signIn(username: "robot", password: new)
            #expect(fresh.isValid && !session.isValid)
            #expect(new.reveal() != old.reveal())
        }
    }

    @Test("a session ends where its login is bound otherwise, and goes on under another label")
    func changes() async throws {
        try await withHouse { house in
            let (user, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            var change = CallerDirectory.UserChange()
            change.label = "renamed"
            var session = try await house.authenticator.signIn(username: "robot", password: password)
            _ = try await house.callers.changeUser(user.id, change, by: nil, in: house.vault.id, audit: house.audit())
            #expect(session.isValid)
            for narrower in [
                { $0.senderDomains = .some(domains("acme.com")) }, { $0.allowedIPs = .some(networks("192.0.2.0/24")) },
                { $0.ipPool = .some("warm") },
            ] as [(inout CallerDirectory.UserChange) -> Void] {
                session = try await house.authenticator.signIn(
                    username: "robot", password: password, from: "192.0.2.1")
                var change = CallerDirectory.UserChange()
                narrower(&change)
                _ = try await house.callers.changeUser(
                    user.id, change, by: nil, in: house.vault.id, audit: house.audit())
                #expect(!session.isValid)
            }
            let now = try await house.authenticator.authenticate(
                username: "robot", password: password, from: "192.0.2.1")
            #expect(now.label == "renamed" && now.senderDomains == domains("acme.com") && now.ipPool == "warm")
        }
    }

    @Test(
        "another process's sessions end with their login, however much it had forgotten before",
        arguments: TestEngine.all)
    func otherProcess(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let other = Authenticator(database: house.database, clock: house.clock)
            let (first, firstPassword) = try await house.callers.addUser(
                username: "first", label: nil, in: house.vault.id)
            let (second, secondPassword) = try await house.callers.addUser(
                username: "second", label: nil, in: house.vault.id)
            let sessions = [
                try await other.signIn(username: "first", password: firstPassword),
                try await other.signIn(username: "second", password: secondPassword),
            ]
            // Changes of which none is theirs: a process that only remembers recent logins loses sight of them here.
            for _ in 0..<3 { try await other.forgetAll() }
            #expect(sessions.map(\.isValid) == [true, true])
            try await house.callers.deleteUser(first.id, in: house.vault.id)
            try await other.forgetAll()
            #expect(sessions.map(\.isValid) == [false, true])
            _ = try await house.callers.rotateUser(second.id, by: nil, in: house.vault.id, audit: house.audit())
            try await other.forgetAll()
            #expect(sessions.map(\.isValid) == [false, false])
        }
    }

    @Test("a sign-in whose login changes while it is looked at does not begin")
    func changedMeanwhile() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let (user, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            scripted.afterNextRead {
                do {
                    _ = try await house.callers.rotateUser(
                        user.id, by: nil, in: house.vault.id, audit: house.audit())
                } catch {
                    Issue.record(error)
                }
            }
            #expect(
                try await code { _ = try await house.authenticator.signIn(username: "robot", password: password) }
                    == .unauthorized)
        }
    }

    @Test("a sign-in that another login's change crosses begins all the same")
    func crossed() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let (_, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            let (other, _) = try await house.callers.addUser(username: "other", label: nil, in: house.vault.id)
            scripted.afterNextRead {
                do {
                    try await house.callers.deleteUser(other.id, in: house.vault.id)
                } catch {
                    Issue.record(error)
                }
            }
            #expect(try await house.authenticator.signIn(username: "robot", password: password).isValid)
        }
    }
}
