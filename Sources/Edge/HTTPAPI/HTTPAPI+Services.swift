// What the endpoints work on, as the composition root puts it together.

package import Alerts
package import Audit
package import Broker
package import Delivery
package import Gate
package import MailerQREST
package import Model
package import Outbox
package import People
package import Rates
package import SQL
package import Vaults

extension HTTPAPI {
    /// Those who know people.
    package struct PeopleServices: Sendable {
        package let signIn: SignInDesk
        package let sessions: SessionKeeper
        package let accounts: AccountKeeper
        package let directory: PeopleDirectory
        /// `nil` where no provider is configured.
        package let singleSignOn: SingleSignOn?

        package init(
            signIn: SignInDesk, sessions: SessionKeeper, accounts: AccountKeeper, directory: PeopleDirectory,
            singleSignOn: SingleSignOn?
        ) {
            self.signIn = signIn
            self.sessions = sessions
            self.accounts = accounts
            self.directory = directory
            self.singleSignOn = singleSignOn
        }
    }

    package struct Services: Sendable {
        package var pipeline: SendPipeline
        package var database: any SQLDatabase
        package var vaults: VaultDirectory
        package var calls: CallMeter
        package var callers: CallerDirectory
        package var authenticator: Authenticator
        package var people: PeopleServices
        package var gate: Gate
        package var refusals: RefusalRecorder
        package var auditVerifier: AuditVerifier
        /// The alert rules that stand where no row says otherwise.
        package var alerts: AlertDefaults
        package var limiter: RateLimiter
        package var readiness: Readiness
        package var signal: OutboxSignal
        package var clock: any WallClock
        package var ids: IdentifierGenerator
        /// The metrics page.
        package var metrics: @Sendable () -> [UInt8]
        /// `nil` without a broker.
        package var broker: QueueHealth?
        /// `nil` without MailerQ's REST API.
        package var mailerq: MailerQProxy?
        package var preview: MailerQPreview?

        package init(
            pipeline: SendPipeline, database: any SQLDatabase, vaults: VaultDirectory, calls: CallMeter,
            callers: CallerDirectory, authenticator: Authenticator, people: PeopleServices, gate: Gate,
            refusals: RefusalRecorder, auditVerifier: AuditVerifier, alerts: AlertDefaults, limiter: RateLimiter,
            readiness: Readiness, signal: OutboxSignal,
            clock: any WallClock, ids: IdentifierGenerator, metrics: @escaping @Sendable () -> [UInt8],
            broker: QueueHealth? = nil, mailerq: MailerQProxy? = nil, preview: MailerQPreview? = nil
        ) {
            self.pipeline = pipeline
            self.database = database
            self.vaults = vaults
            self.calls = calls
            self.callers = callers
            self.authenticator = authenticator
            self.people = people
            self.gate = gate
            self.refusals = refusals
            self.auditVerifier = auditVerifier
            self.alerts = alerts
            self.limiter = limiter
            self.readiness = readiness
            self.signal = signal
            self.clock = clock
            self.ids = ids
            self.metrics = metrics
            self.broker = broker
            self.mailerq = mailerq
            self.preview = preview
        }
    }
}
