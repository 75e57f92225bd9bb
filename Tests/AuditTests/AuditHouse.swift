// What the suites of the audit log begin with: a house with a log of some records, sealed, and ways to lay hands on the tables.

import Audit
import CoreTestSupport
import JSON
import Logging
import Model
import SQL
import Sealing
import Store

struct AuditHouse: Sendable {
    let house: TestHouse
    let key = AuditSealKey(Secret([UInt8](repeating: 7, count: 32)))
    var database: any SQLDatabase { house.database }
    var repository: AuditRepository { AuditRepository(database: database) }
    var verifier: AuditVerifier { AuditVerifier(database: database, key: key, clock: house.clock) }
    var vault: VaultID { house.vault.id }

    static let actor = Actor(
        id: "key_0000000000000001", label: "ops-1", door: "http", address: "192.0.2.7", requestID: "req_1")

    func entry(
        _ action: String = "settings.write", of resource: String = "settings", by actor: Actor = Self.actor,
        after: JSONValue? = .object(JSONObject(["default_priority": .integer(4)])),
        outcome: AuditEntry.Outcome = .done, reason: String? = nil
    ) -> AuditEntry {
        AuditEntry(
            id: house.ids.next(), at: house.clock.now(), actor: actor, action: action, resource: resource, after: after,
            outcome: outcome, reason: reason)
    }

    /// Appends records, a second apart.
    func append(_ count: Int, in vault: VaultID?) async throws {
        for number in 0..<count {
            house.clock.advance(seconds: 1)
            let after = JSONObject(["n": .integer(Int64(number))])
            try await repository.append(entry(after: .object(after)), in: vault)
        }
    }

    func sealer(_ duty: Bool = true, logger: Logger = Logger(label: "tests")) -> AuditSealer {
        AuditSealer(
            database: database, key: key, ids: house.ids, clock: house.clock, holdsDuty: { duty },
            logger: logger)
    }

    /// Everything that there is gets its seals.
    func seal() async throws {
        let sealer = sealer()
        // The first seals are themselves a record.
        try await sealer.round()
        try await sealer.round()
    }

    func retention(days: Int?) -> AuditRetention {
        AuditRetention(
            database: database, key: key, ids: house.ids, clock: house.clock, days: { _ in days },
            holdsDuty: { true }, logger: Logger(label: "tests"))
    }

    /// Lays hands on the database.
    func tamper(_ statements: SQLStatement...) async throws {
        try await database.write { connection in
            for statement in statements { try connection.execute(statement) }
        }
    }

    func report(_ vault: VaultID? = nil) async throws -> AuditReport {
        try await verifier.chain(of: vault ?? self.vault)
    }

    func findings(_ vault: VaultID? = nil) async throws -> [String] {
        try await report(vault).findings.map { "\($0.kind.rawValue) \($0.sequence.map(String.init) ?? "-")" }
    }

    func rows(_ statement: SQLStatement) async throws -> [SQLRow] {
        try await database.read { connection in try connection.rows(statement) }
    }
}

/// A house whose vault has a log of twelve records and nothing else, sealed.
func withLog<Result>(
    _ engine: TestEngine = .standard, records: Int = 12, _ body: (AuditHouse) async throws -> Result
) async throws -> Result {
    try await withHouse(engine, settings: JSONObject()) { house in
        let log = AuditHouse(house: house)
        try await log.append(records, in: house.vault.id)
        try await log.append(3, in: nil)
        try await log.seal()
        return try await body(log)
    }
}
