// A user as a row, and what a user has to sign in with.

import Model
import SQL

extension User {
    static let columns: SQLStatement = """
        users.id, users.email, users.name, users.role, users.is_active, users.password_hash IS NOT NULL,
        users.totp_secret IS NOT NULL, users.created_at, users.updated_at, users.last_sign_in_at
        """

    /// - Parameter first: the place of the first of `columns`.
    init(row: SQLRow, from first: Int = 0) throws(SQLError) {
        guard let role = InstanceRole(rawValue: try row.text(first + 3)) else {
            throw SQLError(.unexpectedValue, "a user has a role that this program does not know")
        }
        self.init(
            id: UserID(stored: try row.text(first)), email: try row.text(first + 1), name: try row.text(first + 2),
            role: role, isActive: try row.bool(first + 4), hasPassword: try row.bool(first + 5),
            hasSecondFactor: try row.bool(first + 6),
            createdAt: Timestamp(milliseconds: try row.integer(first + 7)),
            updatedAt: Timestamp(milliseconds: try row.integer(first + 8)),
            lastSignInAt: try row.optionalInteger(first + 9).map(Timestamp.init(milliseconds:)))
    }
}

/// What a user signs in with.
package struct UserCredentials: Sendable {
    package let user: User
    /// scrypt; `nil`: not by password.
    package let passwordHash: String?
    /// Sealed by the instance's key.
    package let totpSecret: [UInt8]?
    /// A secret that waits for its first code; sealed.
    package let totpCandidate: [UInt8]?
    /// The last step of 30 seconds whose code was used.
    package let totpStep: Int64?

    static let columns: SQLStatement = """
        \(User.columns), users.password_hash, users.totp_secret, users.totp_candidate, users.totp_step
        """

    init(row: SQLRow) throws(SQLError) {
        user = try User(row: row)
        passwordHash = try row.optionalText(10)
        totpSecret = try row.optionalBlob(11)
        totpCandidate = try row.optionalBlob(12)
        totpStep = try row.optionalInteger(13)
    }
}
