// The straight line over a test's vault: for the suites that begin with a submission.

import Gate
import Logging
package import Mapping
import Model
package import Outbox
import Policy
import Rates
import Runaway
package import SQL
import Vaults

extension TestHouse {
    package func pipeline(
        isLive: Bool = true,
        limits: MappingLimits = .init(),
        lifetime: Double = 3600,
        minimumDisk: UInt64 = 0,
        signal: OutboxSignal = OutboxSignal(),
        on database: (any SQLDatabase)? = nil
    ) -> SendPipeline {
        let database = database ?? self.database
        return SendPipeline(
            configuration: .init(
                limits: limits, hostname: "mail.example.org", lifetime: lifetime, isLiveSendEnabled: isLive),
            database: database, vaults: vaults, gate: Gate(), policy: .standard,
            limiter: RateLimiter(
                database: database, isShared: database.isShared, clock: clock, logger: Logger(label: "tests")),
            runaway: RunawayGuard(database: database, clock: clock, hostname: "mail.example.org"),
            usage: UsageRecorder(database: database, clock: clock, logger: Logger(label: "tests")),
            disk: DiskSpace(path: "/tmp", minimum: minimumDisk, clock: clock), signal: signal, clock: clock, ids: ids)
    }
}
