// How vaults come, change and go. Each change is judged inside its transaction, and changes of vaults wait for each other.

import JSON
package import Model
import SQL

/// What a change of a vault is judged by, beside the vault: asked for inside the transaction.
package struct VaultScene {
    fileprivate let connection: any SQLConnection

    /// Vaults beside this one that are not being deleted.
    package func others(than vault: VaultID) throws -> Int {
        let row = try connection.row(
            "SELECT COUNT(*) FROM vaults WHERE state <> 'deleted' AND id <> \(vault.text)")
        return Int(try row?.integer(0) ?? 0)
    }

    /// Whether messages of the vault wait to be sent.
    package func hasWaitingMail(in vault: VaultID) throws -> Bool {
        try connection.row(
            """
            SELECT 1 FROM smtp_relay_logs WHERE vault_id = \(vault.text) AND status IN ('scheduled', 'queued') LIMIT 1
            """) != nil
    }

    package func hasPlan(_ name: String) throws -> Bool { try connection.plan(name) != nil }

    /// How the vault that has a slug stands; `nil` for a free one.
    package func state(ofSlug slug: String) throws -> VaultState? {
        try connection.row("SELECT \(VaultRepository.columns) FROM vaults WHERE slug = \(slug)")
            .map(VaultRepository.vault)?.state
    }
}

extension VaultRepository {
    /// Instance level: makes a tenant, with its first owner.
    /// - Parameter judge: throws where it must not be.
    /// - Throws: `not_found` where there is no such owner, or the account is disabled; `SQLError` with `.constraint` for a slug
    ///   that is taken.
    package func insert(
        _ vault: Vault,
        owner: UserID? = nil,
        audit: AuditMaker? = nil,
        _ judge: @escaping @Sendable (VaultScene) throws -> Void = { _ in }
    ) async throws {
        try await database.change(.vaults) { connection in
            // What is remembered of people holds their memberships.
            try connection.raise(.people, by: owner == nil ? 0 : 1)
            try judge(VaultScene(connection: connection))
            try connection.execute(
                """
                INSERT INTO vaults (\(Self.columns)) VALUES (\(vault.id.text), \(vault.slug), \(vault.name),
                    \(vault.wrappedDataKey), \(vault.createdAt.milliseconds), \(vault.state.rawValue), \(vault.stateReason),
                    \(vault.plan), \(Self.text(vault.limits)), \(vault.updatedAt.milliseconds))
                """)
            var document = vault.document
            document["owner"] = owner.map { .string($0.text) }
            if let audit { try connection.record(vault.id, nil, document, audit) }
            guard let owner else { return }
            guard let user = try connection.user(owner), user.isActive else {
                throw PosternError(.notFound, "there is no such user, or the account is disabled")
            }
            let membership = Membership(vault: vault.id, user: owner, role: .owner, createdAt: vault.createdAt)
            try connection.put(membership)
            if let audit { try connection.record(nil, membership, user.email, audit) }
        }
    }

    /// Changes what stands in the vault's own row, and writes that down in the vault's chain and in the instance's.
    /// - Parameter change: makes of the vault as it is what it becomes; throws where it must not be.
    /// - Returns: the vault as it is now; `nil` where there is none, or it is being deleted.
    package func change(
        _ id: VaultID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ change: @escaping @Sendable (Vault, VaultScene) throws -> Vault
    ) async throws -> Vault? {
        let (vault, _) = try await database.change(.vaults, unless: { !$0.isChanged }) {
            connection -> (vault: Vault?, isChanged: Bool) in
            try connection.raise(.people, by: 0)
            guard let old = try Self.find(id, connection), old.state != .deleted else { return (nil, false) }
            var new = try change(old, VaultScene(connection: connection))
            guard new.document != old.document else { return (old, false) }
            new.updatedAt = now
            try connection.execute(
                """
                UPDATE vaults SET slug = \(new.slug), name = \(new.name), state = \(new.state.rawValue),
                    state_reason = \(new.stateReason), plan = \(new.plan), limits = \(Self.text(new.limits)),
                    updated_at = \(now.milliseconds)
                WHERE id = \(id.text)
                """)
            try connection.record(id, old.document, new.document, audit)
            // What is remembered of its members still names it.
            if new.state == .deleted { try connection.raise(.people, by: 1) }
            return (new, true)
        }
        return vault
    }

    private static func text(_ limits: PlanLimitChanges) -> String? {
        limits.values.isEmpty ? nil : String(decoding: JSONWriter.write(limits.json), as: UTF8.self)
    }
}

extension Vault {
    /// What the audit log keeps of it.
    var document: JSONObject {
        JSONObject([
            "slug": .string(slug), "name": .string(name), "state": .string(state.rawValue),
            "reason": stateReason.map(JSONValue.string) ?? .null, "plan": .string(plan), "limits": limits.json,
        ])
    }
}

extension SQLConnection {
    /// Writes a change of a vault into its own chain and into the instance's: the members see what was done to their vault, and
    /// whoever looks after vaults sees it still when the vault is gone. Whoever does this holds the counter of people:
    /// see `AuditRepository.append`.
    fileprivate func record(_ id: VaultID, _ before: JSONObject?, _ after: JSONObject, _ audit: AuditMaker) throws {
        for chain in [id, nil] {
            try record(audit(id.text, before.map(JSONValue.object), .object(after)), in: chain)
        }
    }
}
