// How vaults come, change their state and go, who is told, and what stands in the audit log of both chains.

import CoreTestSupport
import JSON
import Model
import SQL
import Store
import TestSupport
import Testing
import Vaults

@Suite("Vault lifecycle")
struct LifecycleTests {
    @Test(
        "a vault comes with its owner in one commit, and both chains say so", arguments: TestEngine.all)
    func creation(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let owner = try await house.user("ann@example.com")
            let vault = try await house.vaults.create(
                slug: "sales", name: "Sales", plan: "team", owner: owner.id, audit: house.audit(as: "vault.create"))
            #expect(try await house.vaults.find("sales")?.id == vault.id)
            #expect(try await house.vaults.find(vault.id.text)?.slug == "sales")
            #expect(try await house.vaults.standing(of: vault.id).plan == "team")
            let member = try await MembershipRepository(database: house.database).find(owner.id, in: vault.id)
            #expect(member?.membership.role == .owner && member?.membership.source == .people)
            #expect(try await house.actions(in: "instance", of: vault.id.text) == ["vault.create"])
            #expect(try await house.actions(in: vault.id.text, of: vault.id.text) == ["vault.create"])
            #expect(try await house.actions(in: vault.id.text, of: owner.id.text) == ["member.write"])
        }
    }

    @Test("an owner who is nobody, or is disabled, makes no vault", arguments: TestEngine.all)
    func noOwner(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let disabled = try await house.user("bob@example.com", isActive: false)
            for owner in [disabled.id, house.ids.next()] {
                let error = await #expect(throws: PosternError.self) {
                    _ = try await house.vaults.create(
                        slug: "sales", name: "Sales", owner: owner, audit: house.audit(as: "vault.create"))
                }
                #expect(error?.code == .notFound)
            }
            #expect(try await house.vaults.find("sales") == nil)
            #expect(try await house.database.count("vaults") == 1)
            #expect(try await house.actions(in: "instance", like: "vault.").isEmpty)
        }
    }

    @Test("people's memberships are out of date with a new vault: both counters are raised")
    func counters() async throws {
        try await withHouse { house in
            let owner = try await house.user("ann@example.com")
            let before = try await ChangeCounters(database: house.database).all()
            _ = try await house.vaults.create(
                slug: "sales", name: "Sales", owner: owner.id, audit: house.audit(as: "vault.create"))
            let after = try await ChangeCounters(database: house.database).all()
            #expect(after[.people, default: 0] == before[.people, default: 0] + 1)
            #expect(after[.vaults, default: 0] == before[.vaults, default: 0] + 1)
        }
    }

    @Test(
        "a slug that could be mistaken for something else is none",
        arguments: [
            "", "Sales", "sa les", "-sales", "sales-", "sälés", "sales_eu", "sales.eu", "a/b", "a\n",
            "vlt_01jd3k8x5v9q2m7f",
            String(repeating: "a", count: 64), "instance", "all", "\u{212A}", "ſ", "a\u{0}",
        ])
    func badSlugs(_ slug: String) async throws {
        try await withHouse { house in
            let error = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.create(slug: slug, name: "x", audit: house.audit(as: "vault.create"))
            }
            #expect(error?.code == .validationFailed && error?.problems.map(\.pointer) == ["/slug"])
            let found = try await house.vaults.find(slug)
            #expect(found == nil)
        }
    }

    @Test(
        "a name or a reason is one line that can be read",
        arguments: ["", " ", "a\r\nb", "a\u{85}b", "a\u{2028}b", "a\u{202E}b", "a\u{0}"])
    func badLines(_ text: String) async throws {
        try await withHouse { house in
            let audit = house.audit(as: "vault.rename")
            let name = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.rename(house.vault.id, slug: nil, name: text, audit: audit)
            }
            #expect(name?.problems.map(\.pointer) == ["/name"])
            let reason = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.suspend(house.vault.id, reason: text, audit: audit)
            }
            #expect(reason?.problems.map(\.pointer) == ["/reason"])
        }
    }

    /// Seed 004, 4.b 22: slugs were compared with ids, so that two could be the same.
    @Test("a slug is taken once, also by two at the same moment", arguments: TestEngine.all)
    func twins(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let made = await withTaskGroup { group in
                for _ in 0..<6 {
                    group.addTask {
                        do {
                            _ = try await house.vaults.create(
                                slug: "sales", name: "Sales", audit: house.audit(as: "vault.create"))
                            return 1
                        } catch {
                            #expect((error as? PosternError)?.code == .conflict)
                            return 0
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            let count = try await house.database.count("vaults", where: "slug = 'sales'")
            #expect(made == 1 && count == 1)
            let error = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.rename(
                    house.vault.id, slug: "sales", name: nil, audit: house.audit(as: "vault.rename"))
            }
            #expect(error?.code == .conflict)
        }
    }

    @Test("a renamed vault is found by its new slug only, and keeps its settings", arguments: TestEngine.all)
    func renaming(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            #expect(try await house.vaults.find("default")?.id == house.vault.id)
            let renamed = try await house.vaults.rename(
                house.vault.id, slug: "main", name: "Main office", audit: house.audit(as: "vault.rename"))
            #expect(renamed.slug == "main" && renamed.name == "Main office")
            #expect(try await house.vaults.find("default") == nil)
            #expect(try await house.vaults.find("main")?.id == house.vault.id)
            #expect(try await house.vaults.settings(of: house.vault.id).value(Settings.route) == .smarthost)
            let again = try await house.vaults.rename(
                house.vault.id, slug: "main", name: nil, audit: house.audit(as: "vault.rename"))
            #expect(again.updatedAt == renamed.updatedAt)
            // What changed nothing is no record.
            #expect(try await house.actions(in: "instance", of: house.vault.id.text) == ["vault.rename"])
            #expect(try await house.actions(in: house.vault.id.text, of: house.vault.id.text) == ["vault.rename"])
        }
    }

    @Test("a suspension is known at once, with its reason, and ends with the resumption", arguments: TestEngine.all)
    func suspension(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (id, audit) = (house.vault.id, house.audit(as: "vault.suspend"))
            #expect(try await house.vaults.standing(of: id) == .unlimited)
            _ = try await house.vaults.suspend(id, reason: "bounces", audit: audit)
            let standing = try await house.vaults.standing(of: id)
            #expect(standing.state == .suspended && standing.reason == "bounces")
            #expect(try await house.vaults.snapshot(of: id).standing == standing)
            _ = try await house.vaults.suspend(id, reason: "bounces, still", audit: audit)
            #expect(try await house.vaults.standing(of: id).reason == "bounces, still")
            _ = try await house.vaults.resume(id, audit: audit)
            #expect(try await house.vaults.standing(of: id) == .unlimited)
            _ = try await house.vaults.resume(id, audit: audit)
            #expect(try await house.actions(in: "instance", of: id.text).count == 3)
        }
    }

    @Test("a resumption tells the dispatchers", .timeLimit(.minutes(5)))
    func wakes() async throws {
        try await withHouse { house in
            let heard = house.database.announcements()
            _ = try await house.vaults.suspend(house.vault.id, reason: "x", audit: house.audit(as: "vault.suspend"))
            _ = try await house.vaults.resume(house.vault.id, audit: house.audit(as: "vault.suspend"))
            for await topic in heard where topic == Announcement.outbox { break }
        }
    }

    @Test("mail that waits keeps a vault from the archive, unless it is to be cancelled", arguments: TestEngine.all)
    func archiving(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (id, audit) = (house.vault.id, house.audit(as: "vault.archive"))
            try await house.accept()
            let error = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.archive(id, cancelling: false, audit: audit)
            }
            #expect(error?.code == .conflict)
            #expect(try await house.vaults.standing(of: id).state == .active)
            _ = try await house.vaults.archive(id, cancelling: true, audit: audit)
            #expect(try await house.vaults.standing(of: id).state == .archived)
            let early = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.restore(id, audit: audit)
            }
            #expect(early?.code == .conflict && early?.retryAfter != nil)
            for change in [
                house.vaults.resume(_:audit:), { try await house.vaults.suspend($0, reason: "x", audit: $1) },
            ] {
                let error = await #expect(throws: PosternError.self) { _ = try await change(id, audit) }
                #expect(error?.code == .vaultArchived)
            }
        }
    }

    @Test("a vault that was suspended comes back from the archive suspended")
    func restoring() async throws {
        try await withHouse { house in
            let (id, audit) = (house.vault.id, house.audit(as: "vault.archive"))
            _ = try await house.vaults.archive(id, cancelling: false, audit: audit)
            #expect(try await house.vaults.restore(id, audit: audit).state == .active)
            _ = try await house.vaults.suspend(id, reason: "unpaid", audit: audit)
            _ = try await house.vaults.archive(id, cancelling: false, audit: audit)
            let restored = try await house.vaults.restore(id, audit: audit)
            #expect(restored.state == .suspended && restored.stateReason == "unpaid")
        }
    }

    @Test("deleting wants the slug, and leaves one vault", arguments: TestEngine.all)
    func deleting(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let (id, audit) = (house.vault.id, house.audit(as: "vault.delete"))
            let last = await #expect(throws: PosternError.self) {
                try await house.vaults.delete(id, confirmation: "default", audit: audit)
            }
            #expect(last?.code == .conflict)
            let other = try await house.neighbour().vault
            for text in ["", "Default", "default ", id.text, "other"] {
                let error = await #expect(throws: PosternError.self) {
                    try await house.vaults.delete(id, confirmation: text, audit: audit)
                }
                #expect(error?.code == .validationFailed)
            }
            try await house.vaults.delete(id, confirmation: "default", audit: audit)
            #expect(try await house.vaults.find("default") == nil)
            #expect(try await house.vaults.find(id.text) == nil)
            #expect(try await house.vaults.all().map(\.id) == [other.id])
            #expect(try await house.vaults.standing(of: id).state == .deleted)
            // There is nothing more that can be done with it, and its slug is not free yet.
            let gone = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.resume(id, audit: audit)
            }
            #expect(gone?.code == .notFound)
            let taken = await #expect(throws: PosternError.self) {
                _ = try await house.vaults.create(slug: "default", name: "x", audit: audit)
            }
            #expect(taken?.code == .conflict && taken?.retryAfter != nil)
        }
    }

    @Test("two who each delete the other of the last two vaults leave one", arguments: TestEngine.all)
    func lastOfTwo(_ engine: TestEngine) async throws {
        try await withHouse(engine) { house in
            let other = try await house.neighbour().vault
            await withTaskGroup { group in
                for vault in [house.vault, other] {
                    group.addTask {
                        try? await house.vaults.delete(
                            vault.id, confirmation: vault.slug, audit: house.audit(as: "vault.delete"))
                    }
                }
            }
            #expect(try await house.vaults.all().count == 1)
        }
    }

    @Test("what another process changed is seen after the sign that it did")
    func otherProcess() async throws {
        try await withHouse { house in
            let other = VaultDirectory(
                database: house.database, masterKey: house.masterKey, instanceDefaults: [:], clock: house.clock,
                ids: house.ids)
            #expect(try await other.standing(of: house.vault.id).state == .active)
            #expect(try await other.find("default") != nil)
            _ = try await house.vaults.suspend(house.vault.id, reason: "x", audit: house.audit(as: "vault.suspend"))
            _ = try await house.vaults.rename(
                house.vault.id, slug: "main", name: nil, audit: house.audit(as: "vault.rename"))
            other.invalidateAll()
            #expect(try await other.standing(of: house.vault.id).state == .suspended)
            #expect(try await other.find("default") == nil)
        }
    }

    @Test("of an unknown vault nothing is known, and nothing remembered")
    func unknown() async throws {
        try await withHouse { house in
            for _ in 0..<2 {
                let error = await #expect(throws: PosternError.self) {
                    _ = try await house.vaults.standing(of: house.ids.next())
                }
                #expect(error?.code == .notFound)
            }
            let (id, nowhere): (VaultID, Vault?) = (house.ids.next(), try await house.vaults.find("nowhere"))
            #expect(nowhere == nil)
            #expect(try await house.vaults.find(id.text) == nil)
        }
    }
}
