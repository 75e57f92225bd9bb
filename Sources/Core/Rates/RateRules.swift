// Which limits hold for a submission: those of its vault, its caller, its agent, and of the domains that it goes to.

package import MIME
package import Model

package enum RateRules {
    /// What a submission takes: one token a recipient from each bucket; from a domain's bucket, one for each recipient
    /// there. Empty where nothing is limited.
    package static func charges(
        caller: Caller,
        settings: SettingsSnapshot,
        recipients: [EmailAddress]
    ) -> [RateCharge] {
        guard !recipients.isEmpty else { return [] }
        var charges = buckets(of: caller, settings: settings).map { RateCharge($0, tokens: recipients.count) }
        if let limit = limit(Settings.domainSendRateLimit, Settings.domainBurstCeiling, settings) {
            var counts: [String: Int] = [:]
            for recipient in recipients { counts[recipient.asciiDomain.lowercased(), default: 0] += 1 }
            for (domain, count) in counts {
                charges.append(RateCharge(RateBucket(.domain, domain, limit: limit), tokens: count))
            }
        }
        return charges
    }

    /// What one request over HTTP takes. The bucket holds a minute's requests, and gains as many in a minute.
    /// - Parameter perMinute: at least 1.
    package static func call(perMinute: Int) -> RateCharge {
        let perMinute = min(max(perMinute, 1), RateLimit.maximum / 60)
        return RateCharge(RateBucket(.calls, limit: RateLimit(perHour: perMinute * 60, burst: perMinute)), tokens: 1)
    }

    /// The buckets of a caller, whoever it writes to.
    package static func buckets(of caller: Caller, settings: SettingsSnapshot) -> [RateBucket] {
        var buckets: [RateBucket] = []
        if let limit = limit(Settings.sendRateLimit, Settings.burstCeiling, settings) {
            buckets.append(RateBucket(.vault, limit: limit))
        }
        if let limit = limit(Settings.keySendRateLimit, Settings.keyBurstCeiling, settings) {
            buckets.append(RateBucket(.key, caller.identity.id, limit: limit))
        }
        for own in caller.limits { buckets.append(RateBucket(.own, own.key.text, limit: own.limit)) }
        if let agent = caller.agent,
            let limit = limit(Settings.agentSendRateLimit, Settings.agentBurstCeiling, settings)
        {
            buckets.append(RateBucket(.agent, agent.text, limit: limit))
        }
        if let threshold = settings.value(Settings.approveOverRateThreshold) {
            let limit = RateLimit(perHour: inRange(threshold), burst: inRange(threshold))
            buckets.append(RateBucket(.approval, caller.identity.id, limit: limit))
        }
        return buckets
    }

    /// A burst ceiling that is unset is the hourly limit; alone it limits nothing.
    private static func limit(
        _ perHour: Setting<Int>,
        _ burst: Setting<Int>,
        _ settings: SettingsSnapshot
    ) -> RateLimit? {
        guard let perHourValue = settings.value(perHour) else { return nil }
        return RateLimit(
            perHour: inRange(perHourValue), burst: inRange(settings.value(burst) ?? perHourValue))
    }

    /// The settings' own checks say so already; a database may hold what another version wrote.
    private static func inRange(_ value: Int) -> Int { min(max(value, 1), RateLimit.maximum) }
}
