// A sign-in that goes on: one row, whatever of it is used (cookie, access token, refresh token).

package import JSON
package import Model
import SQL

package struct SessionRecord: Hashable, Sendable, Identifiable {
    /// Why a session is over.
    package enum EndReason {
        package static let signedOut = "signed_out"
        /// By somebody, from a list of sessions.
        package static let revoked = "revoked"
        package static let disabled = "disabled"
        /// A refresh token was used a second time: one of two who have it is a thief.
        package static let refreshReuse = "refresh_reuse"
        package static let passwordChanged = "password_changed"
        package static let secondFactorChanged = "second_factor_changed"
        /// Its cookie was not used for too long.
        package static let idle = "idle"
        /// Its cookie's time was over.
        package static let expired = "expired"
        /// The user has too many.
        package static let tooMany = "too_many"
    }

    package let id: SessionID
    package let user: UserID
    package let method: Person.Method
    package let createdAt: Timestamp
    package let authenticatedAt: Timestamp
    package var lastUsedAt: Timestamp
    /// When it ends, however much it is used.
    package let expiresAt: Timestamp
    package let endedAt: Timestamp?
    package let endReason: String?
    package let address: String?
    package let userAgent: String?

    package init(
        id: SessionID, user: UserID, method: Person.Method, createdAt: Timestamp, authenticatedAt: Timestamp,
        lastUsedAt: Timestamp, expiresAt: Timestamp, endedAt: Timestamp? = nil, endReason: String? = nil,
        address: String?, userAgent: String?
    ) {
        self.id = id
        self.user = user
        self.method = method
        self.createdAt = createdAt
        self.authenticatedAt = authenticatedAt
        self.lastUsedAt = lastUsedAt
        self.expiresAt = expiresAt
        self.endedAt = endedAt
        self.endReason = endReason
        self.address = address
        self.userAgent = userAgent
    }

    package func isAlive(at now: Timestamp) -> Bool { endedAt == nil && expiresAt > now }

    /// All that may be shown of it, as the API answers and as the audit log keeps it.
    package var document: JSONObject {
        JSONObject([
            "id": .string(id.text),
            "user": .string(user.text),
            "method": .string(method.rawValue),
            "created_at": .string(createdAt.description),
            "authenticated_at": .string(authenticatedAt.description),
            "last_used_at": .string(lastUsedAt.description),
            "expires_at": .string(expiresAt.description),
            "ended_at": endedAt.map { .string($0.description) } ?? .null,
            "end_reason": endReason.map { .string($0) } ?? .null,
            "address": address.map { .string($0) } ?? .null,
            "user_agent": userAgent.map { .string($0) } ?? .null,
        ])
    }

    static let columns: SQLStatement = """
        sessions.id, sessions.user_id, sessions.method, sessions.created_at, sessions.authenticated_at,
        sessions.last_used_at, sessions.expires_at, sessions.ended_at, sessions.end_reason, sessions.address,
        sessions.user_agent
        """
    static let columnCount = 11

    init(row: SQLRow) throws(SQLError) {
        guard let method = Person.Method(rawValue: try row.text(2)) else {
            throw SQLError(.unexpectedValue, "a session has a method that this program does not know")
        }
        self.init(
            id: SessionID(stored: try row.text(0)), user: UserID(stored: try row.text(1)), method: method,
            createdAt: Timestamp(milliseconds: try row.integer(3)),
            authenticatedAt: Timestamp(milliseconds: try row.integer(4)),
            lastUsedAt: Timestamp(milliseconds: try row.integer(5)),
            expiresAt: Timestamp(milliseconds: try row.integer(6)),
            endedAt: try row.optionalInteger(7).map(Timestamp.init(milliseconds:)), endReason: try row.optionalText(8),
            address: try row.optionalText(9), userAgent: try row.optionalText(10))
    }
}

/// A session and whose it is, as both are now.
package struct SessionStanding: Sendable {
    package var session: SessionRecord
    package let user: User
    package let memberships: [VaultID: VaultRole]
    /// The digest of the cookie that the session goes by now.
    package let cookie: [UInt8]

    package var person: Person {
        Person(
            user, memberships: memberships, session: session.id, method: session.method,
            authenticatedAt: session.authenticatedAt)
    }
}
