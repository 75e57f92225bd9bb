// One vault with settings and a caller on a real database: what the suites above Store begin with.

package import Gate
package import JSON
package import Model
package import SQL
package import Sealing
package import Store
import Synchronization
package import Vaults

package struct TestHouse: Sendable {
    package let database: any SQLDatabase
    package let clock: ManualClock
    package let ids: IdentifierGenerator
    package let masterKey: SealingKey
    package let vaults: VaultDirectory
    private let gatehouse: Gatehouse
    package let vault: Vault
    /// A caller with every scope.
    package let caller: Caller

    /// Settings that let `…@example.com` send by a smart host.
    package static let settings = JSONObject([
        "default_priority": .integer(5),
        "default_envelope_strategy": .string("from"),
        "allowed_sender_domains": .array([.string("example.com")]),
        "ip_pool_strategy": .string("from_domain"),
        "ip_pool_missing": .string("default"),
        "agent_send_requires_approval": .bool(false),
        "auth_mode": .string("both"),
        "inbound_smtp_enabled": .bool(true),
        "live_send_enabled": .bool(true),
        "route": .string("smarthost"),
        "smarthost_host": .string("relay.example.net"),
        "smarthost_port": .integer(2525),
        "smarthost_tls": .string("none"),
    ])

    package init(
        database: any SQLDatabase,
        settings: JSONObject = TestHouse.settings,
        instanceDefaults: [String: any SettingValue] = [:]
    ) async throws {
        let clock = ManualClock()
        let ids = IdentifierGenerator(process: 7, clock: clock)
        let masterKey = SealingKey.random()
        self.database = database
        self.clock = clock
        self.ids = ids
        self.masterKey = masterKey
        vaults = VaultDirectory(
            database: database, masterKey: masterKey, instanceDefaults: instanceDefaults, clock: clock, ids: ids)
        gatehouse = Gatehouse(database: database, clock: clock, ids: ids)
        vault = try await vaults.create(slug: "default", name: "Default")
        if !settings.members.isEmpty { try await vaults.change(settings, in: vault.id) }
        caller = Caller(vault: vault.id, identity: .key(ids.next()), label: "tests", scopes: .all)
    }

    package var authenticator: Authenticator { gatehouse.parts.authenticator }
    package var callers: CallerDirectory { gatehouse.parts.callers }

    /// Another vault in the same instance, with a caller of its own.
    package func neighbour(_ slug: String = "other") async throws -> (vault: Vault, caller: Caller) {
        let vault = try await vaults.create(slug: slug, name: slug)
        return (vault, Caller(vault: vault.id, identity: .key(ids.next()), label: "neighbour", scopes: .all))
    }
}

/// Makes the authenticator when it is first asked for: it costs a scrypt, which few suites need.
private final class Gatehouse: Sendable {
    private let made = Mutex<(authenticator: Authenticator, callers: CallerDirectory)?>(nil)
    private let database: any SQLDatabase
    private let clock: ManualClock
    private let ids: IdentifierGenerator

    init(database: any SQLDatabase, clock: ManualClock, ids: IdentifierGenerator) {
        self.database = database
        self.clock = clock
        self.ids = ids
    }

    var parts: (authenticator: Authenticator, callers: CallerDirectory) {
        made.withLock { made in
            if let made { return made }
            let authenticator = Authenticator(database: database, clock: clock)
            let callers = CallerDirectory(database: database, authenticator: authenticator, clock: clock, ids: ids)
            made = (authenticator, callers)
            return (authenticator, callers)
        }
    }
}

/// A house on a database of its own.
package func withHouse<Result>(
    _ engine: TestEngine = .standard,
    settings: JSONObject = TestHouse.settings,
    instanceDefaults: [String: any SettingValue] = [:],
    _ body: (TestHouse) async throws -> Result
) async throws -> Result {
    try await withDatabase(engine) { database in
        try await body(
            try await TestHouse(database: database, settings: settings, instanceDefaults: instanceDefaults))
    }
}

extension JSONObject {
    /// The same members, with some changed; `nil` takes one away.
    package func changing(_ changes: KeyValuePairs<String, JSONValue?>) -> JSONObject {
        var copy = self
        for (name, value) in changes { copy[name] = value }
        return copy
    }
}
