// Everybody who brings notices: one for each of the instance's channels, and one for each address of a vault's rules, made
// when it is needed.

import Model
import Store
import Synchronization

final class AlertCouriers: Sendable {
    /// Makes the channel of a vault's rule.
    typealias VaultChannel = @Sendable (AlertTarget.Mail) -> any AlertChannel

    private let office: AlertCourier.Office
    private let instance: [AlertWay: AlertCourier]
    private let vaultChannel: VaultChannel?
    private let vaults = Mutex<[AlertTarget.Mail: AlertCourier]>([:])

    init(_ channels: [AlertWay: any AlertChannel], vaults: VaultChannel?, _ office: AlertCourier.Office) {
        self.office = office
        vaultChannel = vaults
        var instance: [AlertWay: AlertCourier] = [:]
        for (way, channel) in channels { instance[way] = AlertCourier(channel, to: .instance(way), office) }
        self.instance = instance
    }

    /// Couriers of the instance: each has its own pace, and a task of its own.
    var ofInstance: [AlertCourier] { AlertWay.allCases.compactMap { instance[$0] } }

    /// Couriers of vaults. They all wait for the same database, so one after the other is no loss.
    var ofVaults: [AlertCourier] { vaults.withLock { Array($0.values) } }

    /// Those of a rule's targets that there is a channel for.
    func targets(of rule: AlertRuleBook.Rule) -> [AlertTarget] {
        rule.targets.filter { target in
            switch target {
            case .instance(let way): instance[way] != nil
            case .vault: vaultChannel != nil
            }
        }
    }

    func add(_ notice: AlertNotice, to target: AlertTarget) {
        switch target {
        case .instance(let way): instance[way]?.add(notice)
        case .vault(let mail): courier(mail)?.add(notice)
        }
    }

    private func courier(_ mail: AlertTarget.Mail) -> AlertCourier? {
        guard let vaultChannel else { return nil }
        return vaults.withLock { vaults in
            if let known = vaults[mail] { return known }
            let courier = AlertCourier(vaultChannel(mail), to: .vault(mail), office)
            vaults[mail] = courier
            return courier
        }
    }

    func clear() {
        for courier in ofInstance { courier.clear() }
        vaults.withLock { $0 = [:] }
    }

    /// Forgets couriers that have nothing to do.
    func tidy() { vaults.withLock { vaults in vaults = vaults.filter { !$0.value.isIdle } } }
}
