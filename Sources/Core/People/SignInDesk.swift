// Where people sign in by password, and where those who showed otherwise who they are get their session.

import Gate
package import JSON
package import Model
import SQL
package import Sealing
package import Store

package final class SignInDesk: Sendable {
    private let sessions: SessionKeeper

    package init(sessions: SessionKeeper) { self.sessions = sessions }

    /// - Parameters:
    ///   - code: of the authenticator, or a recovery code.
    ///   - visit: where the request came from; its address has a limit of its own.
    /// - Throws: `unauthorized` with one sentence for every reason; `second_factor_required`, only after the right password;
    ///   `too_many_attempts`; `sign_in_refused` for a disabled account, only after all that it asks for; `overloaded`.
    package func signIn(
        email: String,
        password: Secret<String>,
        code: Secret<String>? = nil,
        visit: Visit
    ) async throws -> SignedIn {
        guard sessions.configuration.passwordSignIn else {
            throw PosternError(
                .signInRefused, "this instance takes no passwords",
                fix: "Sign in by single sign-on (GET /auth/providers, postern login --sso).")
        }
        let question = SignInCheck.Question(
            email: email, password: password, code: code, action: .sessionBegin, visit: visit)
        return try await sessions.check.pass(question) { passed in
            try await sessions.begin(
                passed.user, method: passed.method, authenticatedAt: nil, visit: visit, detail: nil,
                settling: passed.settlement, passed.use)
        }
    }

    /// Begins a session for somebody who showed otherwise who they are: by single sign-on, by an invitation that they accepted.
    /// - Parameters:
    ///   - authenticatedAt: when they last did so, where that was before now; never counts as later than now.
    ///   - detail: what the audit log keeps of how.
    /// - Throws: `sign_in_refused` for a disabled account.
    package func begin(
        _ user: User,
        method: Person.Method,
        authenticatedAt: Timestamp? = nil,
        visit: Visit,
        detail: JSONValue? = nil
    ) async throws -> SignedIn {
        try await sessions.begin(
            user, method: method, authenticatedAt: authenticatedAt, visit: visit, detail: detail, settling: nil
        ) { now, _ in
            guard now.user.isActive else { throw SignInCheck.disabled }
        }
    }
}
