// The straight line that every submission takes, whatever its door: gate, mapping, policy, one commit, answer.

package import Gate
package import Mapping
import Metrics
package import Model
package import Policy
package import Rates
package import Runaway
package import SQL
import Store
package import Vaults

package final class SendPipeline: Sendable {
    package struct Configuration: Sendable {
        package var limits: MappingLimits
        /// Our own name, for Received fields and Message-IDs.
        package var hostname: String
        /// Seconds from acceptance, or from `send_at`, until a message must have come to its end.
        package var lifetime: Double
        /// The instance's switch: off puts every vault into shadow mode.
        package var isLiveSendEnabled: Bool
        /// What an instance-level route lacks in the environment, in words; absent where it is complete.
        package var missing: [RouteName: String]
        /// Seconds that an idempotency key is kept from the answer.
        package let idempotencyLifetime: Double = 86_400

        package init(
            limits: MappingLimits,
            hostname: String,
            lifetime: Double,
            isLiveSendEnabled: Bool,
            missing: [RouteName: String] = [:]
        ) {
            self.limits = limits
            self.hostname = hostname
            self.lifetime = lifetime
            self.isLiveSendEnabled = isLiveSendEnabled
            self.missing = missing
        }
    }

    package let configuration: Configuration
    let messages: MessageRepository
    let vaults: VaultDirectory
    let gate: Gate
    let policy: Policy
    let limiter: RateLimiter
    let runaway: RunawayGuard
    let usage: UsageRecorder
    let disk: DiskSpace
    let signal: OutboxSignal
    let clock: any WallClock
    package let ids: IdentifierGenerator

    package init(
        configuration: Configuration,
        database: any SQLDatabase,
        vaults: VaultDirectory,
        gate: Gate,
        policy: Policy,
        limiter: RateLimiter,
        runaway: RunawayGuard,
        usage: UsageRecorder,
        disk: DiskSpace,
        signal: OutboxSignal,
        clock: any WallClock,
        ids: IdentifierGenerator
    ) {
        self.configuration = configuration
        messages = MessageRepository(database: database)
        self.vaults = vaults
        self.gate = gate
        self.policy = policy
        self.limiter = limiter
        self.runaway = runaway
        self.usage = usage
        self.disk = disk
        self.signal = signal
        self.clock = clock
        self.ids = ids
    }

    /// Accepts a submission: returns after it is on disk.
    /// - Throws: `PosternError`; nothing was accepted then, and no row was written.
    package func submit(
        _ submission: Submission,
        by caller: Caller,
        through door: Door,
        idempotency: IdempotencyKey? = nil
    ) async throws(PosternError) -> Receipt {
        do throws(PosternError) {
            let receipt = try await accept(submission, by: caller, through: door, idempotency)
            count(door, receipt.isReplay ? "replayed" : "accepted")
            return receipt
        } catch {
            count(door, error.code.rawValue)
            throw error
        }
    }

    private func count(_ door: Door, _ outcome: String) {
        Counter(label: "postern_submissions_total", dimensions: [("door", door.rawValue), ("outcome", outcome)])
            .increment()
    }

    private func accept(
        _ submission: Submission,
        by caller: Caller,
        through door: Door,
        _ idempotency: IdempotencyKey?
    ) async throws(PosternError) -> Receipt {
        do {
            try await admit(caller, .messageSend)
            let now = clock.now()
            if let idempotency,
                let earlier = try await messages.earlierAnswer(
                    key: idempotency.key, digest: idempotency.digest, caller: caller, at: now),
                let receipt = try Self.receipt(of: earlier)
            {
                return receipt
            }
            guard disk.isEnough else {
                throw PosternError(.storageUnavailable, "the disk is nearly full", retryAfter: 60)
            }
            let vault = try await vaults.snapshot(of: caller.vault)
            let messages = try map(submission, vault, caller, now)
            try judge(messages, by: caller, vault)
            let route = try self.route(vault.settings)
            try authorize(caller, route, vault.standing)
            return try await withinRates(messages, caller, vault) { [self] in
                try await commit(messages, caller, vault, door, route, idempotency, at: now)
            }
        } catch {
            throw PosternError(describing: error)
        }
    }

    /// The messages that a submission would become; sends nothing and writes nothing.
    package func map(_ submission: Submission, by caller: Caller) async throws(PosternError) -> [MappedMessage] {
        do {
            try await admit(caller, .messageMap)
            let vault = try await vaults.snapshot(of: caller.vault)
            let messages = try map(submission, vault, caller, clock.now(), isExplained: true)
            try judge(messages, by: caller, vault)
            return messages
        } catch {
            throw PosternError(describing: error)
        }
    }
}
