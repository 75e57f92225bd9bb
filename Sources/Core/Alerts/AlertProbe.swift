// Looks whether something is wrong. The composition root makes one for each thing that can go wrong where it runs.

import Model
package import SQL
package import Store

package struct AlertProbe: Sendable {
    /// What it looks for.
    package let conditions: Set<AlertCondition>
    /// What it means when `look` does not come back: `nil` for nothing, because it cannot be told.
    package let silence: [AlertSign]?
    /// Seconds between two looks, where looking is not cheap; 0 for every round.
    package let pause: Double
    /// Signs of these conditions, asked for with the rules that are in force; `nil` when it cannot be told.
    package let look: @Sendable (AlertRuleBook) async -> [AlertSign]?

    package init(
        _ conditions: Set<AlertCondition>,
        silence: [AlertSign]? = nil,
        pause: Double = 0,
        look: @escaping @Sendable (AlertRuleBook) async -> [AlertSign]?
    ) {
        self.conditions = conditions
        self.silence = silence
        self.pause = pause
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
        @Sendable func sign(_ detail: String) -> AlertSign {
            AlertSign(.databaseUnreachable, subject: subject, detail: detail)
        }
        return AlertProbe([.databaseUnreachable], silence: [sign("the database does not answer")]) { _ in
            do {
                try await housekeeping.ping()
                return []
            } catch let error as SQLError {
                return [sign("the database cannot be read: \(error.message)")]
            } catch {
                return [sign("the database cannot be read")]
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
        AlertProbe([.brokerUnreachable, .brokerBlocked]) { _ in
            switch await state() {
            case .connected: []
            case .unreachable(let reason):
                [
                    AlertSign(
                        .brokerUnreachable, subject: subject,
                        detail: "there is no connection to the message broker" + (reason.map { ": \($0)" } ?? ""))
                ]
            case .blocked(let reason):
                [
                    AlertSign(
                        .brokerBlocked, subject: subject, detail: "the message broker takes nothing more: \(reason)")
                ]
            case .unknown: nil
            }
        }
    }

    /// Whether there is room on the disk.
    /// - Parameter path: which one, in the words that people know it by.
    package static func disk(_ path: String, isEnough: @escaping @Sendable () -> Bool) -> AlertProbe {
        AlertProbe([.diskLow]) { _ in
            guard !isEnough() else { return [] }
            return [
                AlertSign(
                    .diskLow, subject: "disk under \(path)",
                    detail:
                        "less than POSTERN_MIN_FREE_DISK_BYTES is free under \(path): mail is refused until there is more"
                )
            ]
        }
    }

    /// Whether vaults have failures that nobody has looked at.
    package static func failureBacklog(_ alerts: AlertRepository) -> AlertProbe {
        AlertProbe([.failureBacklog]) { rules in
            let most = max(10 * (rules.largestThreshold(of: .failureBacklog) ?? 0), 1_000)
            return try? await alerts.failureBacklogs(
                over: { rules.smallestThreshold(of: .failureBacklog, about: $0) }, countingTo: most
            ).map { backlog in
                AlertSign(
                    .failureBacklog, subject: "failures of \(backlog.vault)", vault: backlog.vault,
                    value: backlog.count,
                    detail: "\(backlog.count) failures wait to be looked at, the oldest since \(backlog.oldest)")
            }
        }
    }

    /// Whether a queue of the broker holds too much.
    /// - Parameters:
    ///   - depth: messages in the queue; `nil` when it cannot be told.
    package static func queueBacklog(_ queue: String, depth: @escaping @Sendable () async -> Int?) -> AlertProbe {
        AlertProbe([.failureBacklog]) { _ in
            guard let depth = await depth() else { return nil }
            return [
                AlertSign(
                    .failureBacklog, subject: "queue \(queue)", value: depth,
                    detail: "\(depth) messages wait in the queue \(queue)")
            ]
        }
    }

    /// Whether the audit log is as it was written.
    /// - Parameters:
    ///   - isIntact: what is told of the part that can be looked at quickly; `nil` when it cannot be told.
    ///   - pause: seconds between two looks. Default 300.
    package static func auditChain(
        pause: Double = 300,
        isIntact: @escaping @Sendable () async -> Bool?
    ) -> AlertProbe {
        AlertProbe([.auditChainBroken], pause: pause) { _ in
            guard let isIntact = await isIntact() else { return nil }
            guard !isIntact else { return [] }
            return [
                AlertSign(
                    .auditChainBroken, subject: "audit log",
                    detail: "the newest part of the audit log is not as it was written")
            ]
        }
    }
}
