// The straight line over a test's vault: for the suites that begin with a submission.

import Gate
package import Mapping
import Model
package import Outbox
import Policy
package import SQL

extension TestHouse {
    package func pipeline(
        isLive: Bool = true,
        limits: MappingLimits = .init(),
        lifetime: Double = 3600,
        minimumDisk: UInt64 = 0,
        signal: OutboxSignal = OutboxSignal(),
        on database: (any SQLDatabase)? = nil
    ) -> SendPipeline {
        SendPipeline(
            configuration: .init(
                limits: limits, hostname: "mail.example.org", lifetime: lifetime, isLiveSendEnabled: isLive),
            database: database ?? self.database, vaults: vaults, gate: Gate(), policy: .standard,
            disk: DiskSpace(path: "/tmp", minimum: minimumDisk, clock: clock), signal: signal, clock: clock, ids: ids)
    }
}
