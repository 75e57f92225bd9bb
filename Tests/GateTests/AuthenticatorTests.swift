// Who is asking: the right key and the right password pass, everything else is refused in the same words.

import CoreTestSupport
import Gate
import Model
import SQL
import Sealing
import Store
import Testing

@Suite("Authentication")
struct AuthenticatorTests {
    private func request(_ change: (inout CallerDirectory.KeyRequest) -> Void = { _ in }) -> CallerDirectory.KeyRequest
    {
        var request = CallerDirectory.KeyRequest(label: "robot", kind: .agent, scopes: [.send, .read])
        change(&request)
        return request
    }

    /// The refusal; `nil` when the caller was let in.
    private func refusal(_ attempt: () async throws -> Caller) async throws -> PosternError? {
        do {
            _ = try await attempt()
            return nil
        } catch let error as PosternError {
            return error
        }
    }

    @Test("an issued key is known with all that it may do, the first time and from memory")
    func goodKey() async throws {
        try await withHouse { house in
            let (key, text) = try await house.callers.issueKey(
                request {
                    $0.isReadOnly = true
                    $0.senderDomains = ["acme.com"].compactMap(DomainPattern.init)
                }, in: house.vault.id)
            for _ in 0..<2 {
                let caller = try await house.authenticator.authenticate(key: text)
                #expect(caller == key.caller)
                #expect(caller.vault == house.vault.id && caller.label == "robot" && caller.isReadOnly)
                #expect(caller.scopes == [.send, .read] && caller.senderDomains?.count == 1)
            }
            #expect(text.reveal().hasPrefix("ak_\(key.prefix)_"))
            #expect(text.reveal().utf8.count == 55)
        }
    }

    @Test("the database holds the key's digest and not the key")
    func digestOnly() async throws {
        try await withHouse { house in
            let (key, text) = try await house.callers.issueKey(request(), in: house.vault.id)
            let stored = try #require(try await house.callers.keys.find(key.id, in: house.vault.id))
            #expect(stored.digest == Digest.sha256(text.reveal()))
            let secret = String(text.reveal().suffix(43))
            let rows = try await house.database.read { try $0.rows("SELECT * FROM smtp_relay_api_keys") }
            #expect(!"\(rows)".contains(secret))
        }
    }

    @Test("the right prefix with another secret is refused, also when the right key was seen before")
    func wrongSecret() async throws {
        try await withHouse { house in
            let (key, text) = try await house.callers.issueKey(request(), in: house.vault.id)
            let forged = Secret("ak_\(key.prefix)_\(RandomToken.text(43))")
            let first = try await refusal { try await house.authenticator.authenticate(key: forged) }
            #expect(first?.code == .unauthorized)
            _ = try await house.authenticator.authenticate(key: text)
            let second = try await refusal { try await house.authenticator.authenticate(key: forged) }
            #expect(second?.code == .unauthorized)
            #expect(second?.detail == first?.detail)
        }
    }

    @Test(
        "what has not the form of a key is refused",
        arguments: [
            "", "ak_", "x", "ak_abcdefgh", "ak_abcdefgh_", "ak_abcdefgh_short", "Bearer ak_abcdefgh_x",
            "sk_abcdefgh_0123456789012345678901234567890123456789012",
            "ak_abcdefgh-0123456789012345678901234567890123456789012",
            "ak_abcdefgh_01234567890123456789012345678901234567890123",
            "ak_' OR 1=1_012345678901234567890123456789012345678901",
            "ak_äöüß_0123456789012345678901234567890123456789012",
            "ak_abcdef\u{1F600}012345678901234567890123456789012345678901",
            "ak_\u{0}bcdefgh_0123456789012345678901234567890123456789012",
        ])
    func malformed(_ text: String) async throws {
        try await withHouse { house in
            let error = try await refusal { try await house.authenticator.authenticate(key: Secret(text)) }
            #expect(error?.code == .unauthorized)
            #expect(error?.description.contains("abcdefgh") == false)
        }
    }

    @Test("a revoked key is refused from that moment, though it was in memory")
    func revoked() async throws {
        try await withHouse { house in
            let (key, text) = try await house.callers.issueKey(request(), in: house.vault.id)
            _ = try await house.authenticator.authenticate(key: text)
            try await house.callers.revokeKey(key.id, in: house.vault.id)
            let error = try await refusal { try await house.authenticator.authenticate(key: text) }
            #expect(error?.code == .unauthorized)
            try await house.callers.revokeKey(key.id, in: house.vault.id)
        }
    }

    @Test("a key that is read while it is being revoked is not remembered")
    func revokedMeanwhile() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let (key, text) = try await house.callers.issueKey(request(), in: house.vault.id)
            // The row has been read, and has not been answered: now the key ends.
            scripted.afterNextRead {
                do {
                    try await house.callers.revokeKey(key.id, in: house.vault.id)
                } catch {
                    Issue.record(error)
                }
            }
            _ = try? await house.authenticator.authenticate(key: text)
            let error = try await refusal { try await house.authenticator.authenticate(key: text) }
            #expect(error?.code == .unauthorized)
        }
    }

    @Test("a rotated key lives on as the same caller under its new text only, and ends by its id")
    func rotated() async throws {
        try await withHouse { house in
            let (old, oldText) = try await house.callers.issueKey(request { $0.isReadOnly = true }, in: house.vault.id)
            _ = try await house.authenticator.authenticate(key: oldText)
            let (new, newText) = try await house.callers.rotateKey(old.id, in: house.vault.id)
            let error = try await refusal { try await house.authenticator.authenticate(key: oldText) }
            #expect(error?.code == .unauthorized)
            let caller = try await house.authenticator.authenticate(key: newText)
            #expect(caller.scopes == old.scopes && caller.isReadOnly && caller.label == old.label)
            #expect(new.id == old.id && caller.identity == .key(old.id))
            #expect(new.kind == .agent && caller.vault == house.vault.id)
            try await house.callers.revokeKey(old.id, in: house.vault.id)
            let ended = try await refusal { try await house.authenticator.authenticate(key: newText) }
            #expect(ended?.code == .unauthorized)
            let conflict = await #expect(throws: PosternError.self) {
                try await house.callers.rotateKey(old.id, in: house.vault.id)
            }
            #expect(conflict?.code == .conflict)
        }
    }

    @Test("a key ends by the clock, to the millisecond, though it is in memory")
    func expired() async throws {
        try await withHouse { house in
            let expiry = house.clock.now().adding(seconds: 10)
            let (_, text) = try await house.callers.issueKey(request { $0.expiresAt = expiry }, in: house.vault.id)
            _ = try await house.authenticator.authenticate(key: text)
            house.clock.advance(seconds: 9.999)
            _ = try await house.authenticator.authenticate(key: text)
            house.clock.advance(seconds: 0.001)
            let error = try await refusal { try await house.authenticator.authenticate(key: text) }
            #expect(error?.code == .unauthorized)
        }
    }

    @Test("another vault can neither see, rotate nor revoke a key, nor delete a login")
    func tenancy() async throws {
        try await withHouse { house in
            let other = try await house.neighbour().vault.id
            let (key, text) = try await house.callers.issueKey(request(), in: house.vault.id)
            let (user, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            for attempt in [
                { try await house.callers.revokeKey(key.id, in: other) },
                { _ = try await house.callers.rotateKey(key.id, in: other) },
                { try await house.callers.deleteUser(user.id, in: other) },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: PosternError.self) { try await attempt() }
                #expect(error?.code == .notFound)
            }
            _ = try await house.authenticator.authenticate(key: text)
            _ = try await house.authenticator.authenticate(username: "robot", password: password)
        }
    }

    @Test("a login passes with its password, and again from memory; nothing else does")
    func logins() async throws {
        try await withHouse { house in
            let (user, password) = try await house.callers.addUser(
                username: "robot", label: "Robot", in: house.vault.id)
            for _ in 0..<2 {
                let caller = try await house.authenticator.authenticate(username: "robot", password: password)
                #expect(caller.identity == .smtpUser(user.id) && caller.vault == house.vault.id)
                #expect(caller.scopes == .send && caller.label == "Robot")
            }
            let wrong = Secret(password.reveal() + "x")
            let attempts: [(String, Secret<String>)] = [
                ("robot", wrong), ("robot", Secret("")), ("Robot", password), ("nobody", password), ("", password),
                ("robot\u{0}", password), ("' OR '1'='1", password),
            ]
            var details: Set<String> = []
            for (username, password) in attempts {
                let error = try await refusal {
                    try await house.authenticator.authenticate(username: username, password: password)
                }
                #expect(error?.code == .unauthorized, "\(username)")
                details.insert(error?.detail ?? "")
            }
            #expect(details.count == 1, "one sentence for every reason")
        }
    }

    @Test("a deleted login is refused from that moment, though it was in memory")
    func deletedLogin() async throws {
        try await withHouse { house in
            let (user, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            let signIn = try await house.authenticator.signIn(username: "robot", password: password)
            #expect(signIn.isValid && signIn.caller == user.caller)
            try await house.callers.deleteUser(user.id, in: house.vault.id)
            #expect(!signIn.isValid)
            let error = try await refusal {
                try await house.authenticator.authenticate(username: "robot", password: password)
            }
            #expect(error?.code == .unauthorized)
            let again = await #expect(throws: PosternError.self) {
                try await house.callers.deleteUser(user.id, in: house.vault.id)
            }
            #expect(again?.code == .notFound)
        }
    }

    @Test("a login that is deleted while its password is checked is not remembered")
    func deletedMeanwhile() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let (user, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            scripted.afterNextRead {
                do {
                    try await house.callers.deleteUser(user.id, in: house.vault.id)
                } catch {
                    Issue.record(error)
                }
            }
            _ = try? await house.authenticator.authenticate(username: "robot", password: password)
            let error = try await refusal {
                try await house.authenticator.authenticate(username: "robot", password: password)
            }
            #expect(error?.code == .unauthorized)
        }
    }

    @Test("a name that is taken is a conflict; one that is not given is made up")
    func userNames() async throws {
        try await withHouse { house in
            let (first, _) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            #expect(first.label == "robot")
            let error = await #expect(throws: PosternError.self) {
                try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            }
            #expect(error?.code == .conflict)
            let (second, password) = try await house.callers.addUser(username: nil, label: nil, in: house.vault.id)
            #expect(second.username.hasPrefix("smtp-"))
            #expect(!second.passwordHash.contains(password.reveal()))
        }
    }

    @Test("uses are written when they are flushed, once, and not with each request")
    func flushing() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let (key, text) = try await house.callers.issueKey(request(), in: house.vault.id)
            let (user, password) = try await house.callers.addUser(username: "robot", label: nil, in: house.vault.id)
            let before = scripted.writeCount
            _ = try await house.authenticator.authenticate(key: text)
            house.clock.advance(seconds: 7)
            for _ in 0..<20 { _ = try await house.authenticator.authenticate(key: text) }
            _ = try await house.authenticator.authenticate(username: "robot", password: password)
            #expect(scripted.writeCount == before)
            #expect(try await house.callers.keys.find(key.id, in: house.vault.id)?.lastUsedAt == nil)
            try await house.authenticator.flushUses()
            #expect(scripted.writeCount == before + 2)
            #expect(try await house.callers.keys.find(key.id, in: house.vault.id)?.lastUsedAt == house.clock.now())
            #expect(try await house.callers.users.find(user.id, in: house.vault.id)?.lastUsedAt == house.clock.now())
            try await house.authenticator.flushUses()
            #expect(scripted.writeCount == before + 2)
        }
    }

    @Test("a refused key or password counts as no use")
    func refusalsAreNoUse() async throws {
        try await withHouse { house in
            let (key, _) = try await house.callers.issueKey(request(), in: house.vault.id)
            _ = try await refusal {
                try await house.authenticator.authenticate(key: Secret("ak_\(key.prefix)_\(RandomToken.text(43))"))
            }
            try await house.authenticator.flushUses()
            #expect(try await house.callers.keys.find(key.id, in: house.vault.id)?.lastUsedAt == nil)
        }
    }
}
