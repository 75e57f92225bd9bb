// What is counted over a window: mail that was refused for good, callers that were refused, sign-ins that failed.

package import Model
package import Store

extension AlertProbe {
    /// How much of each vault's mail was refused for good.
    /// - Parameter pause: seconds between two looks, each of which may count many rows. Default 60.
    package static func bounceRate(
        _ alerts: AlertRepository,
        pause: Double = 60,
        clock: any WallClock
    ) -> AlertProbe {
        counting(.bounceRate, pause: pause, clock: clock) { since, window in
            try await alerts.bounces(since: since, of: window.vaults).map { count in
                let percent = count.bounced * 100 / count.ended
                return AlertSign(
                    .bounceRate, subject: "mail of \(count.vault)", vault: count.vault, value: percent,
                    total: count.ended, window: window.seconds,
                    detail:
                        "\(count.bounced) of \(count.ended) messages that ended in the last \(minutes(window.seconds)) "
                        + "bounced or failed: \(percent) %")
            }
        }
    }

    /// Callers of vaults, and people in them, that ask for what they may not do.
    /// - Parameter pause: seconds between two looks. Default 15.
    package static func refusals(_ alerts: AlertRepository, pause: Double = 15, clock: any WallClock) -> AlertProbe {
        counting(.refusals, pause: pause, clock: clock) { since, window in
            try await alerts.refusals(since: since, of: window.vaults).map { count in
                AlertSign(
                    .refusals, subject: "caller \(count.actor) of \(count.vault)", vault: count.vault,
                    value: count.count,
                    window: window.seconds,
                    detail:
                        "\(count.label) was refused \(count.count) times in the last \(minutes(window.seconds)); the last time "
                        + "\(count.action)" + (count.reason.map { ": \($0)" } ?? ""))
            }
        }
    }

    /// Sign-ins of people that fail, whoever they are said to be.
    package static func signInFailures(_ alerts: AlertRepository, clock: any WallClock) -> AlertProbe {
        counting(.signInFailures, clock: clock) { since, window in
            let count = try await alerts.signInFailures(since: since)
            let accounts = count.accounts == 1 ? "1 account" : "\(count.accounts) accounts"
            return [
                AlertSign(
                    .signInFailures, subject: "sign-ins", value: count.failures, window: window.seconds,
                    detail: "\(count.failures) sign-ins failed in the last \(minutes(window.seconds)), for \(accounts)")
            ]
        }
    }

    /// Asks once for each window that a rule counts over.
    private static func counting(
        _ condition: AlertCondition,
        pause: Double = 0,
        clock: any WallClock,
        _ count: @escaping @Sendable (_ since: Timestamp, _ window: AlertRuleBook.Window) async throws -> [AlertSign]
    ) -> AlertProbe {
        AlertProbe([condition], pause: pause) { rules in
            var signs: [AlertSign] = []
            for window in rules.windows(of: condition) {
                guard let found = try? await count(clock.now().adding(seconds: -Double(window.seconds)), window) else {
                    return nil
                }
                signs += found
            }
            return signs
        }
    }

    private static func minutes(_ seconds: Int) -> String {
        seconds.isMultiple(of: 60) ? "\(seconds / 60) min" : "\(seconds) s"
    }
}
