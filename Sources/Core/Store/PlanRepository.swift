// Plans that somebody edited or made; the shipped ones stand in the code.

import JSON
package import Model
package import SQL

package struct PlanRepository: Sendable {
    /// Plans of one's own at most, beside the shipped ones.
    package static let capacity = 50

    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Instance level: the shipped plans in their order, edited or not, then those of one's own by name.
    package func all() async throws -> [Plan] {
        try await database.read { connection in
            let edited = try connection.rows("SELECT name, definition, updated_at FROM plans ORDER BY name").map {
                Plan(try $0.text(0), stored: try $0.text(1), updatedAt: Timestamp(milliseconds: try $0.integer(2)))
            }
            let shipped = ShippedPlans.all.map { plan in edited.first { $0.name == plan.name } ?? plan }
            return shipped + edited.filter { ShippedPlans.plan($0.name) == nil }
        }
    }

    /// Instance level.
    package func find(_ name: String) async throws -> Plan? {
        try await database.read { connection in try connection.plan(name) }
    }

    /// Instance level: edits a plan, or makes one. It holds for every vault of the plan from now on.
    /// - Returns: false where the plan is new.
    /// - Throws: `conflict` where there are too many.
    package func set(_ plan: Plan, at now: Timestamp, audit: @escaping AuditMaker) async throws -> Bool {
        try await database.change(.vaults) { connection in
            let old = try connection.plan(plan.name)
            if old == nil {
                let count = Int(try connection.row("SELECT COUNT(*) FROM plans")?.integer(0) ?? 0)
                guard count < Self.capacity else {
                    throw PosternError(
                        .conflict, "there are \(count) plans already", fix: "Edit one of them, or delete one first.")
                }
            }
            let definition = String(decoding: JSONWriter.write(plan.definition), as: UTF8.self)
            try connection.send(
                """
                INSERT INTO plans (name, definition, updated_at)
                VALUES (\(plan.name), \(definition), \(now.milliseconds))
                ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, updated_at = excluded.updated_at
                """)
            try connection.record(audit("plan:\(plan.name)", old?.definition, plan.definition), in: nil)
            return old != nil
        }
    }

    /// Instance level: deletes a plan of one's own, or takes back what was edited in a shipped one.
    /// - Returns: false where there is no such plan.
    /// - Throws: `conflict` for a plan of one's own that vaults have.
    package func delete(_ name: String, audit: @escaping AuditMaker) async throws -> Bool {
        try await database.change(.vaults, unless: { !$0 }) { connection in
            guard let old = try connection.plan(name) else { return false }
            let shipped = ShippedPlans.plan(name)
            guard old != shipped else { return true }
            let row = try connection.row("SELECT COUNT(*) FROM vaults WHERE plan = \(name)")
            let vaults = shipped == nil ? try row?.integer(0) ?? 0 : 0
            guard vaults == 0 else {
                throw PosternError(
                    .conflict, "\(vaults) vaults have the plan \(name)", fix: "Give them another plan first.")
            }
            try connection.send("DELETE FROM plans WHERE name = \(name)")
            try connection.record(audit("plan:\(name)", old.definition, shipped?.definition), in: nil)
            return true
        }
    }
}

extension SQLConnection {
    /// As somebody edited it, else as it was shipped.
    func plan(_ name: String) throws -> Plan? {
        let edited = try row("SELECT definition, updated_at FROM plans WHERE name = \(name)").map {
            Plan(name, stored: try $0.text(0), updatedAt: Timestamp(milliseconds: try $0.integer(1)))
        }
        return edited ?? ShippedPlans.plan(name)
    }

    /// What a vault may have: its plan's limits, or what was set for it in their place.
    func limits(of vault: Vault) throws -> PlanLimits {
        vault.limits.applied(to: (try plan(vault.plan) ?? .unreadable(vault.plan)).limits)
    }

    /// Refuses, in the transaction that makes a key, one more agent than the vault's plan has room for. Two that are made at
    /// once wait for each other, where there is a limit.
    func checkRoomForAgent(in vault: VaultID, at now: Timestamp) throws {
        guard let found = try VaultRepository.find(vault, self) else { return }
        let limits = try limits(of: found)
        guard limits[.agents] != nil else { return }
        _ = try rows("SELECT id FROM vaults WHERE id = \(vault.text) /* lock */")
        try limits.checkRoom(for: .agents, beside: try agents(in: vault, at: now), plan: found.plan)
    }

    /// Agents in force: keys of this kind that neither ended nor were revoked. Keys that come from them are no further agents.
    func agents(in vault: VaultID, at now: Timestamp) throws -> Int {
        let row = try row(
            """
            SELECT COUNT(*) FROM smtp_relay_api_keys WHERE vault_id = \(vault.text) AND kind = 'agent' AND agent_id = id
                AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > \(now.milliseconds))
            """)
        return Int(try row?.integer(0) ?? 0)
    }
}

extension PlanLimits {
    /// - Parameter count: how many there are before.
    /// - Throws: `plan_limit_reached`.
    package func checkRoom(for limit: PlanLimit, beside count: Int, adding: Int = 1, plan: String) throws(PosternError)
    {
        guard let maximum = self[limit], count + adding > maximum else { return }
        throw PosternError(
            .planLimitReached,
            "the vault's plan \(plan) has room for \(maximum) \(limit.words), and \(count) are in use")
    }
}

extension PlanLimit {
    fileprivate var words: String {
        switch self {
        case .agents: "agents"
        case .users: "members"
        case .knowledgeBases: "knowledge bases"
        case .documentsPerBase: "documents in a knowledge base"
        case .storageBytes: "bytes of messages"
        case .tokensPerMonth: "tokens a month"
        case .callsPerMinute: "calls a minute"
        case .auditRetentionDays: "days of audit log"
        }
    }
}
