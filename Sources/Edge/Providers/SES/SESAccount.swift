// A vault as an SES account: who may be the sender, how much may be sent, and how much was.

import Gate
import Model
import Outbox
import Rates
import Store
import Vaults

struct SESAccount: Sendable {
    private let caller: Caller
    /// Whose mail is counted: the caller's own, or the vault's (`nil`) for those who may read all of its messages.
    private let counted: Caller?
    private let settings: SettingsSnapshot
    let identities: SESIdentities
    /// Whether mail leaves the house.
    let isLive: Bool

    init(of caller: Caller, _ services: ProviderServices) async throws {
        let settings = try await services.vaults.snapshot(of: caller.vault).settings
        self.caller = caller
        self.settings = settings
        let readsAll =
            caller.labelPrefix == nil && !caller.scopes.isDisjoint(with: Action.messageRead.rule.scopes ?? [])
        counted = readsAll ? nil : caller
        identities = SESIdentities(
            allowed: settings.value(Settings.allowedSenderDomains) ?? [], narrowedTo: caller.senderDomains)
        isLive =
            services.pipeline.configuration.isLiveSendEnabled && settings.value(Settings.liveSendEnabled) == true
    }

    func quota(_ services: ProviderServices) async throws -> SESQuota {
        let since = services.clock.now().adding(seconds: -86_400)
        let sent = try await services.messages.count(since: since, by: counted, in: caller.vault)
        return SESQuota(limits: RateRules.buckets(of: caller, settings: settings).map(\.limit), sent: sent)
    }

    func statistics(_ services: ProviderServices) async throws -> [SESDataPoint] {
        let since = services.clock.now().adding(seconds: -14 * 86_400)
        return try await services.messages
            .statistics(since: since, per: SESDataPoint.seconds, by: counted, in: caller.vault).map(SESDataPoint.init)
    }
}

/// How much may be sent, by the tightest of the limits that hold for the caller.
struct SESQuota: Sendable {
    /// SES's word for "no limit"; it has none for the rate, by which tools size their batches.
    private static let unlimitedPerDay: Double = -1
    private static let unlimitedPerSecond: Double = 1000

    let perDay: Double
    /// At least 1, as nowhere in SES it is less: tools divide by its whole part.
    let perSecond: Double
    let sent: Double

    init(limits: [RateLimit], sent: Int) {
        if let perHour = limits.map(\.perHour).min() {
            perDay = Double(perHour) * 24
            perSecond = max(1, Double(perHour) / 3600)
        } else {
            (perDay, perSecond) = (Self.unlimitedPerDay, Self.unlimitedPerSecond)
        }
        self.sent = Double(sent)
    }
}

/// A quarter of an hour of sending.
struct SESDataPoint: Sendable {
    static let seconds = 900

    private let statistics: SendStatistics

    init(_ statistics: SendStatistics) { self.statistics = statistics }

    func write(to xml: inout SESXML) {
        xml.element("member") { xml in
            xml.element("Timestamp", statistics.start.description)
            xml.element("DeliveryAttempts", "\(statistics.messages)")
            xml.element("Bounces", "\(statistics.bounces)")
            xml.element("Complaints", "0")
            xml.element("Rejects", "0")
        }
    }
}
