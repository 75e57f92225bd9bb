// A key as a row: lists are JSON in a column.

import JSON
import Model
import SQL

extension APIKey {
    static let columns: SQLStatement = """
        id, vault_id, prefix, digest, label, kind, scopes, read_only, sender_domains, created_at, expires_at, revoked_at,
        last_used_at, parent_id, agent_id, label_prefix, allowed_ips, rate_limits, ip_pool, temporary,
        (SELECT MAX(ends_at) FROM retiring_key_texts WHERE retiring_key_texts.key_id = smtp_relay_api_keys.id)
        """

    init(row: SQLRow) throws {
        func time(_ index: Int) throws -> Timestamp? {
            try row.optionalInteger(index).map(Timestamp.init(milliseconds:))
        }
        func list<Element: SettingElement>(_ index: Int) throws -> [Element]? {
            try row.optionalText(index).map { try [Element](json: JSONParser.parse($0)) }
        }
        self.init(
            id: KeyID(stored: try row.text(0)), vault: VaultID(stored: try row.text(1)), prefix: try row.text(2),
            digest: try row.blob(3), label: try row.text(4), kind: Kind(rawValue: try row.text(5)) ?? .tool,
            scopes: Scopes(stored: try row.text(6)), isReadOnly: try row.bool(7), senderDomains: try list(8),
            createdAt: Timestamp(milliseconds: try row.integer(9)), expiresAt: try time(10), revokedAt: try time(11),
            lastUsedAt: try time(12))
        parent = try row.optionalText(13).map(KeyID.init(stored:))
        agent = try row.optionalText(14).map(KeyID.init(stored:))
        labelPrefix = try row.optionalText(15)
        allowedIPs = try list(16)
        limits = try row.optionalText(17).map(Self.limits) ?? []
        ipPool = try row.optionalText(18)
        isTemporary = try row.bool(19)
        retiringUntil = try time(20)
    }

    private static func limits(_ column: String) throws -> [KeyRateLimit] {
        guard let elements = try JSONParser.parse(column).arrayValue else {
            throw SQLError(.unexpectedValue, "the limits of a key are not a JSON array")
        }
        // A limit that cannot be read must not become no limit.
        return try elements.map { element in
            let range = 1...Int64(RateLimit.maximum)
            guard let limit = element.objectValue, let key = limit["key"]?.stringValue,
                let perHour = limit["per_hour"]?.integerValue, range.contains(perHour),
                let burst = limit["burst"]?.integerValue, range.contains(burst)
            else { throw SQLError(.unexpectedValue, "a limit of a key cannot be read") }
            return KeyRateLimit(
                key: KeyID(stored: key), limit: RateLimit(perHour: Int(perHour), burst: Int(burst)))
        }
    }

    fileprivate var storedLimits: String? {
        guard !limits.isEmpty else { return nil }
        return StoredColumn.text(
            .array(
                limits.map { limit in
                    .object(
                        JSONObject([
                            "key": .string(limit.key.text), "per_hour": .integer(Int64(limit.limit.perHour)),
                            "burst": .integer(Int64(limit.limit.burst)),
                        ]))
                }))
    }
}

extension SQLConnection {
    func insert(_ key: APIKey) throws(SQLError) {
        let domains = key.senderDomains.map { StoredColumn.text($0.json) }
        let networks = key.allowedIPs.map { StoredColumn.text($0.json) }
        try send(
            """
            INSERT INTO smtp_relay_api_keys (id, vault_id, prefix, digest, label, kind, scopes, read_only, sender_domains,
                created_at, expires_at, parent_id, agent_id, label_prefix, allowed_ips, rate_limits, ip_pool, temporary)
            VALUES (\(key.id.text), \(key.vault.text), \(key.prefix), \(key.digest), \(key.label), \(key.kind.rawValue),
                \(key.scopes.stored), \(key.isReadOnly), \(domains), \(key.createdAt.milliseconds),
                \(key.expiresAt?.milliseconds), \(key.parent?.text), \(key.agent?.text), \(key.labelPrefix), \(networks),
                \(key.storedLimits), \(key.ipPool), \(key.isTemporary))
            """)
    }
}

/// A JSON document in a column.
enum StoredColumn {
    static func text(_ value: JSONValue) -> String { String(decoding: JSONWriter.write(value), as: UTF8.self) }
}

/// Things whose label begins with a text, byte by byte.
enum LabelPrefix {
    static func condition(_ prefix: String?) -> SQLStatement {
        guard let prefix else { return "1 = 1" }
        return "substr(label, 1, length(\(prefix))) = \(prefix)"
    }
}
