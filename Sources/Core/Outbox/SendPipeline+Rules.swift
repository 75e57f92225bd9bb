// What a submission has to pass before it is written down: policy, the route's scopes, limits, and the guard against runaways.

import Gate
import Mapping
import Model
import Policy
import Rates
import Runaway
import Vaults

extension SendPipeline {
    func admit(_ caller: Caller, _ action: Action) async throws {
        let standing = try await vaults.standing(of: caller.vault)
        try gate.authorize(.caller(caller), action, on: .vault(caller.vault, standing))
    }

    func judge(
        _ messages: [MappedMessage],
        by caller: Caller,
        _ vault: VaultDirectory.Snapshot
    ) throws(PosternError) {
        let context = PolicyContext(caller: caller, settings: vault.settings)
        for message in messages { try policy.judge(message.envelopes, context) }
    }

    /// The scopes that a route needs beside `send` (seed 000 §08).
    func authorize(_ caller: Caller, _ route: RouteName, _ standing: VaultStanding) throws(PosternError) {
        let action: Action
        switch route {
        case .mailerq: action = .routeMailerQ
        case .mailerqHTTP: action = .routeMailerQHTTP
        case .shadow, .smarthost: return
        }
        do throws(PosternError) {
            try gate.authorize(.caller(caller), action, on: .vault(caller.vault, standing))
        } catch {
            throw PosternError(
                error.code, "the vault's route is \(route.rawValue), which \(caller.label) has no scope for",
                fix: error.fix)
        }
    }

    /// Takes what the messages cost of all limits, and gives it back where they are not accepted after all.
    func withinRates(
        _ messages: [MappedMessage],
        _ caller: Caller,
        _ vault: VaultDirectory.Snapshot,
        _ work: () async throws -> Receipt
    ) async throws -> Receipt {
        let judgement = try await cutting(caller) {
            try runaway.judge(messages, caller: caller, settings: vault.settings)
        }
        let charges =
            RateRules.charges(
                caller: caller, settings: vault.settings, recipients: messages.flatMap { $0.envelopes.map(\.recipient) }
            )
            + judgement.charges
        let grant: RateGrant?
        do {
            grant = try await cutting(caller) {
                charges.isEmpty ? nil : try await limiter.take(charges, in: caller.vault)
            }
        } catch {
            runaway.withdraw(judgement)
            throw error
        }
        do {
            var receipt = try await work()
            if receipt.isReplay { giveBack(grant, judgement) } else { receipt.rate = grant?.status }
            return receipt
        } catch {
            giveBack(grant, judgement)
            throw error
        }
    }

    private func giveBack(_ grant: RateGrant?, _ judgement: RunawayJudgement) {
        if let grant { limiter.giveBack(grant) }
        runaway.withdraw(judgement)
    }

    /// Notes what is refused as a runaway, for the alert.
    private func cutting<Value>(_ caller: Caller, _ work: () async throws -> Value) async throws -> Value {
        do {
            return try await work()
        } catch let error as PosternError {
            await runaway.cut(error, caller: caller)
            throw error
        }
    }

    /// The way out, with all that it needs: better no yes than one that cannot be kept.
    func route(_ settings: SettingsSnapshot) throws(PosternError) -> RouteName {
        guard configuration.isLiveSendEnabled, try settings.require(Settings.liveSendEnabled) else { return .shadow }
        let route = try settings.require(Settings.route)
        switch route {
        case .shadow: break
        case .smarthost:
            _ = try settings.require(Settings.smarthostHost)
            _ = try settings.require(Settings.smarthostPort)
            _ = try settings.require(Settings.smarthostTLS)
        case .mailerq, .mailerqHTTP:
            if let missing = configuration.missing[route] {
                throw PosternError(
                    .settingUnset, "the route \(route.rawValue) needs \(missing), which this instance lacks",
                    fix: "The operator sets \(missing) and starts again; or choose another route for the vault.")
            }
        }
        return route
    }
}
