// What whoever runs the server does for people: the first owner, and a way back in.

import Gate
import JSON
import MIME
package import Model
import SQL
package import Sealing
package import Store

extension AccountKeeper {
    /// Makes the first owner of an instance.
    /// - Throws: `conflict` where there is an active owner already, or somebody has the address; `weak_password`,
    ///   `validation_failed`.
    package func makeFirstOwner(
        email: String,
        name: String,
        password: Secret<String>,
        audit: @escaping AuditMaker
    ) async throws -> User {
        let (email, name) = (try Self.email(email), try Self.name(name))
        let hash = try await hash(password, for: email, name: name)
        let user = User(
            id: sessions.ids.next(), email: email, name: name, role: .owner, createdAt: clock.now())
        do {
            return try await users.insert(user, passwordHash: hash, audit: audit) { scene in
                guard scene.otherOwners == 0 else {
                    throw PosternError(
                        .conflict, "the instance has an owner already",
                        fix: "Have an owner invite you, or use postern recover.")
                }
            }
        } catch let error as SQLError {
            guard error.code == .constraint else { throw error }
            throw PosternError(
                .conflict, "somebody has this address already", fix: "Use another one, or postern recover.")
        }
    }

    /// Whether somebody would get in with this password, a second factor aside. Counts no attempt and makes no session: for
    /// the machine's own operator, who has the database anyway.
    package func check(email: String, password: Secret<String>) async throws -> Bool {
        let known = try await credentials.find(email: email)
        let matches = try await sessions.check.verifier.matches(password, hash: known?.passwordHash)
        return matches && known?.user.isActive == true
    }

    /// A way back in for somebody: forgets their failed attempts, takes the second factor away if asked, makes a link.
    /// - Returns: the link; `nil` where there is no such user.
    /// - Throws: `not_found` for who is disabled.
    package func recover(
        email: String,
        removesSecondFactor: Bool,
        audit: @escaping AuditMaker
    ) async throws -> Secret<String>? {
        guard let user = try await users.find(email: email) else { return nil }
        try await unlock(user.id, audit: audit)
        if removesSecondFactor { _ = try await removeSecondFactor(of: user.id, audit: audit) }
        return try await makeResetLink(for: user.id, audit: audit)
    }

    /// Forgets somebody's failed attempts, so that they can sign in again at once.
    /// - Returns: `nil` where there is no such user.
    @discardableResult
    package func unlock(_ id: UserID, audit: @escaping AuditMaker) async throws -> User? {
        try await sessions.check.attempts.unlock(id, audit: audit)
    }

    /// An address that mail can go to, with its domain in lower case.
    /// - Throws: `validation_failed`.
    package static func email(_ text: String) throws(PosternError) -> String {
        guard text.utf8.count <= 254, let address = try? EmailAddress(parsing: text) else {
            throw .validation([JSONProblem(pointer: "/email", message: "is not an e-mail address")])
        }
        return address.description
    }
}
