// Requests over HTTP: counted for every vault, and limited for those whose plan says so.

package import Model
package import Rates
import Store

package struct CallMeter: Sendable {
    private let vaults: VaultDirectory
    private let limiter: RateLimiter
    private let usage: UsageRecorder

    package init(vaults: VaultDirectory, limiter: RateLimiter, usage: UsageRecorder) {
        self.vaults = vaults
        self.limiter = limiter
        self.usage = usage
    }

    /// Counts a request of whoever is known to the vault. A vault without a limit pays one look into memory for it.
    /// - Throws: `rate_limited` with the time to wait, `plan_limit_reached` where the plan allows no requests at all.
    package func admit(_ vault: VaultID) async throws {
        if let perMinute = try await vaults.limits(of: vault)[.callsPerMinute] {
            guard perMinute > 0 else {
                throw PosternError(.planLimitReached, "the vault's plan allows no requests over HTTP")
            }
            _ = try await limiter.take([RateRules.call(perMinute: perMinute)], in: vault)
        }
        usage.note(vault, calls: 1)
    }
}
