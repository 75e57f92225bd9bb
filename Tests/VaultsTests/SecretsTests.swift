// Secrets: set, replaced and taken away; sealed anew under readers and writers; never seen by anyone who was not asked.

import CoreTestSupport
import JSON
import Model
import SQL
import Sealing
import Store
import Testing
import Vaults

@Suite("Secrets")
struct SecretsTests {
    private func wrappedKey(_ house: TestHouse, _ vault: VaultID) async throws -> [UInt8] {
        try #require(try await VaultRepository(database: house.database).find(vault)).wrappedDataKey
    }

    @Test("a secret comes back by its name, in its vault, until it is taken away", arguments: TestEngine.all)
    func roundTrip(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (vault, other) = (house.vault.id, try await house.neighbour().vault.id)
            #expect(try await house.vaults.secretList(in: vault).isEmpty)
            let set = try await house.vaults.setSecret("token", to: Secret("tøken"), in: vault, audit: house.audit())
            #expect(set.name == "token" && set.updatedAt == house.clock.now())
            house.clock.advance(seconds: 5)
            let again = try await house.vaults.setSecret("token", to: Secret("second"), in: vault, audit: house.audit())
            #expect(again.updatedAt == house.clock.now())
            #expect(try await house.vaults.secretList(in: vault) == [again])
            #expect(try await house.vaults.secret("token", in: vault)?.reveal() == "second")
            #expect(try await house.vaults.secret("token", in: other)?.reveal() == nil)
            #expect(try await house.vaults.secretList(in: other).isEmpty)
            #expect(try await !house.vaults.deleteSecret("token", in: other, audit: house.audit()))
            #expect(try await house.vaults.deleteSecret("token", in: vault, audit: house.audit()))
            #expect(try await !house.vaults.deleteSecret("token", in: vault, audit: house.audit()))
            #expect(try await house.vaults.secret("token", in: vault)?.reveal() == nil)
        }
    }

    @Test("the smart host's password is one and the same, as a secret and as a setting", arguments: TestEngine.all)
    func setting(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (vault, name) = (house.vault.id, Settings.smarthostPassword.key)
            _ = try await house.vaults.setSecret(name, to: Secret("one"), in: vault, audit: house.audit())
            #expect(try await house.vaults.secretNames(in: vault) == [name])
            try await house.vaults.change(JSONObject([name: .string("two")]), in: vault)
            #expect(try await house.vaults.secret(name, in: vault)?.reveal() == "two")
            try await house.vaults.change(JSONObject([name: .null]), in: vault)
            #expect(try await house.vaults.secretList(in: vault).isEmpty)
        }
    }

    @Test("changes are written down by name, and nothing in the database holds a value", arguments: TestEngine.all)
    func audit(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let vault = house.vault.id
            for value in ["planted-secret-1", "planted-secret-2"] {
                _ = try await house.vaults.setSecret("token", to: Secret(value), in: vault, audit: house.audit())
            }
            _ = try await house.vaults.rotateDataKey(of: vault, audit: house.audit())
            let dump = try await house.database.read { connection in
                try ["vault_secrets", "audit_records", "vaults", "vault_settings"].map { table in
                    try connection.rows(SQLStatement(stringLiteral: "SELECT * FROM \(table)"))
                        .map { "\($0.values)" }.joined()
                }.joined()
            }
            #expect(!dump.contains("planted-secret"))
            let bytes = Array("planted-secret".utf8).map { "\($0)" }.joined(separator: ", ")
            #expect(dump.contains("token") && !dump.contains(bytes))
            _ = try await house.vaults.deleteSecret("token", in: vault, audit: house.audit())
            let records = try await house.database.read { connection in
                try connection.rows(
                    """
                    SELECT resource, before_value, after_value FROM audit_records WHERE resource LIKE 'secret%' ORDER BY id
                    """
                ).map { row in
                    "\(try row.text(0)) \(try row.optionalText(1) ?? "-") \(try row.optionalText(2) ?? "-")"
                }
            }
            #expect(
                records == [
                    #"secret:token {"set":false} {"set":true}"#, #"secret:token {"set":true} {"set":true}"#,
                    #"secrets - {"rotated":1}"#, #"secret:token {"set":true} {"set":false}"#,
                ])
        }
    }

    @Test("a new data key opens every secret, and the old one none", arguments: TestEngine.all)
    func rotation(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (vault, other) = (house.vault.id, try await house.neighbour().vault.id)
            for name in ["a", "b"] {
                for vault in [vault, other] {
                    _ = try await house.vaults.setSecret(
                        name, to: Secret("\(name) of \(vault)"), in: vault, audit: house.audit())
                }
            }
            let repository = SecretRepository(database: house.database)
            let before = (
                try await wrappedKey(house, vault), try await wrappedKey(house, other),
                try #require(try await repository.find("a", in: vault))
            )
            let listed = try await house.vaults.secretList(in: vault)
            house.clock.advance(seconds: 60)
            #expect(try await house.vaults.rotateDataKey(of: vault, audit: house.audit()) == 2)
            #expect(try await wrappedKey(house, vault) != before.0)
            #expect(try await wrappedKey(house, other) == before.1)
            #expect(try await house.vaults.secretList(in: vault) == listed, "the values did not change")
            let after = try #require(try await repository.find("a", in: vault))
            let keys = try [before.2, after].map {
                try SealingKey(unwrapping: $0.wrappedKey, by: house.masterKey, context: vault.text)
            }
            #expect(throws: SealingError.wrongKey) { try keys[0].open(after.bytes, context: "\(vault)/a") }
            #expect(throws: SealingError.wrongKey) { try keys[1].open(before.2.bytes, context: "\(vault)/a") }
            for vault in [vault, other] {
                #expect(try await house.vaults.secret("b", in: vault)?.reveal() == "b of \(vault)")
            }
            #expect(
                try await house.vaults.rotateDataKey(of: house.neighbour("empty").vault.id, audit: house.audit()) == 0)
        }
    }

    @Test("a rotation that cannot open one secret changes none", arguments: TestEngine.all)
    func brokenSecret(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let vault = house.vault.id
            for name in ["a", "b"] {
                _ = try await house.vaults.setSecret(name, to: Secret(name), in: vault, audit: house.audit())
            }
            try await house.database.write {
                try $0.execute("UPDATE vault_secrets SET sealed = \([1, 2] as [UInt8]) WHERE name = 'b'")
            }
            let before = (try await wrappedKey(house, vault), try await house.database.count("audit_records"))
            await #expect(throws: SealingError.wrongKey) {
                try await house.vaults.rotateDataKey(of: vault, audit: house.audit())
            }
            #expect(try await wrappedKey(house, vault) == before.0)
            #expect(try await house.database.count("audit_records") == before.1)
            #expect(try await house.vaults.secret("a", in: vault)?.reveal() == "a")
        }
    }

    @Test(
        "readers and writers of two processes see whole values only, while the key is replaced",
        arguments: TestEngine.all)
    func underWay(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let vault = house.vault.id
            let second = VaultDirectory(
                database: house.database, masterKey: house.masterKey, instanceDefaults: [:], clock: house.clock,
                ids: house.ids)
            let (rounds, names) = (25, ["a", "b", "smarthost_password"])
            for name in names {
                _ = try await house.vaults.setSecret(name, to: Secret("\(name) 0"), in: vault, audit: house.audit())
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                for directory in [house.vaults, second] {
                    group.addTask {
                        for _ in 0..<rounds { _ = try await directory.rotateDataKey(of: vault, audit: house.audit()) }
                    }
                    group.addTask {
                        for round in 1...rounds {
                            _ = try await directory.setSecret(
                                "a", to: Secret("a \(round)"), in: vault, audit: house.audit())
                            try await directory.change(
                                JSONObject(["smarthost_password": .string("smarthost_password \(round)")]), in: vault)
                        }
                    }
                    group.addTask {
                        for _ in 0..<rounds * 4 {
                            for name in names {
                                // Half of a rotation would not open.
                                let text = try await directory.secret(name, in: vault)?.reveal()
                                #expect(text?.hasPrefix("\(name) ") == true)
                            }
                        }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try await second.secret("a", in: vault)?.reveal() == "a \(rounds)")
            #expect(try await house.vaults.secret("b", in: vault)?.reveal() == "b 0")
            #expect(
                try await house.vaults.secret("smarthost_password", in: vault)?.reveal()
                    == "smarthost_password \(rounds)")
        }
    }
}

@Suite("The master key")
struct MasterKeyTests {
    private func directory(_ house: TestHouse, _ key: SealingKey) -> VaultDirectory {
        VaultDirectory(
            database: house.database, masterKey: key, instanceDefaults: [:], clock: house.clock, ids: house.ids)
    }

    @Test("another master key opens all vaults after the change, and the old one none", arguments: TestEngine.all)
    func changing(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let vaults = [house.vault.id, try await house.neighbour().vault.id]
            for vault in vaults {
                _ = try await house.vaults.setSecret(
                    "token", to: Secret("of \(vault)"), in: vault, audit: house.audit())
            }
            let fresh = SealingKey.random()
            #expect(try await house.vaults.changeMasterKey(to: fresh, audit: house.audit()) == 2)
            let after = directory(house, fresh)
            try await after.verifyMasterKey()
            for vault in vaults { #expect(try await after.secret("token", in: vault)?.reveal() == "of \(vault)") }
            await #expect(throws: SealingError.wrongKey) { try await house.vaults.verifyMasterKey() }
            await #expect(throws: SealingError.wrongKey) { try await house.vaults.secret("token", in: vaults[0]) }
            // Each vault's log says so, and the instance's.
            #expect(try await house.database.count("audit_records", where: "resource = 'master-key'") == 3)
        }
    }

    @Test("who has another master key changes, seals and opens nothing", arguments: TestEngine.all)
    func wrongKey(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (vault, stranger) = (house.vault.id, directory(house, .random()))
            _ = try await house.vaults.setSecret("token", to: Secret("s"), in: vault, audit: house.audit())
            let before = try await house.database.count("audit_records")
            for attempt in [
                { try await stranger.verifyMasterKey() },
                { _ = try await stranger.secret("token", in: vault) },
                { _ = try await stranger.setSecret("token", to: Secret("t"), in: vault, audit: house.audit()) },
                { try await stranger.change(JSONObject(["smarthost_password": .string("t")]), in: vault) },
                { _ = try await stranger.rotateDataKey(of: vault, audit: house.audit()) },
                { _ = try await stranger.changeMasterKey(to: .random(), audit: house.audit()) },
            ] as [() async throws -> Void] {
                let error = await #expect(throws: SealingError.self) { try await attempt() }
                #expect(error == .wrongKey)
            }
            #expect(try await house.database.count("audit_records") == before)
            #expect(try await house.vaults.secret("token", in: vault)?.reveal() == "s")
        }
    }

    @Test("one vault that does not open keeps the change from all", arguments: TestEngine.all)
    func allOrNone(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let other = try await house.neighbour().vault.id
            try await house.database.write {
                try $0.execute("UPDATE vaults SET data_key = \([1] as [UInt8]) WHERE id = \(other.text)")
            }
            await #expect(throws: SealingError.wrongKey) {
                try await house.vaults.changeMasterKey(to: .random(), audit: house.audit())
            }
            _ = try await house.vaults.setSecret("token", to: Secret("s"), in: house.vault.id, audit: house.audit())
            #expect(try await house.vaults.secret("token", in: house.vault.id)?.reveal() == "s")
        }
    }

    @Test("only processes whose lease runs, and not one's own, count as working", arguments: TestEngine.all)
    func processes(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (secrets, housekeeping) = (
                SecretRepository(database: house.database), HousekeepingRepository(database: house.database)
            )
            let (now, end) = (house.clock.now(), house.clock.now().adding(seconds: 60))
            for owner in ["own", "other"] {
                _ = try await housekeeping.claimProcessNumber(owner: owner, at: now, until: end)
            }
            #expect(try await secrets.liveProcesses(besides: "own", at: now) == 1)
            #expect(try await secrets.liveProcesses(besides: "nobody", at: now) == 2)
            #expect(try await secrets.liveProcesses(besides: "own", at: end) == 0)
        }
    }
}
