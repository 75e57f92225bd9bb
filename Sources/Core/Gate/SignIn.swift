// A sign-in that outlasts one decision, such as an SMTP session: it ends when the login does, or its password changes.

package import Model
import Store
import Synchronization

/// Valid for as long as somebody holds it and nothing ended it.
package final class SignIn: Sendable {
    package let caller: Caller
    private let number: Int
    private let register: SignInRegister

    fileprivate init(_ caller: Caller, number: Int, _ register: SignInRegister) {
        self.caller = caller
        self.number = number
        self.register = register
    }

    /// Whether it still is what it was when it began.
    package var isValid: Bool { register.holds(number) }

    deinit { register.remove(number) }
}

/// The sign-ins of this process that are valid. They are few: one a session.
final class SignInRegister: Sendable {
    private let state = Mutex<(users: [Int: SMTPUser], next: Int)>(([:], 0))

    func begin(_ user: SMTPUser) -> SignIn {
        let number = state.withLock { state in
            state.next += 1
            state.users[state.next] = user
            return state.next
        }
        return SignIn(user.caller, number: number, self)
    }

    var users: Set<SMTPUserID> { state.withLock { Set($0.users.values.map(\.id)) } }

    /// Ends the sign-ins of these users that may not go on as the users are now; `nil` is a user that is gone.
    func compare(_ users: [SMTPUserID: SMTPUser?]) {
        state.withLock { state in
            state.users = state.users.filter { _, known in
                guard let now = users[known.id] else { return true }
                return now.map { known.continues($0) } ?? false
            }
        }
    }

    fileprivate func holds(_ number: Int) -> Bool { state.withLock { $0.users[number] != nil } }

    fileprivate func remove(_ number: Int) { _ = state.withLock { $0.users.removeValue(forKey: number) } }
}
