// Checks passwords on threads of their own: scrypt takes 50 ms of a core, which no event loop can spare.

import Dispatch
import Model
package import Sealing
import Synchronization

package final class PasswordVerifier: Sendable {
    /// Checks that may wait; with two threads this is about two seconds' work.
    private static let waitingLimit = 64

    private let queues = (0..<2).map { DispatchQueue(label: "postern.password.\($0)", qos: .utility) }
    private let state = Mutex((waiting: 0, turn: 0))
    /// What a password is compared with when there is no such user.
    private static let decoy = try? PasswordHash(of: Secret(RandomToken.text(16))).text

    package init() {}

    /// - Parameters:
    ///   - isKnown: asked before the work: a tool that opens thirty connections at once is checked once.
    ///   - remember: called with a match before the next check begins.
    /// - Throws: `overloaded` when too many checks wait.
    package func matches(
        _ password: Secret<String>,
        hash: String?,
        isKnown: @escaping @Sendable () -> Bool = { false },
        remember: @escaping @Sendable () -> Void = {}
    ) async throws -> Bool {
        let turn: Int? = state.withLock { state in
            guard state.waiting < Self.waitingLimit else { return nil }
            state.waiting += 1
            state.turn = (state.turn + 1) % queues.count
            return state.turn
        }
        guard let turn else { throw PosternError(.overloaded, "too many sign-ins are waiting") }
        defer { state.withLock { $0.waiting -= 1 } }
        let candidate = hash ?? Self.decoy ?? ""
        let matches = await withCheckedContinuation { continuation in
            queues[turn].async {
                if isKnown() { return continuation.resume(returning: true) }
                let matches = (try? PasswordHash(text: candidate).matches(password)) ?? false
                if matches, hash != nil { remember() }
                continuation.resume(returning: matches && hash != nil)
            }
        }
        return matches
    }

    /// Hashes a new password off the caller's thread.
    package func hash(_ password: Secret<String>) async throws -> String {
        try await withCheckedThrowingContinuation { continuation in
            queues[0].async { continuation.resume(with: Result { try PasswordHash(of: password).text }) }
        }
    }
}
