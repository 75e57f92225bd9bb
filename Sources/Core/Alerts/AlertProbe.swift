// Looks whether something is wrong. The composition root makes one for each thing that can go wrong where it runs.

package import Model
package import SQL
package import Store

package struct AlertProbe: Sendable {
    /// What it looks for.
    package let conditions: Set<AlertCondition>
    /// What it means when `look` does not come back: `nil` for nothing, because it cannot be told.
    package let silence: [AlertFinding]?
    /// Findings of these conditions; `nil` when it cannot be told.
    package let look: @Sendable () async -> [AlertFinding]?

    package init(
        _ conditions: Set<AlertCondition>,
        silence: [AlertFinding]? = nil,
        look: @escaping @Sendable () async -> [AlertFinding]?
    ) {
        self.conditions = conditions
        self.silence = silence
        self.look = look
    }
}

/// How the broker is, as an alert sees it.
package enum AlertBrokerState: Hashable, Sendable {
    case connected
    /// With the reason, where there is one.
    case unreachable(String?)
    case blocked(reason: String)
    /// Being started or stopped: nothing can be said.
    case unknown
}

extension AlertProbe {
    /// Whether the database answers.
    package static func database(_ database: any SQLDatabase) -> AlertProbe {
        let housekeeping = HousekeepingRepository(database: database)
        let subject = database.name
        @Sendable func finding(_ detail: String) -> AlertFinding {
            AlertFinding(.databaseUnreachable, subject: subject, detail: detail)
        }
        return AlertProbe([.databaseUnreachable], silence: [finding("the database does not answer")]) {
            do {
                try await housekeeping.ping()
                return []
            } catch let error as SQLError {
                return [finding("the database cannot be read: \(error.message)")]
            } catch {
                return [finding("the database cannot be read")]
            }
        }
    }

    /// How the broker is.
    /// - Parameters:
    ///   - subject: host and port, without credentials.
    package static func broker(
        _ subject: String,
        state: @escaping @Sendable () async -> AlertBrokerState
    ) -> AlertProbe {
        AlertProbe([.brokerUnreachable, .brokerBlocked]) {
            switch await state() {
            case .connected: []
            case .unreachable(let reason):
                [
                    AlertFinding(
                        .brokerUnreachable, subject: subject,
                        detail: "there is no connection to the message broker" + (reason.map { ": \($0)" } ?? ""))
                ]
            case .blocked(let reason):
                [
                    AlertFinding(
                        .brokerBlocked, subject: subject, detail: "the message broker takes nothing more: \(reason)")
                ]
            case .unknown: nil
            }
        }
    }

    /// Whether a vault has more failures than a threshold that nobody has looked at.
    package static func failureBacklog(_ alerts: AlertRepository, over threshold: Int) -> AlertProbe {
        AlertProbe([.failureBacklog]) {
            try? await alerts.failureBacklogs(over: threshold).map { backlog in
                AlertFinding(
                    .failureBacklog, subject: "failures of \(backlog.vault)", vault: backlog.vault,
                    detail: "\(backlog.count) failures wait to be looked at, the oldest since \(backlog.oldest); "
                        + "the threshold is \(threshold)")
            }
        }
    }

    /// Whether a queue of the broker holds more than a threshold.
    /// - Parameters:
    ///   - depth: messages in the queue; `nil` when it cannot be told.
    package static func queueBacklog(
        _ queue: String,
        over threshold: Int,
        depth: @escaping @Sendable () async -> Int?
    ) -> AlertProbe {
        AlertProbe([.failureBacklog]) {
            guard let depth = await depth() else { return nil }
            guard depth > threshold else { return [] }
            return [
                AlertFinding(
                    .failureBacklog, subject: "queue \(queue)",
                    detail: "\(depth) messages wait in the queue \(queue); the threshold is \(threshold)")
            ]
        }
    }

    /// Whether mail that is due for so long has not left.
    ///
    /// A route that hands over to a next hop of the whole instance has one alert, because one cause stops all vaults
    /// alike. A route of each vault's own has one a vault, and only mail that nobody has taken up counts: a deferral is
    /// its daily life.
    /// - Parameters:
    ///   - seconds: how long.
    ///   - handingOver: routes to the instance's next hop that are set up.
    ///   - delivering: routes to a vault's next hop that are set up.
    package static func publishStalled(
        _ alerts: AlertRepository,
        after seconds: Double,
        handingOver: Set<RouteName>,
        delivering: Set<RouteName>,
        clock: any WallClock
    ) -> AlertProbe {
        AlertProbe([.publishStalled]) {
            let time = clock.now().adding(seconds: -seconds)
            do {
                let waiting = try await alerts.notHandedOver(since: time, routes: handingOver)
                let forgotten = try await alerts.notTakenUp(since: time, routes: delivering)
                return Dictionary(grouping: waiting, by: \.route).compactMap { route, messages in
                    messages.map(\.dueSince).min().map { oldest in
                        AlertFinding(
                            .publishStalled, subject: "route \(route.rawValue)",
                            detail: "mail waits for the route \(route.rawValue) since \(oldest), in "
                                + (messages.count == 1 ? "1 vault" : "\(messages.count) vaults"))
                    }
                }
                    + forgotten.map { message in
                        AlertFinding(
                            .publishStalled, subject: "route \(message.route.rawValue) of \(message.vault)",
                            vault: message.vault,
                            detail: "mail waits for the route \(message.route.rawValue) since \(message.dueSince), "
                                + "and is not taken up; the oldest is \(message.message)")
                    }
            } catch {
                return nil
            }
        }
    }
}
