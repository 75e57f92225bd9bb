// What the suites about moving need: two databases, an instance with a row in every table, and a connection that breaks.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import Synchronization
import TestSupport
import Vaults

/// Two databases of their own: one with the schema, one empty.
func withTwoDatabases(
    _ first: TestEngine,
    _ second: TestEngine,
    _ body: (_ source: any SQLDatabase, _ target: any SQLDatabase) async throws -> Void
) async throws {
    try await Turnstile.databases.pass {
        try await withTemporaryDirectory { one in
            try await withTemporaryDirectory { other in
                let source = try await first.open(one)
                let target = try await second.open(other)
                let result: Result<Void, any Error>
                do {
                    try await Migrator(database: source.database).migrate()
                    result = .success(try await body(source.database, target.database))
                } catch {
                    result = .failure(error)
                }
                await source.database.close()
                await target.database.close()
                try await source.discard()
                try await target.discard()
                try result.get()
            }
        }
    }
}

extension InstanceMover {
    init(
        _ source: any SQLDatabase,
        _ target: (any SQLDatabase)?,
        at clock: any WallClock = ManualClock(),
        isHeld: Bool = false,
        rows: Int = 2_000,
        bytes: Int = 8 << 20,
        onProgress: @escaping @Sendable (Progress) -> Void = { _ in }
    ) {
        var limits = Limits()
        (limits.rows, limits.bytes) = (rows, bytes)
        self.init(
            from: Side(source, isHeld: isHeld), to: target.map { Side($0, isHeld: false) }, clock: clock,
            limits: limits, onProgress: onProgress)
    }
}

/// An instance with rows in every table that moves, and with values that engines could take for something else.
@discardableResult
func makeInstance(_ database: any SQLDatabase, messages: Int = 7) async throws -> TestHouse {
    let house = try await TestHouse(database: database)
    try await house.vaults.change(JSONObject(["smarthost_password": .string("geheim")]), in: house.vault.id)
    _ = try await house.neighbour()
    for number in 0..<messages {
        try await house.accept { sample in
            sample.recipients = ["ann@example.net", "bob\(number)@example.net"]
            sample.subject = ["Grüße, 世界 \u{1F600}", "", nil, "it's \"quoted\" \\ ; -- $1 ?", " \t\n"][number % 5]
            sample.payload = number == 0 ? [] : Array("\u{0}body \(number)".utf8) + [0xFF, 0x00, 0x80]
            sample.priority = -number
            sample.tags = ["a", "ä"]
            sample.metadata = number.isMultiple(of: 2) ? "{\"k\":\"v\\u0000\"}" : nil
            sample.idempotency = ("order-\(number)", [UInt8](repeating: 7, count: 32))
        }
    }
    let vault = house.vault.id.text
    let message = try await house.accept()[0].text
    let statements: [SQLStatement] = [
        """
        INSERT INTO smtp_relay_api_keys (id, vault_id, prefix, digest, label, kind, scopes, read_only, created_at)
        VALUES ('key_1', \(vault), 'ak_1', \([UInt8]([1, 2])), 'l', 'tool', 'send', 1, \(Int64.max))
        """,
        """
        INSERT INTO smtp_relay_users (id, vault_id, username, label, password_hash, created_at, last_used_at)
        VALUES ('smtp_1', \(vault), 'u', 'l', 'h', \(Int64.min), 0)
        """,
        """
        INSERT INTO mailerq_ip_pools (id, vault_id, domain, pool, ips, created_at, updated_at)
        VALUES ('pool_1', \(vault), 'example.com', 'p', '["192.0.2.1"]', 1, 2)
        """,
        """
        INSERT INTO message_events (message_id, id, vault_id, type, at, attempt, origin)
        VALUES (\(message), 'evt_1', \(vault), 'deferred', 3, 1, '1.1')
        """,
        """
        INSERT INTO failures (message_id, vault_id, code, enhanced_code, domain, route, reason, failed_at)
        VALUES (\(message), \(vault), 550, '5.1.1', 'example.net', 'smarthost', 'no such user', 4)
        """,
        """
        INSERT INTO orphan_results (id, queue, reason, reference, recipient_domain, code, body, received_at)
        VALUES ('orp_1', 'failure', 'unknown', NULL, 'example.net', NULL, \([UInt8](0...255)), 5),
            ('orp_2', 'failure', 'unknown', NULL, NULL, NULL, NULL, 6)
        """,
        """
        INSERT INTO alerts (id, vault_id, kind, subject, detail, began_at, opened_at)
        VALUES ('alr_1', NULL, 'database', 's', 'd', 1, 2)
        """,
        """
        INSERT INTO retiring_key_texts (prefix, key_id, digest, ends_at) VALUES ('ak_0', 'key_1', \([UInt8]([3])), 9)
        """,
        """
        INSERT INTO rate_buckets (vault_id, bucket, level, per_hour, burst, updated_at)
        VALUES (\(vault), 'vault', \(Int64.max), 1, 1, 7)
        """,
        """
        INSERT INTO runaway_cuts (vault_id, caller_id, caller_label, reason, cuts, detail, first_at, last_at)
        VALUES (\(vault), 'key_1', 'l', 'mail_loop', 3, 'd', 1, 2)
        """,
    ]
    let people: [SQLStatement] = [
        """
        INSERT INTO users (id, email, email_key, name, role, is_active, password_hash, totp_secret, totp_step, created_at,
            updated_at)
        VALUES ('usr_1', 'Ann@example.com', 'ann@example.com', 'Ann ä', 'owner', 1, 'h', \([UInt8]([0, 255])), 9, 1, 2),
            ('usr_2', 'bob@example.com', 'bob@example.com', '', 'viewer', 0, NULL, NULL, NULL, 1, 2)
        """,
        "INSERT INTO recovery_codes (user_id, digest, used_at) VALUES ('usr_1', \([UInt8]([4])), NULL)",
        """
        INSERT INTO user_identities (issuer, subject, user_id, created_at) VALUES ('https://id.example', 's', 'usr_2', 1)
        """,
        """
        INSERT INTO memberships (vault_id, user_id, role, source, created_at, updated_at)
        VALUES (\(vault), 'usr_1', 'owner', 'people', 1, 2), (\(vault), 'usr_2', 'viewer', 'groups', 1, 2)
        """,
        """
        INSERT INTO sessions (id, user_id, digest, method, created_at, authenticated_at, last_used_at, expires_at)
        VALUES ('ses_1', 'usr_1', \([UInt8]([5])), 'second_factor', 1, 2, 3, \(Int64.max))
        """,
        """
        INSERT INTO refresh_tokens (digest, session_id, created_at, expires_at, used_at)
        VALUES (\([UInt8]([6])), 'ses_1', 1, 2, NULL)
        """,
        """
        INSERT INTO one_time_tokens (digest, purpose, user_id, detail, created_at, expires_at)
        VALUES (\([UInt8]([7])), 'password', 'usr_1', '{"a":1}', 1, 2)
        """,
        """
        INSERT INTO invitations (id, digest, email, email_key, role, grants, invited_by, vault_id, created_at, expires_at)
        VALUES ('inv_1', \([UInt8]([8])), 'c@example.com', 'c@example.com', 'member', '[]', 'usr_1', \(vault), 1, 2)
        """,
        "INSERT INTO barred_people (digest, person, created_at) VALUES (\([UInt8]([9])), \([UInt8]([1])), 1)",
        "INSERT INTO sign_in_attempts (subject, failures, window_at) VALUES ('account:x@example.com', 3, 4)",
        "INSERT INTO plans (name, definition, updated_at) VALUES ('free', '{}', 1)",
        """
        INSERT INTO vault_usage (vault_id, metric, period, value, updated_at)
        VALUES (\(vault), 'messages', '2026-11', \(Int64.max), 1)
        """,
        "INSERT INTO instance_keys (name, wrapped, created_at) VALUES ('data', \([UInt8](0...31)), 1)",
        """
        INSERT INTO audit_seals (chain, sequence, kind, digest, at, seal)
        VALUES (\(vault), 1, 'head', \([UInt8]([1])), 2, \([UInt8]([3])))
        """,
        """
        INSERT INTO alert_rules (id, vault_id, condition, definition, is_enabled, created_at, updated_at)
        VALUES ('rul_1', NULL, 'bounce_rate', '{}', 1, 1, 2), ('rul_2', \(vault), 'bounce_rate', '{}', 0, 1, 2)
        """,
    ]
    try await database.write { connection in for statement in statements + people { try connection.execute(statement) }
    }
    return house
}

/// Every row of the tables that move, column by column in the order of their names.
func contents(_ database: any SQLDatabase) async throws -> [String: [[SQLValue]]] {
    try await database.read { connection in
        var contents: [String: [[SQLValue]]] = [:]
        for table in InstanceTables.moved.map(\.name) {
            let columns = try connection.columns(of: table)
            let names = columns.map(\.name).sorted().joined(separator: ", ")
            let key = columns.filter { $0.keyPosition != nil }.map(\.name).joined(separator: ", ")
            contents[table] = try connection.rows(
                SQLStatement(stringLiteral: "SELECT \(names) FROM \(table) ORDER BY \(key)")
            ).map(\.values)
        }
        return contents
    }
}

/// Takes a number of writes, then fails; before or after the write that it fails.
final class BreakingDatabase: SQLDatabase {
    private let real: any SQLDatabase
    private let left: Mutex<Int>
    private let failsAfterCommit: Bool
    private let onWrite: @Sendable (_ left: Int) async throws -> Void

    init(
        _ real: any SQLDatabase,
        writes: Int,
        failsAfterCommit: Bool = false,
        onWrite: @escaping @Sendable (_ left: Int) async throws -> Void = { _ in }
    ) {
        self.real = real
        left = Mutex(writes)
        self.failsAfterCommit = failsAfterCommit
        self.onWrite = onWrite
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (any SQLConnection) throws -> Value) async throws -> Value {
        try await real.read(body)
    }

    func write<Value: Sendable>(
        cost: Int,
        _ body: @escaping @Sendable (any SQLConnection) throws -> Value
    ) async throws -> Value {
        let left = left.withLock { left in
            left -= 1
            return left
        }
        try await onWrite(left)
        guard left < 0 else { return try await real.write(cost: cost, body) }
        if failsAfterCommit { _ = try await real.write(cost: cost, body) }
        throw SQLError(.unavailable, "the connection broke")
    }

    func announce(_ topic: String) { real.announce(topic) }

    func announcements() -> AsyncStream<String> { real.announcements() }

    var isShared: Bool { real.isShared }

    var name: String { real.name }

    func close() async { await real.close() }
}
