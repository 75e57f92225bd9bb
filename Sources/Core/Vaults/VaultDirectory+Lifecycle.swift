// How a vault comes, changes its state and goes. All of it is instance level, and written into the audit log of the instance
// and of the vault.

import JSON
package import Model
import SQL
import Sealing
package import Store

extension VaultDirectory {
    /// Makes a vault with a data key of its own. Whoever is given as its owner is a member of it by the same commit.
    /// - Throws: `validation_failed`, `conflict` for a slug that is taken, `not_found` for an owner who is none.
    package func create(
        slug: String,
        name: String,
        plan: String = ShippedPlans.standard,
        owner: UserID? = nil,
        audit: AuditMaker? = nil
    ) async throws -> Vault {
        try Self.check(slug: slug, name: name)
        let id: VaultID = ids.next()
        let vault = Vault(
            id: id, slug: slug, name: name,
            wrappedDataKey: try SealingKey.random().wrapped(by: masterKey, context: id.text), createdAt: clock.now(),
            plan: plan)
        try await Self.refusingTwins(slug) {
            try await vaults.insert(vault, owner: owner, audit: audit) { scene in
                try Self.checkFree(slug, scene)
                try Self.check(plan, scene)
            }
        }
        invalidate(id)
        return vault
    }

    /// Gives a vault another name or slug. Whoever names the vault by its old slug does not find it any more.
    package func rename(
        _ id: VaultID,
        slug: String?,
        name: String?,
        audit: @escaping AuditMaker
    ) async throws -> Vault {
        try Self.check(slug: slug, name: name)
        return try await change(id, audit) { vault, scene in
            var vault = vault
            if let slug, slug != vault.slug {
                try Self.checkFree(slug, scene)
                vault.slug = slug
            }
            vault.name = name ?? vault.name
            return vault
        }
    }

    /// Stops a vault's mail: nothing is accepted, and what waits stays where it is. Its deadlines go on.
    /// - Parameter reason: what callers and members are told, 1 to 500 characters.
    package func suspend(_ id: VaultID, reason: String, audit: @escaping AuditMaker) async throws -> Vault {
        let reason = try Self.checked(reason)
        return try await change(id, audit) { vault, _ in
            guard vault.state != .archived else { throw Self.archived }
            var vault = vault
            (vault.state, vault.stateReason) = (.suspended, reason)
            return vault
        }
    }

    /// Lets a suspended vault's mail go on; what waited is taken up at once.
    package func resume(_ id: VaultID, audit: @escaping AuditMaker) async throws -> Vault {
        let vault = try await change(id, audit) { vault, _ in
            guard vault.state != .archived else { throw Self.archived }
            var vault = vault
            (vault.state, vault.stateReason) = (.active, nil)
            return vault
        }
        database.announce(Announcement.outbox)
        return vault
    }

    /// Puts a vault away: its members can read it, and nothing in it changes.
    /// - Parameter cancels: whether messages that wait are cancelled; else they are a reason not to.
    /// - Throws: `conflict` where messages wait.
    package func archive(_ id: VaultID, cancelling cancels: Bool, audit: @escaping AuditMaker) async throws -> Vault {
        try await change(id, audit) { vault, scene in
            guard vault.state != .archived else { return vault }
            guard try cancels || !scene.hasWaitingMail(in: id) else {
                throw PosternError(
                    .conflict, "messages of the vault wait to be sent",
                    fix: "Wait until they have gone, or cancel them: {\"cancel_waiting\": true}.")
            }
            var vault = vault
            vault.state = .archived
            return vault
        }
    }

    /// Brings an archived vault back to how it stood before: a suspended one is suspended still.
    /// - Throws: `conflict` while messages of it are being cancelled.
    package func restore(_ id: VaultID, audit: @escaping AuditMaker) async throws -> Vault {
        try await change(id, audit) { vault, scene in
            guard vault.state == .archived else { return vault }
            guard try !scene.hasWaitingMail(in: id) else {
                throw PosternError(
                    .conflict, "messages of the vault are being cancelled still", fix: "Try again in a moment.",
                    retryAfter: 5)
            }
            var vault = vault
            vault.state = vault.stateReason == nil ? .active : .suspended
            return vault
        }
    }

    /// Ends a vault: nobody finds it from now on, and `Purge` deletes all that it holds. There is no way back.
    /// - Parameter confirmation: the vault's slug, as whoever deletes it wrote it.
    /// - Throws: `validation_failed` where that is another one, `conflict` for the last vault.
    package func delete(_ id: VaultID, confirmation: String, audit: @escaping AuditMaker) async throws {
        _ = try await change(id, audit) { vault, scene in
            guard confirmation == vault.slug else {
                throw PosternError.validation([
                    JSONProblem(pointer: "/confirm", message: "must be the vault's slug, \(vault.slug)")
                ])
            }
            guard try scene.others(than: id) > 0 else {
                throw PosternError(
                    .conflict, "this is the last vault, and without one the instance is of no use",
                    fix: "Make another vault first (POST /api/vaults).")
            }
            var vault = vault
            vault.state = .deleted
            return vault
        }
    }

    /// Gives a vault another plan, and limits in place of the plan's. What is there beyond them stays; nothing is added to it.
    /// - Parameter limits: all of the vault's own anew; `nil` leaves them as they are.
    package func changePlan(
        _ id: VaultID,
        to plan: String,
        limits: PlanLimitChanges? = nil,
        audit: @escaping AuditMaker
    ) async throws -> Vault {
        try await change(id, audit) { vault, scene in
            try Self.check(plan, scene)
            var vault = vault
            (vault.plan, vault.limits) = (plan, limits ?? vault.limits)
            return vault
        }
    }

    private func change(
        _ id: VaultID,
        _ audit: @escaping AuditMaker,
        _ body: @escaping @Sendable (Vault, VaultScene) throws -> Vault
    ) async throws -> Vault {
        let vault = try await vaults.change(id, at: clock.now(), audit: audit, body)
        invalidate(id)
        guard let vault else { throw PosternError(.notFound, "there is no such vault") }
        return vault
    }
}

// What has to hold.
extension VaultDirectory {
    private static let archived = PosternError(.vaultArchived, "the vault is archived, and nothing in it changes")

    private static func check(slug: String?, name: String?) throws(PosternError) {
        var problems: [JSONProblem] = []
        if let slug, !VaultSlug.isValid(slug) {
            let message = "must have 1 to 63 small letters, digits and hyphens, with a letter or digit at both ends"
            problems.append(JSONProblem(pointer: "/slug", message: message))
        } else if let slug, VaultSlug.reserved.contains(slug) {
            problems.append(JSONProblem(pointer: "/slug", message: "\"\(slug)\" means something else"))
        }
        if let name, !isLine(name, upTo: 100) {
            problems.append(JSONProblem(pointer: "/name", message: "must have 1 to 100 characters in one line"))
        }
        guard problems.isEmpty else { throw .validation(problems) }
    }

    private static func checked(_ reason: String) throws(PosternError) -> String {
        guard isLine(reason, upTo: 500) else {
            throw .validation([
                JSONProblem(pointer: "/reason", message: "must have 1 to 500 characters in one line")
            ])
        }
        return reason
    }

    /// Something to read: a reason also stands in one line of an SMTP reply.
    private static func isLine(_ text: String, upTo limit: Int) -> Bool {
        let scalars = text.unicodeScalars
        let breaking: Set<Unicode.GeneralCategory> = [.control, .lineSeparator, .paragraphSeparator, .unassigned]
        return (1...limit).contains(scalars.count) && scalars.contains { !$0.properties.isWhitespace }
            && scalars.allSatisfy {
                !breaking.contains($0.properties.generalCategory) && !$0.properties.isBidiControl
            }
    }

    private static func checkFree(_ slug: String, _ scene: VaultScene) throws {
        guard let state = try scene.state(ofSlug: slug) else { return }
        guard state == .deleted else { throw taken(slug) }
        throw PosternError(
            .conflict, "the slug \(slug) belongs to a vault that is being deleted",
            fix: "Try again when it is gone, or choose another slug.", retryAfter: 30)
    }

    private static func check(_ plan: String, _ scene: VaultScene) throws {
        guard try !scene.hasPlan(plan) else { return }
        throw PosternError.validation([
            JSONProblem(pointer: "/plan", message: "there is no plan \"\(plan.prefix(64))\"; GET /api/plans lists them")
        ])
    }

    private static func taken(_ slug: String) -> PosternError {
        PosternError(.conflict, "there is a vault \(slug) already", fix: "Choose another slug.")
    }

    private static func refusingTwins<Value>(_ slug: String, _ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as SQLError where error.code == .constraint {
            throw taken(slug)
        }
    }
}
