// Whether mail that is due has not left.

package import Model
package import Store

extension AlertProbe {
    /// Whether mail that is due has not left.
    ///
    /// A route that hands over to a next hop of the whole instance has one alert, because one cause stops all vaults
    /// alike. A route of each vault's own has one a vault, and only mail that nobody has taken up counts: a deferral is
    /// its daily life.
    /// - Parameters:
    ///   - handingOver: routes to the instance's next hop that are set up.
    ///   - delivering: routes to a vault's next hop that are set up.
    package static func publishStalled(
        _ alerts: AlertRepository,
        handingOver: Set<RouteName>,
        delivering: Set<RouteName>,
        clock: any WallClock
    ) -> AlertProbe {
        AlertProbe([.publishStalled]) { rules in
            let now = clock.now()
            @Sendable func time(_ vault: VaultID?) -> Timestamp? {
                rules.smallestThreshold(of: .publishStalled, about: vault).map { now.adding(seconds: -Double($0)) }
            }
            do {
                var waiting: [StalledMessage] = []
                if let time = time(nil) { waiting = try await alerts.notHandedOver(since: time, routes: handingOver) }
                let forgotten = try await alerts.notTakenUp(since: { time($0) }, routes: delivering)
                return Dictionary(grouping: waiting, by: \.route).compactMap { route, messages in
                    messages.map(\.dueSince).min().map { oldest in
                        AlertSign(
                            .publishStalled, subject: "route \(route.rawValue)", value: Self.seconds(oldest, now),
                            detail: "mail waits for the route \(route.rawValue) since \(oldest), in "
                                + (messages.count == 1 ? "1 vault" : "\(messages.count) vaults"))
                    }
                }
                    + forgotten.map { message in
                        AlertSign(
                            .publishStalled, subject: "route \(message.route.rawValue) of \(message.vault)",
                            vault: message.vault, value: Self.seconds(message.dueSince, now),
                            detail: "mail waits for the route \(message.route.rawValue) since \(message.dueSince), "
                                + "and is not taken up; the oldest is \(message.message)")
                    }
            } catch {
                return nil
            }
        }
    }

    private static func seconds(_ since: Timestamp, _ now: Timestamp) -> Int {
        Int((now.milliseconds - since.milliseconds) / 1_000)
    }
}
