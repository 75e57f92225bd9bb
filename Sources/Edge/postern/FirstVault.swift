// The vault that an instance begins with, and who owns it.

import Model
import SQL
import Store
import Vaults

struct FirstVault {
    let vaults: VaultDirectory
    let database: any SQLDatabase
    let clock: any WallClock
    let audit: @Sendable (Action) -> AuditMaker

    /// The vault of this name, made where there is none.
    /// - Parameter owner: who owns it from now on, beside those who do already.
    func open(named slug: String, for owner: UserID?) async throws -> Vault {
        guard let vault = try await vaults.find(slug) else {
            return try await vaults.create(
                slug: slug, name: slug.prefix(1).uppercased() + slug.dropFirst(), owner: owner,
                audit: audit(.vaultCreate))
        }
        if let owner {
            _ = try await MembershipRepository(database: database).set(
                owner, .owner, in: vault.id, askedBy: nil, at: clock.now(), audit: audit(.memberWrite)
            ) { _ in }
        }
        return vault
    }
}
