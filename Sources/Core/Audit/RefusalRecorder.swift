// Writes down who was refused: in memory first, and then together, because whoever tries doors tries a thousand a second.

import JSON
package import Logging
package import Model
package import SQL
import ServiceLifecycle
import Store
import Synchronization

/// The first refusal of an actor at an address, action and reason is written at the next flush; what follows within a minute becomes one
/// record with a count.
package final class RefusalRecorder: Service {
    package struct Limits: Sendable {
        /// Seconds between two flushes. Default 1.
        package var interval: Double = 1
        /// Seconds for which the same refusal is only counted. Default 60.
        package var window: Double = 60
        /// Different refusals that are held at once. Default 2,000.
        package var held = 2_000
        /// Records of one commit. Default 200.
        package var batch = 200

        package init() {}
    }

    private struct Key: Hashable {
        let actor: String
        let action: Action
        let vault: VaultID?
        let code: ErrorCode
        /// A stolen key is refused elsewhere than the one it was stolen from.
        let address: String?
    }

    /// One kind of refusal, and what of it has not been written down yet.
    private struct Tally {
        var actor: Actor
        var resource: String
        var reason: String
        let beganAt: Timestamp
        var lastAt: Timestamp
        var firstAt: Timestamp
        var count = 1
        /// Others that were asked for, beside the first.
        var resources: Set<String> = []
        /// Whether the first has been written, and the rest waits for the window's end.
        var isOpen = false
    }

    private struct State {
        var tallies: [Key: Tally] = [:]
        /// What found no room, by the chain that it belongs to.
        var dropped: [VaultID?: Int] = [:]
    }

    private let repository: AuditRepository
    private let clock: any WallClock
    private let ids: IdentifierGenerator
    private let limits: Limits
    private let logger: Logger
    private let state = Mutex(State())

    package init(
        database: any SQLDatabase, ids: IdentifierGenerator, clock: any WallClock, logger: Logger,
        limits: Limits = .init()
    ) {
        repository = AuditRepository(database: database)
        self.clock = clock
        self.ids = ids
        self.limits = limits
        self.logger = logger
    }

    /// Takes note of a refusal. Never fails and never waits.
    /// - Parameter vault: the chain that it is written to; `nil`: the instance's.
    package func note(_ actor: Actor, _ action: Action, resource: String, vault: VaultID?, error: PosternError) {
        let now = clock.now()
        let key = Key(actor: actor.id, action: action, vault: vault, code: error.code, address: actor.address)
        let resource = String(resource.prefix(300))
        state.withLock { state in
            if var tally = state.tallies[key] {
                if tally.count == 0 { tally.firstAt = now }
                tally.count += 1
                tally.lastAt = now
                if resource != tally.resource, tally.resources.count < 10 { tally.resources.insert(resource) }
                state.tallies[key] = tally
            } else if state.tallies.count < limits.held {
                let label = String(actor.label.prefix(320))
                state.tallies[key] = Tally(
                    actor: Actor(
                        id: actor.id, label: label, door: actor.door, address: actor.address, requestID: actor.requestID
                    ),
                    resource: resource, reason: String("\(error.code.rawValue): \(error.detail)".prefix(500)),
                    beganAt: now, lastAt: now, firstAt: now)
            } else {
                // Of a thousand vaults at most; those of more are counted with the instance's.
                let chain = state.dropped.count < 1_000 || state.dropped[vault] != nil ? vault : nil
                state.dropped[chain, default: 0] += 1
            }
        }
    }

    package func run() async throws {
        await cancelWhenGracefulShutdown { [self] in
            while !Task.isCancelled {
                await flush()
                try? await Task.sleep(for: .seconds(limits.interval))
            }
        }
        await flush(everything: true)
    }

    /// Writes down what is due. What cannot be written stays for the next time.
    /// - Parameter everything: also what the window would still collect.
    package func flush(everything: Bool = false) async {
        while true {
            let (due, dropped) = take(everything: everything)
            guard !due.isEmpty || !dropped.isEmpty else { return }
            let now = clock.now()
            var entries = due.map { key, tally in (entry: entry(key, tally), vault: key.vault) }
            for (vault, count) in dropped {
                let after = JSONObject(["count": .integer(Int64(count))])
                entries.append(
                    (
                        AuditAct.drop.entry(
                            ids.next(), at: now, resource: "refusals", after: .object(after), outcome: .failed,
                            reason: "more was refused at once than could be written down one by one"),
                        vault
                    ))
            }
            do {
                try await repository.append(entries)
            } catch {
                logger.warning("refusals could not be written down yet", metadata: ["error": "\(error)"])
                putBack(due, dropped)
                return
            }
            if due.count < limits.batch { return }
        }
    }

    private func take(everything: Bool) -> (due: [(Key, Tally)], dropped: [(VaultID?, Int)]) {
        let now = clock.now()
        return state.withLock { state in
            var due: [(Key, Tally)] = []
            for (key, tally) in state.tallies {
                let isOver = now >= tally.beganAt.adding(seconds: limits.window) || now < tally.beganAt
                if tally.isOpen, !isOver, !everything { continue }
                if tally.count == 0 {
                    state.tallies[key] = nil
                    continue
                }
                guard due.count < limits.batch else { break }
                due.append((key, tally))
                if isOver || everything {
                    state.tallies[key] = nil
                } else {
                    state.tallies[key]?.isOpen = true
                    state.tallies[key]?.count = 0
                    state.tallies[key]?.resources = []
                }
            }
            defer { state.dropped = [:] }
            return (due, state.dropped.map { ($0.key, $0.value) })
        }
    }

    private func putBack(_ due: [(Key, Tally)], _ dropped: [(VaultID?, Int)]) {
        state.withLock { state in
            for (key, tally) in due {
                var merged = tally
                if let newer = state.tallies[key] {
                    merged.count += newer.count
                    merged.lastAt = max(tally.lastAt, newer.lastAt)
                    merged.resources.formUnion(newer.resources)
                }
                // It was not written: it is due again.
                merged.isOpen = false
                state.tallies[key] = merged
            }
            for (vault, count) in dropped { state.dropped[vault, default: 0] += count }
        }
    }

    private func entry(_ key: Key, _ tally: Tally) -> AuditEntry {
        let now = clock.now()
        var after: JSONObject?
        // The record is of now, like its id, which filters by time go by; what it is of may be a while ago.
        if tally.count > 1 || tally.lastAt.adding(seconds: 2 * limits.interval) < now {
            var object = JSONObject([
                "count": .integer(Int64(tally.count)), "since": .string(tally.firstAt.description),
                "until": .string(tally.lastAt.description),
            ])
            if !tally.resources.isEmpty { object["others"] = .array(tally.resources.sorted().map(JSONValue.string)) }
            after = object
        }
        return AuditEntry(
            id: ids.next(), at: now, actor: tally.actor, action: key.action.rawValue, resource: tally.resource,
            after: after.map(JSONValue.object), outcome: .refused, reason: tally.reason)
    }

    /// Refusals that are held at the moment.
    package var held: Int { state.withLock { $0.tallies.count } }
}
