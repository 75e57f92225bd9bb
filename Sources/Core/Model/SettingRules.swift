// What has to hold between settings: a value that is good by itself may have no effect, or break mail, without another.

package import JSON

package enum SettingRules {
    /// Ceilings, each with the limit that it belongs to.
    private static let ceilings: [(ceiling: Setting<Int>, limit: Setting<Int>)] = [
        (Settings.burstCeiling, Settings.sendRateLimit),
        (Settings.keyBurstCeiling, Settings.keySendRateLimit),
        (Settings.agentBurstCeiling, Settings.agentSendRateLimit),
        (Settings.domainBurstCeiling, Settings.domainSendRateLimit),
    ]

    /// What is wrong with the settings as they are after a change, in those that the change touches: what was wrong
    /// elsewhere before must not hold up a change that has nothing to do with it.
    /// - Parameters:
    ///   - keys: what the change names.
    ///   - pools: the vault's; `nil` where there is no vault, so that no name of a pool can be wrong.
    package static func problems(
        in settings: SettingsSnapshot,
        touching keys: Set<String>,
        pools: IPPools?
    ) -> [JSONProblem] {
        var problems: [JSONProblem] = []
        func problem(_ message: String, at candidates: String...) {
            guard let key = candidates.first(where: keys.contains) else { return }
            problems.append(JSONProblem(pointer: "/" + JSONReader.escape(key), message: message))
        }
        for (ceiling, limit) in ceilings where settings.value(ceiling) != nil && settings.value(limit) == nil {
            problem(
                "has no effect while \(limit.key) has no value: set that as well, or take \(ceiling.key) away",
                at: ceiling.key, limit.key)
        }
        if let strategy = settings.value(Settings.defaultEnvelopeStrategy), strategy.needsAddress,
            settings.value(Settings.envelopeAddress) == nil
        {
            let address = Settings.envelopeAddress.key
            problem(
                "\(strategy.rawValue) needs \(address), which has no value",
                at: Settings.defaultEnvelopeStrategy.key, address)
        }
        if let pools, case .fixed(let name) = settings.value(Settings.ipPoolStrategy),
            pools.addresses(named: name) == nil
        {
            problem(
                "there is no pool of the name \"\(name)\"; make it first (POST /v1/ip-pools)",
                at: Settings.ipPoolStrategy.key)
        }
        return problems
    }

    /// What a start should warn of: in the instance's own values, something that cannot work.
    package static func problems(inInstance defaults: [String: any SettingValue]) -> [JSONProblem] {
        problems(
            in: SettingsSnapshot(vault: [:], instance: defaults), touching: Set(Settings.all.map(\.key)), pools: nil)
    }

    /// Settings that mail needs and that the instance has no value for: a vault that has none of its own is refused with
    /// `setting_unset`.
    package static func missing(fromInstance defaults: [String: any SettingValue]) -> [SettingDeclaration] {
        let route = SettingsSnapshot(vault: [:], instance: defaults).value(Settings.route)
        let ofSmarthost: Set = [Settings.smarthostHost.key, Settings.smarthostPort.key, Settings.smarthostTLS.key]
        return Settings.all.filter { declaration in
            !declaration.isOptional && defaults[declaration.key] == nil
                && (route == .smarthost || !ofSmarthost.contains(declaration.key))
        }
    }
}
