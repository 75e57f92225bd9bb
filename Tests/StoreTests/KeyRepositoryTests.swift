// Keys and SMTP users as rows: what is stored comes back, only to its own vault; what ends, ends with all that hangs on it.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Testing

@Suite("Keys and SMTP users in the database")
struct KeyRepositoryTests {
    private func key(_ house: TestHouse, prefix: String = "abcdefgh", under parent: APIKey? = nil) -> APIKey {
        var key = APIKey(
            id: house.ids.next(), vault: house.vault.id, prefix: prefix, digest: Array(0..<32), label: "a 'label'",
            kind: .agent, scopes: [.send, .read], isReadOnly: true,
            senderDomains: ["acme.com", "*.bücher.example"].compactMap(DomainPattern.init),
            createdAt: house.clock.now(), expiresAt: house.clock.now().adding(seconds: 60))
        key.parent = parent?.id
        key.agent = parent?.agent ?? key.id
        key.labelPrefix = "a '"
        key.allowedIPs = ["192.0.2.0/24", "2001:db8::7"].compactMap { try? IPNetwork(parsing: $0) }
        key.limits = [KeyRateLimit(key: key.id, limit: RateLimit(perHour: 7, burst: 2))]
        key.ipPool = "warm"
        key.isTemporary = true
        return key
    }

    private func user(_ house: TestHouse, _ name: String = "robot") -> SMTPUser {
        SMTPUser(
            id: house.ids.next(), vault: house.vault.id, username: name, label: "Robot", passwordHash: "hash",
            createdAt: house.clock.now(), allowedIPs: ["192.0.2.7"].compactMap { try? IPNetwork(parsing: $0) },
            senderDomains: ["acme.com"].compactMap(DomainPattern.init), ipPool: "warm")
    }

    private func insert(_ key: APIKey, _ house: TestHouse) async throws {
        _ = try await KeyRepository(database: house.database).insert(
            under: key.parent, in: house.vault.id, audit: house.audit()
        ) { _ in key }
    }

    private func insert(_ user: SMTPUser, _ house: TestHouse) async throws {
        try await SMTPUserRepository(database: house.database).insert(
            user, askedBy: nil, in: house.vault.id, audit: house.audit()
        ) { _ in }
    }

    private func renewal(_ prefix: String, until end: Timestamp? = nil) -> KeyRepository.Renewal {
        KeyRepository.Renewal(prefix: prefix, digest: [7], oldEndsAt: end)
    }

    @Test("a key comes back with all that it may do, by its id and by its public part", arguments: TestEngine.all)
    func keys(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            let key = key(house)
            try await insert(key, house)
            let presented = try #require(try await repository.find(prefix: "abcdefgh"))
            #expect(presented.digest == key.digest && presented.endsAt == nil)
            for stored in [try #require(try await repository.find(key.id, in: house.vault.id)), presented.key] {
                #expect(stored.document(at: key.createdAt) == key.document(at: key.createdAt))
                #expect(stored.caller == key.caller && stored.digest == key.digest && stored.limits == key.limits)
                #expect(stored.agent == key.id && stored.isTemporary && stored.allowedIPs == key.allowedIPs)
            }
            #expect(try await repository.find(prefix: "ABCDEFGH")?.key.id == nil)
        }
    }

    @Test("a limit that cannot be read makes the key unusable, not unlimited", arguments: TestEngine.all)
    func unreadableLimit(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            try await insert(key(house), house)
            for text in ["{}", "[{}]", #"[{"key":"key_x","per_hour":0,"burst":1}]"#, "[", ""] {
                try await house.database.write {
                    try $0.execute("UPDATE smtp_relay_api_keys SET rate_limits = \(text)")
                }
                await #expect(throws: (any Error).self) {
                    try await KeyRepository(database: house.database).find(prefix: "abcdefgh")
                }
            }
        }
    }

    @Test(
        "a key ends with its children and theirs, in one commit, and only by its own vault", arguments: TestEngine.all)
    func revoking(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            let other = try await house.neighbour().vault.id
            let root = key(house, prefix: "root0000")
            let child = key(house, prefix: "child000", under: root)
            let second = key(house, prefix: "second00", under: root)
            let grandchild = key(house, prefix: "grand000", under: child)
            let stranger = key(house, prefix: "stranger")
            for key in [root, child, second, grandchild, stranger] { try await insert(key, house) }
            let now = house.clock.now()
            #expect(try await repository.revoke(root.id, in: other, at: now, audit: house.audit()) == nil)
            #expect(try await repository.find(root.id, in: other)?.id == nil)
            #expect(try await repository.list(in: other, page: Page()).isEmpty)
            #expect(
                try await repository.revoke(second.id, in: house.vault.id, at: now, audit: house.audit()) == [second.id]
            )
            let later = now.adding(seconds: 1)
            let before = try await house.database.count("audit_records")
            let ended = try await repository.revoke(root.id, in: house.vault.id, at: later, audit: house.audit())
            #expect(ended == [root.id, child.id, grandchild.id])
            #expect(try await house.database.count("audit_records") == before + 3)
            for (key, end) in [(root, later), (child, later), (grandchild, later), (second, now)] {
                #expect(try await repository.find(key.id, in: house.vault.id)?.revokedAt == end)
            }
            #expect(try await repository.find(stranger.id, in: house.vault.id)?.revokedAt == nil)
            #expect(try await repository.revoke(root.id, in: house.vault.id, at: later, audit: house.audit()) == [])
            #expect(try await house.database.count("audit_records") == before + 3)
        }
    }

    @Test("no child survives a parent that is revoked while it is being made", arguments: TestEngine.all)
    func race(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            for round in 0..<12 {
                let root = key(house, prefix: "root\(1000 + round)")
                let middle = key(house, prefix: "midd\(1000 + round)", under: root)
                try await insert(root, house)
                try await insert(middle, house)
                let children = (0..<4).map { key(house, prefix: "c\($0)__\(1000 + round)", under: middle) }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for child in children {
                        group.addTask {
                            _ = try? await repository.insert(
                                under: middle.id, in: house.vault.id, audit: house.audit()
                            ) { parent in
                                guard let parent, parent.key.revokedAt == nil else {
                                    throw SQLError(.constraint, "the parent has ended")
                                }
                                #expect(parent.depth == 2)
                                return child
                            }
                        }
                    }
                    group.addTask {
                        _ = try await repository.revoke(
                            root.id, in: house.vault.id, at: house.clock.now(), audit: house.audit())
                    }
                    try await group.waitForAll()
                }
                for child in children {
                    guard let found = try await repository.find(child.id, in: house.vault.id) else { continue }
                    #expect(found.revokedAt != nil, "\(round)")
                }
            }
        }
    }

    @Test(
        "a new text ends the old one at once, or at its time; one more rotation ends the oldest",
        arguments: TestEngine.all)
    func rotating(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = KeyRepository(database: house.database)
            let (other, vault, now) = (try await house.neighbour().vault.id, house.vault.id, house.clock.now())
            let key = key(house, prefix: "first000")
            try await insert(key, house)
            try await insert(self.key(house, prefix: "takentak"), house)
            func rotate(_ renewal: KeyRepository.Renewal, in vault: VaultID) async throws -> APIKey? {
                try await repository.rotate(
                    key.id, askedBy: nil, in: vault, at: now, audit: house.audit()
                ) { _, _ in renewal }
            }
            #expect(try await rotate(renewal("second00"), in: other) == nil)
            #expect(try await repository.find(prefix: "second00") == nil)
            // A prefix that is taken: the old text must live on.
            await #expect(throws: SQLError.self) { try await rotate(renewal("takentak", until: now), in: vault) }
            #expect(try await repository.find(prefix: "first000")?.digest == key.digest)
            let end = now.adding(seconds: 60)
            let renewed = try #require(try await rotate(renewal("second00", until: end), in: vault))
            #expect(renewed.retiringUntil == end && renewed.prefix == "second00")
            let old = try #require(try await repository.find(prefix: "first000"))
            #expect(old.key.id == key.id && old.digest == key.digest && old.endsAt == end)
            #expect(try await repository.find(prefix: "second00")?.endsAt == nil)
            #expect(try await repository.find(key.id, in: vault)?.retiringUntil == end)
            _ = try await rotate(renewal("third000", until: end.adding(seconds: 1)), in: vault)
            #expect(try await repository.find(prefix: "first000") == nil)
            #expect(try await repository.find(prefix: "second00")?.endsAt == end.adding(seconds: 1))
            _ = try await rotate(renewal("fourth00"), in: vault)
            #expect(try await repository.find(prefix: "second00") == nil)
            #expect(try await repository.find(prefix: "third000") == nil)
            _ = try await rotate(renewal("fifth000", until: end), in: vault)
            _ = try await repository.revoke(key.id, in: vault, at: now, audit: house.audit())
            #expect(try await repository.find(prefix: "fourth00") == nil)
            #expect(try await house.database.count("retiring_key_texts") == 0)
        }
    }

    @Test("what a judge throws changes nothing and writes nothing down", arguments: TestEngine.all)
    func judges(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            struct No: Error {}
            let (keys, users) = (KeyRepository(database: house.database), SMTPUserRepository(database: house.database))
            let (key, user, vault) = (key(house), user(house), house.vault.id)
            try await insert(key, house)
            try await insert(user, house)
            let (now, audit) = (house.clock.now(), house.audit())
            let before = try await house.database.count("audit_records")
            let attempts: [@Sendable () async throws -> Void] = [
                { _ = try await keys.insert(under: nil, in: vault, audit: audit) { _ in throw No() } },
                {
                    _ = try await keys.rotate(key.id, askedBy: nil, in: vault, at: now, audit: audit) { _, _ in
                        throw No()
                    }
                },
                { _ = try await keys.revoke(key.id, in: vault, at: now, audit: audit) { _ in throw No() } },
                { _ = try await keys.relabel(key.id, as: "x", in: vault, at: now, audit: audit) { _ in throw No() } },
                { _ = try await users.change(user.id, askedBy: nil, in: vault, audit: audit) { _, _ in throw No() } },
                { _ = try await users.delete(user.id, in: vault, audit: audit) { _ in throw No() } },
            ]
            for attempt in attempts { await #expect(throws: No.self) { try await attempt() } }
            #expect(try await keys.find(key.id, in: vault)?.document(at: now) == key.document(at: now))
            #expect(try await users.find(user.id, in: vault)?.document == user.document)
            #expect(try await house.database.count("audit_records") == before)
        }
    }

    @Test(
        "each change is written down with how it was before and after, and no digest or hash", arguments: TestEngine.all
    )
    func audit(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (keys, users) = (KeyRepository(database: house.database), SMTPUserRepository(database: house.database))
            let (key, user, vault, now) = (key(house), user(house), house.vault.id, house.clock.now())
            try await insert(key, house)
            _ = try await keys.relabel(key.id, as: "a 'new'", in: vault, at: now, audit: house.audit()) { _ in }
            _ = try await keys.rotate(key.id, askedBy: nil, in: vault, at: now, audit: house.audit()) { _, _ in
                KeyRepository.Renewal(prefix: "newnewne", digest: [7], oldEndsAt: now.adding(seconds: 1))
            }
            try await insert(user, house)
            _ = try await users.change(user.id, askedBy: nil, in: vault, audit: house.audit()) { user, _ in
                var user = user
                user.passwordHash = "scrypt$other"
                return user
            }
            _ = try await users.delete(user.id, in: vault, audit: house.audit()) { _ in }
            let rows = try await house.database.read { connection in
                try connection.rows(
                    """
                    SELECT resource, before_value, after_value FROM audit_records
                    WHERE resource LIKE 'key_%' OR resource LIKE 'smtp_%' ORDER BY id
                    """
                ).map { (try $0.text(0), try $0.optionalText(1), try $0.optionalText(2)) }
            }
            #expect(rows.map(\.0) == [key.id, key.id, key.id].map(\.text) + [user.id, user.id, user.id].map(\.text))
            #expect(rows[0].1 == nil && rows[0].2?.contains(#""label":"a 'label'""#) == true)
            #expect(rows[1].1?.contains("a 'label'") == true && rows[1].2?.contains("a 'new'") == true)
            #expect(rows[2].1?.contains("ak_abcdefgh") == true && rows[2].2?.contains("ak_newnewne") == true)
            #expect(rows[4].2?.contains(#""password":{"changed":true}"#) == true)
            #expect(rows[5].1?.contains("robot") == true && rows[5].2 == nil)
            #expect(!"\(rows)".contains("hash") && !"\(rows)".contains("scrypt") && !"\(rows)".contains("digest"))
        }
    }

    @Test("a label prefix picks labels byte by byte, and nothing in it is a pattern", arguments: TestEngine.all)
    func labelPrefixes(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = SMTPUserRepository(database: house.database)
            let labels = [
                "bill-1", "bill_1", "Bill-2", "bil", "bill-", "b%ll-3", "é-composed", "e\u{301}-not", "bill-\u{301}",
            ]
            for (index, label) in labels.enumerated() {
                var user = user(house, "user\(index)")
                user.label = label
                try await insert(user, house)
            }
            for (prefix, seen) in [
                ("bill-", ["bill-1", "bill-", "bill-\u{301}"]), ("b%", ["b%ll-3"]), ("bill_", ["bill_1"]),
                ("é", ["é-composed"]),
                ("%", []), ("_", []), ("' OR 1=1 --", []), (String(repeating: "x", count: 200), []),
            ] {
                let found = try await repository.list(in: house.vault.id, labelPrefix: prefix, page: Page())
                #expect(found.map(\.label).map { Array($0.utf8) } == seen.map { Array($0.utf8) }, "\(prefix)")
            }
        }
    }

    @Test("keys and users are paged by id without gaps or repeats", arguments: TestEngine.all)
    func pages(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (keys, users) = (KeyRepository(database: house.database), SMTPUserRepository(database: house.database))
            var expected: [[String]] = [[], []]
            for index in 0..<11 {
                let (key, user) = (key(house, prefix: "prefix\(10 + index)"), user(house, "u\(index)"))
                try await insert(key, house)
                try await insert(user, house)
                expected[0].append(key.id.text)
                expected[1].append(user.id.text)
            }
            let lists: [@Sendable (Page) async throws -> [String]] = [
                { try await keys.list(in: house.vault.id, labelPrefix: "a '", page: $0).map(\.id.text) },
                { try await users.list(in: house.vault.id, page: $0).map(\.id.text) },
            ]
            for (list, expected) in zip(lists, expected) {
                var seen: [String] = []
                while true {
                    let page = try await list(Page(after: seen.last ?? "", limit: 4))
                    seen += page
                    guard page.count == 4 else { break }
                }
                #expect(seen == expected)
            }
        }
    }

    @Test("uses are written down together", arguments: TestEngine.all)
    func uses(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (keys, users) = (KeyRepository(database: house.database), SMTPUserRepository(database: house.database))
            let (first, second, user) = (key(house, prefix: "first123"), key(house, prefix: "second12"), user(house))
            try await insert(first, house)
            try await insert(second, house)
            try await insert(user, house)
            let (early, late) = (house.clock.now(), house.clock.now().adding(seconds: 5))
            try await keys.recordUses([first.id: early, second.id: late, house.ids.next(): late])
            try await users.recordUses([user.id: late])
            #expect(try await keys.find(first.id, in: house.vault.id)?.lastUsedAt == early)
            #expect(try await keys.find(second.id, in: house.vault.id)?.lastUsedAt == late)
            #expect(try await users.find(user.id, in: house.vault.id)?.lastUsedAt == late)
        }
    }

    @Test("an SMTP user's name is taken in the whole instance; all else is its vault's", arguments: TestEngine.all)
    func users(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let repository = SMTPUserRepository(database: house.database)
            let (other, vault) = (try await house.neighbour().vault.id, house.vault.id)
            let user = user(house)
            try await insert(user, house)
            let twin = self.user(house)
            let error = await #expect(throws: SQLError.self) { try await insert(twin, house) }
            #expect(error?.code == .constraint)
            let found = try #require(try await repository.find(username: "robot"))
            #expect(found.vault == vault && found.passwordHash == "hash" && found.document == user.document)
            #expect(found.caller == user.caller && found.caller.ipPool == "warm" && found.continues(user))
            #expect(try await repository.find(username: "Robot")?.id == nil)
            #expect(try await repository.find(user.id, in: other)?.id == nil)
            #expect(try await repository.list(in: other, page: Page()).isEmpty)
            #expect(
                try await repository.change(user.id, askedBy: nil, in: other, audit: house.audit()) { user, _ in user }?
                    .id == nil)
            #expect(try await repository.delete(user.id, in: other, audit: house.audit()) { _ in }?.id == nil)
            #expect(try await repository.list(in: vault, page: Page()).map(\.id) == [user.id])
            #expect(try await repository.all(of: [user.id, house.ids.next()]).map(\.key) == [user.id])
            #expect(try await repository.delete(user.id, in: vault, audit: house.audit()) { _ in }?.id == user.id)
            #expect(try await repository.delete(user.id, in: vault, audit: house.audit()) { _ in }?.id == nil)
            #expect(try await repository.find(username: "robot")?.id == nil)
        }
    }

    @Test("many users are asked for in pieces", arguments: TestEngine.all)
    func manyUsers(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let user = user(house)
            try await insert(user, house)
            var ids: Set<SMTPUserID> = [user.id]
            for _ in 0..<1_200 { ids.insert(house.ids.next()) }
            let found = try await SMTPUserRepository(database: house.database).all(of: ids)
            #expect(found.map(\.key) == [user.id])
        }
    }
}
