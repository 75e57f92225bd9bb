// What keeps the audit log whole: refusals on their way into it, its seals, and the taking away of what is old enough.

import Audit
import Delivery
import Environment
import Logging
import Model
import SQL
import ServiceLifecycle
import Store
import Vaults

struct AuditWiring {
    let refusals: RefusalRecorder
    let verifier: AuditVerifier
    let sealer: AuditSealer
    let services: [any Service]

    init(
        _ configuration: InstanceConfiguration,
        database: any SQLDatabase,
        vaults: VaultDirectory,
        instanceKey: InstanceKey,
        owner: String,
        clock: any WallClock,
        ids: IdentifierGenerator,
        logger: Logger
    ) {
        let key = AuditSealKey(instanceKey.derived(AuditSealKey.purpose))
        let duty = Duty("audit", owner: owner, database: database, clock: clock)
        let days = configuration.people.auditRetentionDays
        refusals = RefusalRecorder(database: database, ids: ids, clock: clock, logger: logger)
        verifier = AuditVerifier(database: database, key: key, clock: clock)
        sealer = AuditSealer(
            database: database, key: key, ids: ids, clock: clock, holdsDuty: { try await duty.hold() }, logger: logger)
        let retention = AuditRetention(
            database: database, key: key, ids: ids, clock: clock,
            days: { vault in
                guard let vault else { return days }
                return try await vaults.limits(of: vault)[.auditRetentionDays]
            }, holdsDuty: { try await duty.hold() }, logger: logger)
        // A group stops in reverse: refusals write their last records before the last seals are made.
        services = [sealer, retention, refusals]
    }
}
