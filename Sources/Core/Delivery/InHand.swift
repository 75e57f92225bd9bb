// The messages that this process holds a lease on: counted by vault, so that a slow route of one vault leaves room for the
// others, and known by id, so that their leases can be renewed.

import Model
import Store
import Synchronization

final class InHand: Sendable {
    private struct State {
        var messages: Set<MessageID> = []
        var byVault: [VaultID: Int] = [:]
    }

    private let state = Mutex(State())

    var count: Int { state.withLock { $0.messages.count } }
    var byVault: [VaultID: Int] { state.withLock { $0.byVault } }
    var messages: Set<MessageID> { state.withLock { $0.messages } }

    func take(_ messages: [ClaimedMessage]) {
        state.withLock { state in
            for message in messages where state.messages.insert(message.id).inserted {
                state.byVault[message.vault, default: 0] += 1
            }
        }
    }

    func release(_ messages: [ClaimedMessage]) {
        state.withLock { state in
            for message in messages where state.messages.remove(message.id) != nil {
                state.byVault[message.vault, default: 1] -= 1
                if state.byVault[message.vault] == 0 { state.byVault[message.vault] = nil }
            }
        }
    }
}
