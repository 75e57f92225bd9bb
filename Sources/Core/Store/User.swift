// A person with an account. What they sign in with is never part of this value, only whether they have it.

package import JSON
import MIME
package import Model

package struct User: Hashable, Sendable {
    package let id: UserID
    /// As it was written, with its domain in lower case.
    package let email: String
    package var name: String
    package var role: InstanceRole
    /// Who is not active signs in nowhere, and has no sessions.
    package var isActive: Bool
    /// Whether they sign in by password; who does not, by single sign-on.
    package let hasPassword: Bool
    package let hasSecondFactor: Bool
    package let createdAt: Timestamp
    package var updatedAt: Timestamp
    package let lastSignInAt: Timestamp?

    package init(
        id: UserID, email: String, name: String, role: InstanceRole, isActive: Bool = true, hasPassword: Bool = false,
        hasSecondFactor: Bool = false, createdAt: Timestamp, updatedAt: Timestamp? = nil,
        lastSignInAt: Timestamp? = nil
    ) {
        self.id = id
        self.email = Self.written(email)
        self.name = name
        self.role = role
        self.isActive = isActive
        self.hasPassword = hasPassword
        self.hasSecondFactor = hasSecondFactor
        self.createdAt = createdAt
        self.updatedAt = updatedAt ?? createdAt
        self.lastSignInAt = lastSignInAt
    }

    /// What an address is known by: two spellings of one address are one person. Letters beyond ASCII stay as they are before
    /// the `@`, for folding them makes one of addresses that are not, such as by a Kelvin sign for a k.
    package static func key(of email: String) -> String {
        guard let at = email.lastIndex(of: "@") else { return folded(email) }
        let domain = String(email[email.index(after: at)...])
        return folded(String(email[...at])) + (EmailAddress.normalizedDomain(domain) ?? folded(domain))
    }

    private static func folded(_ text: String) -> String {
        String(
            decoding: text.utf8.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 },
            as: UTF8.self)
    }

    package var emailKey: String { Self.key(of: email) }

    private static func written(_ email: String) -> String {
        guard let at = email.lastIndex(of: "@") else { return email }
        return email[...at] + email[email.index(after: at)...].lowercased()
    }

    /// All that may be shown of it, as the API answers and as the audit log keeps it.
    package var document: JSONObject {
        JSONObject([
            "id": .string(id.text),
            "email": .string(email),
            "name": .string(name),
            "role": .string(role.rawValue),
            "is_active": .bool(isActive),
            "has_password": .bool(hasPassword),
            "has_second_factor": .bool(hasSecondFactor),
            "created_at": .string(createdAt.description),
            "updated_at": .string(updatedAt.description),
            "last_sign_in_at": lastSignInAt.map { .string($0.description) } ?? .null,
        ])
    }
}
