// Settings change all or none, secrets stay sealed, and what is in memory is never older than the last change.

import CoreTestSupport
import JSON
import Model
import SQL
import Sealing
import Store
import TestSupport
import Testing
import Vaults

@Suite("Vault directory")
struct VaultDirectoryTests {
    @Test("a change is seen at once, and null takes a value away")
    func changing() async throws {
        try await withHouse(settings: JSONObject(), instanceDefaults: ["default_priority": 9]) { house in
            let vault = house.vault.id
            #expect(try await house.vaults.snapshot(of: vault).settings.value(Settings.defaultPriority) == 9)
            try await house.vaults.change(
                JSONObject(["default_priority": .integer(3), "default_tags": .array([.string("a")])]), in: vault)
            let changed = try await house.vaults.snapshot(of: vault).settings
            #expect(changed.value(Settings.defaultPriority) == 3 && changed.source("default_priority") == .vault)
            #expect(changed.value(Settings.defaultTags) == ["a"])
            try await house.vaults.change(JSONObject(["default_priority": .null]), in: vault)
            let unset = try await house.vaults.snapshot(of: vault).settings
            #expect(unset.value(Settings.defaultPriority) == 9 && unset.source("default_priority") == .instance)
            #expect(unset.value(Settings.defaultTags) == ["a"])
        }
    }

    @Test("an empty value is none: the instance's holds", arguments: [JSONValue.array([]), .null])
    func emptyValues(_ none: JSONValue) async throws {
        try await withHouse(settings: JSONObject(), instanceDefaults: ["default_tags": ["instance"]]) { house in
            try await house.vaults.change(JSONObject(["default_tags": .array([.string("own")])]), in: house.vault.id)
            try await house.vaults.change(JSONObject(["default_tags": none]), in: house.vault.id)
            let settings = try await house.vaults.snapshot(of: house.vault.id).settings
            #expect(settings.value(Settings.defaultTags) == ["instance"])
            #expect(settings.source("default_tags") == .instance)
        }
    }

    @Test("one wrong value or unknown key changes nothing, and every problem is named")
    func allOrNone() async throws {
        try await withHouse { house in
            let error = await #expect(throws: PosternError.self) {
                try await house.vaults.change(
                    JSONObject([
                        "default_priority": .integer(1), "route": .string("pigeon"), "no/such~key": .integer(1),
                        "smarthost_port": .string("25"), "smarthost_password": .integer(5),
                        "auth_mode": .string("smtp"),
                    ]), in: house.vault.id)
            }
            #expect(error?.code == .validationFailed)
            #expect(
                error?.problems.map(\.pointer) == [
                    "/route", "/no~1such~0key", "/smarthost_port", "/smarthost_password",
                ])
            #expect(error?.problems[1].message == "unknown setting")
            let settings = try await house.vaults.snapshot(of: house.vault.id).settings
            #expect(settings.value(Settings.defaultPriority) == 5)
            #expect(settings.value(Settings.authMode) == AuthModes(.both))
            #expect(try await house.vaults.secretNames(in: house.vault.id).isEmpty)
        }
    }

    @Test("a change in one vault is none in another")
    func tenancy() async throws {
        try await withHouse { house in
            let other = try await house.neighbour().vault.id
            try await house.vaults.change(
                JSONObject(["default_priority": .integer(8), "smarthost_password": .string("theirs")]), in: other)
            #expect(try await house.vaults.snapshot(of: house.vault.id).settings.value(Settings.defaultPriority) == 5)
            #expect(try await house.vaults.secret("smarthost_password", in: house.vault.id)?.reveal() == nil)
            #expect(try await house.vaults.secret("smarthost_password", in: other)?.reveal() == "theirs")
        }
    }

    @Test("a secret comes back, never as a setting, and can be replaced and taken away")
    func secrets() async throws {
        try await withHouse { house in
            let vault = house.vault.id
            for text in ["first", "second", "ünïcode 😀"] {
                try await house.vaults.change(JSONObject(["smarthost_password": .string(text)]), in: vault)
                #expect(try await house.vaults.secret("smarthost_password", in: vault)?.reveal() == text)
            }
            let settings = try await house.vaults.snapshot(of: vault).settings
            #expect(
                settings.erased("smarthost_password")?.json == nil && settings.source("smarthost_password") == .unset)
            #expect(try await house.vaults.secretNames(in: vault) == ["smarthost_password"])
            for none in [JSONValue.null, .string("")] {
                try await house.vaults.change(JSONObject(["smarthost_password": .string("x")]), in: vault)
                try await house.vaults.change(JSONObject(["smarthost_password": none]), in: vault)
                #expect(try await house.vaults.secret("smarthost_password", in: vault)?.reveal() == nil)
                #expect(try await house.vaults.secretNames(in: vault).isEmpty)
            }
        }
    }

    @Test("the plaintext of a secret is nowhere in the database's files")
    func sealedOnDisk() async throws {
        try await Turnstile.databases.pass {
            try await withTemporaryDirectory { directory in
                let database = try await TestEngine.sqlite.open(directory).database
                try await Migrator(database: database).migrate()
                let house = try await TestHouse(database: database)
                let secret = "correct-horse-battery-staple"
                try await house.vaults.change(
                    JSONObject([
                        "smarthost_password": .string(secret), "smarthost_username": .string("visible-username"),
                    ]),
                    in: house.vault.id)
                // Once while the write-ahead log holds it, once after it was folded into the file.
                var seen = fileBytes("\(directory)/postern.db-wal") + fileBytes("\(directory)/postern.db")
                await database.close()
                seen += fileBytes("\(directory)/postern.db")
                let text = String(String.UnicodeScalarView(seen.map { Unicode.Scalar($0) }))
                #expect(text.contains("visible-username"), "the test looks at the right files")
                #expect(!text.contains(secret))
                #expect(!text.contains(house.masterKey.base64.reveal()))
            }
        }
    }

    @Test("another master key opens nothing, and says so at the start")
    func wrongMasterKey() async throws {
        try await withHouse { house in
            try await house.vaults.change(JSONObject(["smarthost_password": .string("s")]), in: house.vault.id)
            try await house.vaults.verifyMasterKey()
            let stranger = VaultDirectory(
                database: house.database, masterKey: .random(), instanceDefaults: [:], clock: house.clock,
                ids: house.ids)
            await #expect(throws: SealingError.wrongKey) { try await stranger.verifyMasterKey() }
            await #expect(throws: SealingError.wrongKey) {
                try await stranger.secret("smarthost_password", in: house.vault.id)
            }
            await #expect(throws: SealingError.wrongKey) {
                try await stranger.change(JSONObject(["smarthost_password": .string("t")]), in: house.vault.id)
            }
            #expect(try await house.vaults.secret("smarthost_password", in: house.vault.id)?.reveal() == "s")
        }
    }

    @Test("a sealed secret that was moved to another vault or name does not open")
    func movedSecret() async throws {
        try await withHouse { house in
            let other = try await house.neighbour().vault.id
            try await house.vaults.change(JSONObject(["smarthost_password": .string("s")]), in: house.vault.id)
            try await house.database.write { connection in
                try connection.execute(
                    "UPDATE vaults SET data_key = (SELECT data_key FROM vaults WHERE id = \(house.vault.id.text))")
                try connection.execute("UPDATE vault_secrets SET vault_id = \(other.text)")
            }
            await #expect(throws: SealingError.wrongKey) {
                try await house.vaults.secret("smarthost_password", in: other)
            }
        }
    }

    @Test("settings that are read while they are being changed are not remembered")
    func changedMeanwhile() async throws {
        try await withDatabase { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let vault = house.vault.id
            scripted.afterNextRead {
                do {
                    try await house.vaults.change(JSONObject(["default_priority": .integer(77)]), in: vault)
                } catch {
                    Issue.record(error)
                }
            }
            _ = try await house.vaults.snapshot(of: vault)
            #expect(try await house.vaults.snapshot(of: vault).settings.value(Settings.defaultPriority) == 77)
        }
    }

    @Test("settings and pools are of one moment, whatever another process does in between", arguments: TestEngine.all)
    func together(_ engine: TestEngine) async throws {
        try await withDatabase(engine) { database in
            let scripted = ScriptedDatabase(database)
            let house = try await TestHouse(database: scripted)
            let vault = house.vault.id
            let pools = IPPoolRepository(database: database)
            let pool = IPPool(
                id: house.ids.next(), vault: vault, domain: "example.com", pool: "warm", ips: ["192.0.2.1"],
                createdAt: house.clock.now(), updatedAt: house.clock.now())
            try await pools.insert(pool, in: vault, audit: house.audit(as: "pool.write"))
            try await house.vaults.change(JSONObject(["ip_pool_strategy": .string("fixed:warm")]), in: vault)
            let other = VaultDirectory(
                database: database, masterKey: house.masterKey, instanceDefaults: [:], clock: house.clock,
                ids: house.ids)
            scripted.afterNextRead {
                do {
                    try await other.change(JSONObject(["ip_pool_strategy": .string("from_domain")]), in: vault)
                    let isGone = try await pools.delete(
                        pool.id, in: vault, rule: other.poolRule, audit: house.audit(as: "pool.write"))
                    #expect(isGone)
                } catch {
                    Issue.record(error)
                }
            }
            let snapshot = try await house.vaults.snapshot(of: vault)
            #expect(snapshot.settings.value(Settings.ipPoolStrategy) == .fixed("warm"))
            #expect(snapshot.pools.addresses(named: "warm") == ["192.0.2.1"])
        }
    }

    @Test("a value that cannot be read stops the vault's mail, until it is set again or taken away")
    func unreadable() async throws {
        try await withHouse(instanceDefaults: ["send_rate_limit": 100]) { house in
            let vault = house.vault.id
            let other = try await house.neighbour().vault.id
            for (stored, repair) in [("\"ten\"", JSONValue.integer(7)), ("{", .null)] {
                try await house.database.write { connection in
                    try connection.execute(
                        """
                        INSERT INTO vault_settings (vault_id, key, value, updated_at)
                        VALUES (\(vault.text), 'send_rate_limit', \(stored), 1)
                        ON CONFLICT (vault_id, key) DO UPDATE SET value = excluded.value
                        """)
                }
                house.vaults.invalidateAll()
                for _ in 0..<2 {
                    let error = await #expect(throws: PosternError.self) { try await house.vaults.snapshot(of: vault) }
                    #expect(error?.code == .settingUnset && error?.detail.contains("send_rate_limit") == true)
                    #expect(house.vaults.cachedSnapshot(of: vault)?.pools == nil)
                }
                let shown = try await house.vaults.settings(of: vault)
                #expect(shown.value(Settings.sendRateLimit) == nil && shown.source("send_rate_limit") == .vault)
                #expect(shown.value(Settings.defaultPriority) == 5)
                #expect(try await house.vaults.snapshot(of: other).settings.value(Settings.sendRateLimit) == 100)
                // A change of something else goes through, and repairs nothing.
                try await house.vaults.change(JSONObject(["default_priority": .integer(5)]), in: vault)
                await #expect(throws: PosternError.self) { try await house.vaults.snapshot(of: vault) }
                try await house.vaults.change(JSONObject(["send_rate_limit": repair]), in: vault)
                let settings = try await house.vaults.snapshot(of: vault).settings
                #expect(settings.value(Settings.sendRateLimit) == (repair == .null ? 100 : 7))
            }
        }
    }

    @Test("a snapshot is read once and then from memory, until something changes")
    func memory() async throws {
        try await withHouse { house in
            let vault = house.vault.id
            #expect(house.vaults.cachedSnapshot(of: vault)?.pools == nil)
            let recorder = StatementRecorder(house.database)
            let directory = VaultDirectory(
                database: recorder, masterKey: house.masterKey, instanceDefaults: [:], clock: house.clock,
                ids: house.ids)
            _ = try await directory.snapshot(of: vault)
            #expect(!recorder.take().isEmpty)
            for _ in 0..<10 { _ = try await directory.snapshot(of: vault) }
            #expect(recorder.take().isEmpty)
            #expect(directory.cachedSnapshot(of: vault)?.pools == IPPools.none)
            directory.invalidate(vault)
            #expect(directory.cachedSnapshot(of: vault)?.pools == nil)
        }
    }

    @Test("pools stand in the snapshot by domain and by name", arguments: TestEngine.all)
    func pools(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let pools = IPPoolRepository(database: house.database)
            for (domain, ip) in [("z.example", "192.0.2.1"), ("a.example", "192.0.2.2")] {
                let pool = IPPool(
                    id: house.ids.next(), vault: house.vault.id, domain: domain, pool: "warm", ips: [ip],
                    createdAt: house.clock.now(), updatedAt: house.clock.now())
                try await pools.insert(pool, in: house.vault.id, audit: house.audit(as: "pool.write"))
            }
            let known = try await house.vaults.snapshot(of: house.vault.id).pools
            #expect(known.addresses(forDomain: "a.example") == ["192.0.2.2"])
            #expect(known.addresses(named: "warm") == ["192.0.2.1", "192.0.2.2"], "in the order of creation")
            #expect(known.addresses(named: "cold") == nil && known.addresses(forDomain: "b.example") == nil)
        }
    }
}
