// The numbers of a plan: how much of each thing a vault may have. What has no number is not limited.

package import JSON

package enum PlanLimit: String, Hashable, Sendable, CaseIterable {
    /// Keys of the kind `agent` that are in force.
    case agents
    /// Members of the vault.
    case users
    case knowledgeBases = "knowledge_bases"
    case documentsPerBase = "documents_per_base"
    /// Bytes of the messages that the vault keeps.
    case storageBytes = "storage_bytes"
    /// Tokens of language models.
    case tokensPerMonth = "tokens_per_month"
    /// Requests over HTTP.
    case callsPerMinute = "api_calls_per_minute"
    /// Days that the vault's audit log is kept.
    case auditRetentionDays = "audit_retention_days"
}

package struct PlanLimits: Hashable, Sendable {
    private var values: [PlanLimit: Int]

    package init(_ values: [PlanLimit: Int] = [:]) { self.values = values }

    /// `nil`: not limited.
    package subscript(limit: PlanLimit) -> Int? {
        get { values[limit] }
        set { values[limit] = newValue }
    }

    /// Nothing of anything: what holds where the true limits cannot be read.
    package static let none = PlanLimits(Dictionary(uniqueKeysWithValues: PlanLimit.allCases.map { ($0, 0) }))

    /// Each limit by name, `null` where there is none.
    package var json: JSONValue {
        var object = JSONObject()
        for limit in PlanLimit.allCases { object[limit.rawValue] = self[limit].json }
        return .object(object)
    }
}

/// What a vault has in its plan's place, limit by limit.
package struct PlanLimitChanges: Hashable, Sendable {
    /// A member that is `nil`: not limited, whatever the plan says.
    package private(set) var values: [PlanLimit: Int?]

    package init(_ values: [PlanLimit: Int?] = [:]) { self.values = values }

    package func applied(to limits: PlanLimits) -> PlanLimits {
        var limits = limits
        for (limit, value) in values { limits[limit] = value }
        return limits
    }

    /// The limits that are changed, by name.
    package var json: JSONValue {
        var object = JSONObject()
        for limit in PlanLimit.allCases {
            if let value = values[limit] { object[limit.rawValue] = value.json }
        }
        return .object(object)
    }
}

extension PlanLimitChanges {
    /// JSON's readers elsewhere keep integers up to 2^53 exactly.
    private static let most = Int64(1) << 53
    /// Of the audit log nobody takes away what is younger than this, not even who decides about limits.
    private static let leastAuditDays = Int64(30)

    /// Reads `{"users": 10, "agents": null}`. What is wrong becomes a problem of the reader.
    package init(_ reader: inout JSONReader) {
        var values: [PlanLimit: Int?] = [:]
        for limit in PlanLimit.allCases {
            let name = limit.rawValue
            if let number = reader.integer(name) {
                let least = limit == .auditRetentionDays ? Self.leastAuditDays : 0
                guard number >= least, number <= Self.most else {
                    reader.problem("must be \(least) to \(Self.most), or null for no limit", at: name)
                    continue
                }
                values.updateValue(Int(number), forKey: limit)
            } else if reader.isNull(name) {
                values.updateValue(nil, forKey: limit)
            }
        }
        reader.finish()
        self.values = values
    }

    /// What a database holds. A known limit that cannot be read is 0, for it must not become no limit; unknown ones are left
    /// out, for a newer program may have written them.
    init(stored text: String) {
        guard let object = try? JSONParser.parse(text).objectValue else {
            self = PlanLimitChanges(PlanLimit.allCases.reduce(into: [:]) { $0[$1] = 0 })
            return
        }
        var values: [PlanLimit: Int?] = [:]
        for limit in PlanLimit.allCases {
            guard let value = object[limit.rawValue] else { continue }
            values.updateValue(value == .null ? nil : Int(max(value.integerValue ?? 0, 0)), forKey: limit)
        }
        self.values = values
    }
}

extension Int? {
    fileprivate var json: JSONValue { map { .integer(Int64($0)) } ?? .null }
}
