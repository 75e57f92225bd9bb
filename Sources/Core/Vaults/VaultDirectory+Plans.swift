// Plans, what a vault uses of its own, and whether there is room for more.

package import Model
package import Store

extension VaultDirectory {
    /// Instance level: the shipped plans as they hold now, and those of one's own.
    package func allPlans() async throws -> [Plan] { try await plans.all() }

    /// Instance level.
    package func plan(_ name: String) async throws -> Plan? { try await plans.find(name) }

    /// Instance level: edits a plan or makes one. It holds at once for every vault that has it.
    /// - Returns: whether the plan is new.
    /// - Throws: `validation_failed` for a name that is none, `conflict` where there are too many plans.
    package func setPlan(_ plan: Plan, audit: @escaping AuditMaker) async throws -> Bool {
        guard Self.isPlanName(plan.name) else {
            throw PosternError(
                .validationFailed, "a plan's name has 1 to 32 small letters, digits and underscores, a letter first")
        }
        let wasThere = try await plans.set(plan, at: clock.now(), audit: audit)
        invalidateAll()
        return !wasThere
    }

    /// Instance level: takes back what was edited in a shipped plan, or deletes one of one's own.
    /// - Returns: false where there is no such plan.
    /// - Throws: `conflict` for a plan of one's own that vaults have.
    package func deletePlan(_ name: String, audit: @escaping AuditMaker) async throws -> Bool {
        let wasThere = try await plans.delete(name, audit: audit)
        invalidateAll()
        return wasThere
    }

    /// What the vault uses now, and used in the last months. What was counted in the last seconds may be missing.
    package func usage(of vault: VaultID) async throws -> VaultUsage {
        try await UsageRepository(database: database).usage(of: vault, at: clock.now())
    }

    private static func isPlanName(_ name: String) -> Bool {
        guard (1...32).contains(name.utf8.count), let first = name.utf8.first else { return false }
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        return letters.contains(first)
            && name.utf8.allSatisfy {
                letters.contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "_")
            }
    }
}
