// People of tests, and what the audit log says.

import CoreTestSupport
import Model
import SQL
import Store

extension TestHouse {
    func user(_ email: String, role: InstanceRole = .member, isActive: Bool = true) async throws -> User {
        let user = User(
            id: ids.next(), email: email, name: "Test", role: role, isActive: isActive, createdAt: clock.now())
        return try await UserRepository(database: database).insert(
            user, passwordHash: nil, audit: audit(as: "user.write"))
    }

    /// The actions of a chain's records of a resource, oldest first.
    func actions(in chain: String, of resource: String) async throws -> [String] {
        try await database.read { connection in
            try connection.rows(
                "SELECT action FROM audit_records WHERE chain = \(chain) AND resource = \(resource) ORDER BY sequence"
            ).map { try $0.text(0) }
        }
    }

    /// The actions of a chain's records that begin so, oldest first.
    func actions(in chain: String, like prefix: String) async throws -> [String] {
        try await database.read { connection in
            try connection.rows("SELECT action FROM audit_records WHERE chain = \(chain) ORDER BY sequence")
                .map { try $0.text(0) }.filter { $0.hasPrefix(prefix) }
        }
    }
}
