// The vaults of the instance: made, renamed, put to rest and ended by those who look after them, and seen by their members.
// Nothing of what is in a vault shows here.

import HTTPTypes
import Hummingbird
import JSON
import Model
import Outbox
import People
import Store
import Vaults

struct VaultController: Sendable {
    let vaults: VaultDirectory
    let sessions: SessionKeeper
    let signal: OutboxSignal

    var endpoints: [Endpoint] {
        [
            .instance(.get, "/api/vaults", .vaultRead, list),
            .instance(.post, "/api/vaults", .vaultCreate, create),
            .ofVault(.get, "/api/vaults/{id}", .vaultRead, show),
            .ofVault(.patch, "/api/vaults/{id}", .vaultRename, rename),
            .ofVault(.delete, "/api/vaults/{id}", .vaultDelete, delete),
            .ofVault(.post, "/api/vaults/{id}/suspend", .vaultSuspend, suspend),
            .ofVault(.post, "/api/vaults/{id}/resume", .vaultSuspend, resume),
            .ofVault(.post, "/api/vaults/{id}/archive", .vaultArchive, archive),
            .ofVault(.post, "/api/vaults/{id}/restore", .vaultArchive, restore),
            .ofVault(.put, "/api/vaults/{id}/plan", .vaultPlan, changePlan),
        ]
    }

    /// Admins see that there are others; members see theirs.
    @Sendable private func list(_ call: PersonCall) async throws -> Response {
        var query = Query(call.request)
        let page = query.page()
        try query.finish()
        let person = call.person
        let found = try await vaults.list(
            page: page, among: person.role >= .admin ? nil : Set(person.memberships.keys))
        return .list(found, limit: page.limit, cursor: \.slug) { vault, writer in
            writer.vault(vault, role: person.memberships[vault.id])
        }
    }

    /// Whoever makes a vault is its owner, unless they name somebody else.
    @Sendable private func create(_ call: PersonCall) async throws -> Response {
        var reader = try await call.form()
        let slug = reader.required("slug", reader.string("slug"))
        let name = reader.string("name")
        let plan = reader.string("plan")
        let owner = reader.string("owner")
        if let owner, UserID(owner) == nil { reader.problem("must be the id of a user", at: "owner") }
        reader.finish()
        guard reader.problems.isEmpty, let slug else { throw PosternError.validation(reader.problems) }
        let head = owner.flatMap { UserID($0) } ?? call.person.id
        let vault = try await vaults.create(
            slug: slug, name: name ?? slug, plan: plan ?? ShippedPlans.standard, owner: head,
            audit: call.audits(.vaultCreate))
        // What is remembered of the owner knows nothing of the new vault.
        sessions.forget([head])
        return .json(status: .created) { writer in writer.vault(vault, role: head == call.person.id ? .owner : nil) }
    }

    @Sendable private func show(_ call: PersonCall, _ vault: Vault) async throws -> Response { answer(vault, call) }

    @Sendable private func rename(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.form()
        for field in ["slug", "name"] where reader.isNull(field) { reader.problem("must not be null", at: field) }
        let (slug, name) = (reader.string("slug"), reader.string("name"))
        reader.finish()
        if reader.problems.isEmpty, slug == nil, name == nil { reader.problem("must hold slug or name") }
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        return answer(
            try await vaults.rename(vault.id, slug: slug, name: name, audit: call.audits(.vaultRename)), call)
    }

    @Sendable private func suspend(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.form()
        let reason = reader.required("reason", reader.string("reason"))
        reader.finish()
        guard reader.problems.isEmpty, let reason else { throw PosternError.validation(reader.problems) }
        return answer(try await vaults.suspend(vault.id, reason: reason, audit: call.audits(.vaultSuspend)), call)
    }

    @Sendable private func resume(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        try await call.checkNothingIsGiven()
        let resumed = try await vaults.resume(vault.id, audit: call.audits(.vaultSuspend))
        signal.announce()
        return answer(resumed, call)
    }

    @Sendable private func archive(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.optionalForm()
        let cancels = reader.bool("cancel_waiting") ?? false
        reader.finish()
        guard reader.problems.isEmpty else { throw PosternError.validation(reader.problems) }
        return answer(
            try await vaults.archive(vault.id, cancelling: cancels, audit: call.audits(.vaultArchive)), call)
    }

    @Sendable private func restore(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        try await call.checkNothingIsGiven()
        return answer(try await vaults.restore(vault.id, audit: call.audits(.vaultArchive)), call)
    }

    /// What the vault holds is taken away afterwards, so this is no more than accepted.
    @Sendable private func delete(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.optionalForm()
        let confirmation = reader.required("confirm", reader.string("confirm"))
        reader.finish()
        guard reader.problems.isEmpty, let confirmation else { throw PosternError.validation(reader.problems) }
        try await vaults.delete(vault.id, confirmation: confirmation, audit: call.audits(.vaultDelete))
        // What is remembered of its members still names it.
        try await sessions.forgetAll()
        return .json(status: .accepted) { writer in
            writer.object { writer in
                writer.member("id", vault.id.text)
                writer.member("slug", vault.slug)
                writer.member("state", VaultState.deleted.rawValue)
            }
        }
    }

    @Sendable private func changePlan(_ call: PersonCall, _ vault: Vault) async throws -> Response {
        var reader = try await call.form()
        let plan = reader.required("plan", reader.string("plan"))
        var limits: PlanLimitChanges?
        if var fields = reader.reader("limits") {
            limits = PlanLimitChanges(&fields)
            reader.adopt(fields.problems)
        }
        reader.finish()
        guard reader.problems.isEmpty, let plan else { throw PosternError.validation(reader.problems) }
        return answer(
            try await vaults.changePlan(vault.id, to: plan, limits: limits, audit: call.audits(.vaultPlan)), call)
    }

    private func answer(_ vault: Vault, _ call: PersonCall) -> Response {
        .json { writer in writer.vault(vault, role: call.person.memberships[vault.id]) }
    }
}

extension JSONWriter {
    /// - Parameter role: what the reader is in the vault.
    fileprivate mutating func vault(_ vault: Vault, role: VaultRole?) {
        object { writer in
            writer.member("id", vault.id.text)
            writer.member("slug", vault.slug)
            writer.member("name", vault.name)
            writer.member("state", vault.state.rawValue)
            writer.member("reason", vault.stateReason)
            writer.member("plan", vault.plan)
            writer.member("limits", vault.limits.json)
            writer.member("role", role?.rawValue)
            writer.member("created_at", vault.createdAt)
            writer.member("updated_at", vault.updatedAt)
        }
    }
}
