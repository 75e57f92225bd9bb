// What a request may ask for only where the vault's plan includes it: a part of an action, where the gate looks at the whole.

import Model
import Vaults

extension VaultDirectory {
    /// - Throws: `feature_not_in_plan`.
    func require(_ feature: PlanFeature, in vault: VaultID) async throws {
        let standing = try await standing(of: vault)
        guard standing.features.contains(feature) else {
            throw PosternError(
                .featureNotInPlan, "\(feature.rawValue) is not in the vault's plan \(standing.plan)")
        }
    }
}
